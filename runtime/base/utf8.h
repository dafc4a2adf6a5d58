/* SPDX-License-Identifier: GPL-2.0-only */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, at most U+10FFFF. */
#ifndef COLINK_BASE_UTF8_H
#define COLINK_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that is not part of valid UTF-8, or `length`. */
size_t utf8_valid_prefix(const char *text, size_t length);

/* Write the 1 to 4 bytes of a code point (a valid one) to `out`; returns how many. */
size_t utf8_encode(uint32_t code_point, char out[4]);

/* Read the code point at the start of valid, non-empty UTF-8; returns its bytes. */
size_t utf8_decode(const char *text, uint32_t *code_point);

/*
 * Turns bytes that arrive in arbitrary pieces into valid UTF-8: an unfinished
 * character is kept until its last byte comes, and what cannot become valid is
 * replaced by U+FFFD (one per maximal invalid part, as Unicode 6.3 section 3.9
 * recommends and as Python's errors="replace" does). Start from {0}.
 */
struct utf8_stream {
	char pending[4];
	size_t n_pending;
};

/* Most bytes that utf8_stream_push() can write for `length` bytes of input. */
#define UTF8_STREAM_ROOM(length) (3 * ((length) + 4))

/* Returns how many bytes were written to `out`, which has UTF8_STREAM_ROOM(length) bytes. */
size_t utf8_stream_push(struct utf8_stream *stream, const char *bytes, size_t length, char *out);

/* The end of the text: what is still pending becomes U+FFFD. `out` has UTF8_STREAM_ROOM(0). */
size_t utf8_stream_end(struct utf8_stream *stream, char *out);

#endif
