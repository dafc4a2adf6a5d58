// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any text through the demo model's tokenizer: what is not UTF-8 is refused, and
 * of what is, the ids decode to the text again (but for special tokens, which
 * decode to nothing). The text back through a stream, byte by byte, is the same.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "fuzz/fuzz.h"
#include "model/tokenizer.h"

static struct tokenizer *tokenizer;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *top = getenv("COLINK_TOP");
	struct vocabulary *vocabulary;
	char folder[4096];
	struct error err;

	(void)argc;
	(void)argv;
	snprintf(folder, sizeof(folder), "%s/tests/data/demo-model", top ? top : ".");
	if (vocabulary_load(folder, 4096, &vocabulary, &err) < 0 ||
	    tokenizer_create(vocabulary, folder, &tokenizer, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	vocabulary_free(vocabulary);
	return 0;
}

/* The tokens' bytes must be the text, in which special tokens are skipped. */
static void check_text(const uint32_t *ids, size_t count, const char *text, size_t length)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const char *bytes;
		size_t n = tokenizer_bytes(tokenizer, ids[i], &bytes);
		const char *special = ids[i] == 2 ? "</s>" : "<pad>";

		if (n == 0) {
			require(ids[i] == 1 || ids[i] == 2);
			bytes = special;
			n = strlen(special);
		}
		require(n <= length - at && !memcmp(text + at, bytes, n));
		at += n;
	}
	require(at == length);
}

/* Valid text passes a stream unchanged, and other bytes become valid text. */
static void check_stream(const char *text, size_t length, size_t valid)
{
	struct utf8_stream stream = { 0 };
	char *out = malloc(UTF8_STREAM_ROOM(length));
	size_t n = 0;

	require(out != NULL);
	for (size_t i = 0; i < length; i++) {
		char part[UTF8_STREAM_ROOM(1)];
		size_t written = utf8_stream_push(&stream, text + i, 1, part);

		memcpy(out + n, part, written);
		n += written;
	}
	n += utf8_stream_end(&stream, out + n);
	require(utf8_valid_prefix(out, n) == n);
	require(n >= valid && !memcmp(out, text, valid));
	require((valid == length) == (n == length && !memcmp(out, text, n)));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t valid = utf8_valid_prefix(text, size);
	struct error err;
	uint32_t *ids;
	size_t count;
	int ret;

	check_stream(text, size, valid);
	ret = tokenizer_encode(tokenizer, text, size, false, &ids, &count, &err);
	require(ret == (valid == size ? 0 : -EILSEQ));
	if (ret < 0)
		return 0;
	check_text(ids, count, text, size);
	free(ids);
	return 0;
}
