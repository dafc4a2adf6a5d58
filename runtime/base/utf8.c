// SPDX-License-Identifier: GPL-2.0-only
/*
 * The well-formed byte sequences of RFC 3629 section 4, which are also table 3-7
 * of the Unicode standard. Only the second byte depends on the first: it rules
 * out overlong forms, surrogates and everything above U+10FFFF.
 */
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

#define REPLACEMENT_CHARACTER 0xfffd

/* How many bytes a character has that starts with `lead`; 0 when none does. */
static size_t sequence_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2) /* a continuation byte, or an overlong form of ASCII */
		return 0;
	if (lead < 0xe0)
		return 2;
	if (lead < 0xf0)
		return 3;
	return lead < 0xf5 ? 4 : 0;
}

/* Whether `byte` can be byte number `i` >= 1 of a character that starts with `lead`. */
static bool continues(uint8_t lead, size_t i, uint8_t byte)
{
	uint8_t low = 0x80;
	uint8_t high = 0xbf;

	if (i == 1 && lead == 0xe0)
		low = 0xa0;
	else if (i == 1 && lead == 0xed)
		high = 0x9f;
	else if (i == 1 && lead == 0xf0)
		low = 0x90;
	else if (i == 1 && lead == 0xf4)
		high = 0x8f;
	return byte >= low && byte <= high;
}

size_t utf8_valid_prefix(const char *text, size_t length)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t at = 0;

	while (at < length) {
		size_t n = sequence_length(bytes[at]);

		if (n == 0 || n > length - at)
			break;
		for (size_t i = 1; i < n; i++)
			if (!continues(bytes[at], i, bytes[at + i]))
				return at;
		at += n;
	}
	return at;
}

size_t utf8_encode(uint32_t code_point, char out[4])
{
	if (code_point < 0x80) {
		out[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		out[0] = (char)(0xc0 | code_point >> 6);
		out[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		out[0] = (char)(0xe0 | code_point >> 12);
		out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code_point >> 18);
	out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}

size_t utf8_decode(const char *text, uint32_t *code_point)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t n = sequence_length(bytes[0]);

	/* A lead byte of n > 1 bytes begins with n ones and a zero. */
	*code_point = n == 1 ? bytes[0] : bytes[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*code_point = *code_point << 6 | (bytes[i] & 0x3f);
	return n;
}

size_t utf8_stream_push(struct utf8_stream *stream, const char *bytes, size_t length, char *out)
{
	size_t written = 0;

	for (size_t i = 0; i < length; i++) {
		uint8_t byte = (uint8_t)bytes[i];
		uint8_t lead;

		/* What is pending and cannot go on with this byte is given up. */
		if (stream->n_pending &&
		    !continues((uint8_t)stream->pending[0], stream->n_pending, byte))
			written += utf8_stream_end(stream, out + written);
		stream->pending[stream->n_pending++] = (char)byte;
		lead = (uint8_t)stream->pending[0];
		if (sequence_length(lead) == 0) {
			written += utf8_stream_end(stream, out + written);
		} else if (sequence_length(lead) == stream->n_pending) {
			memcpy(out + written, stream->pending, stream->n_pending);
			written += stream->n_pending;
			stream->n_pending = 0;
		}
	}
	return written;
}

size_t utf8_stream_end(struct utf8_stream *stream, char *out)
{
	if (!stream->n_pending)
		return 0;
	stream->n_pending = 0;
	return utf8_encode(REPLACEMENT_CHARACTER, out);
}
