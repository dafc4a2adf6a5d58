// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as the five files of a tokenizer, separated by 0xff, which no text
 * has. What is accepted must be consistent, and encode and decode a text that is
 * made of the input. The 256 byte tokens, without which no tokenizer can be
 * built, go before the tokens of the input, which have ids from 256 on; the whole
 * of a vocab.json is fuzzed if the input starts with '{'.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "fuzz/fuzz.h"
#include "model/byte_symbols.h"
#include "model/tokenizer.h"

#define N_ROWS 300
#define N_FILES 5

static const char *const names[N_FILES] = {
	"vocab.json",	     "merges.txt", "tokenizer_config.json", "special_tokens_map.json",
	"added_tokens.json",
};
static char folder[1024];

static void remove_file(int i)
{
	char path[2048];

	snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
	unlink(path);
}

static void remove_folder(void)
{
	for (int i = 0; i < N_FILES; i++)
		remove_file(i);
	rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *parent = getenv("TMPDIR");

	(void)argc;
	(void)argv;
	snprintf(folder, sizeof(folder), "%s/colink-fuzz-XXXXXX", parent ? parent : "/tmp");
	require(mkdtemp(folder) != NULL);
	atexit(remove_folder);
	return 0;
}

/* The members of vocab.json for the 256 bytes. */
static void write_byte_tokens(FILE *file)
{
	fputc('{', file);
	for (unsigned int byte = 0; byte < 256; byte++)
		fprintf(file, "\"\\u%04x\": %u, ", byte_to_symbol((uint8_t)byte), byte);
}

static void write_file(int i, const uint8_t *data, size_t length)
{
	char path[2048];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
	file = fopen(path, "wb");
	require(file != NULL);
	if (i == 0 && (length == 0 || data[0] != '{'))
		write_byte_tokens(file);
	fwrite(data, 1, length, file);
	require(fclose(file) == 0);
}

static void write_files(const uint8_t *data, size_t size)
{
	for (int i = 0; i < N_FILES; i++) {
		const uint8_t *end = size ? memchr(data, 0xff, size) : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		/* vocab.json and merges.txt are required; another one may be missing. */
		if (i > 1 && length == 0)
			remove_file(i);
		else
			write_file(i, data, length);
		data += end ? length + 1 : length;
		size -= end ? length + 1 : length;
	}
}

static void check_vocabulary(const struct vocabulary *vocabulary)
{
	require(vocabulary->n_tokens == N_ROWS);
	for (uint32_t id = 0; id < N_ROWS; id++)
		require(vocabulary->tokens[id] != NULL && vocabulary->types[id] != 0);
	for (uint32_t i = 0; i < vocabulary->n_merges; i++)
		require(strchr(vocabulary->merges[i], ' ') != NULL);
	require(!vocabulary->add_bos || vocabulary->bos < N_ROWS);
}

/* The valid beginning of the input as a text. */
static void check_encoding(const struct vocabulary *vocabulary, const struct tokenizer *tokenizer,
			   const char *text, size_t length)
{
	struct error err;
	uint32_t *ids;
	size_t count;

	require(tokenizer_encode(tokenizer, text, length, true, &ids, &count, &err) == 0);
	require(count <= length + 1);
	for (size_t i = 0; i < count; i++) {
		const char *bytes;
		size_t n;

		require(ids[i] < N_ROWS && vocabulary->types[ids[i]] != TOKEN_UNUSED);
		n = tokenizer_bytes(tokenizer, ids[i], &bytes);
		require((n == 0) == (vocabulary->types[ids[i]] == TOKEN_CONTROL));
		require(n == 0 || vocabulary->types[ids[i]] != TOKEN_NORMAL ||
			memmem(text, length, bytes, n) != NULL);
	}
	free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct vocabulary *vocabulary;
	struct tokenizer *tokenizer;
	struct error err;

	write_files(data, size);
	if (vocabulary_load(folder, N_ROWS, &vocabulary, &err) < 0)
		return 0;
	check_vocabulary(vocabulary);
	if (tokenizer_create(vocabulary, folder, &tokenizer, &err) == 0) {
		check_encoding(vocabulary, tokenizer, text, utf8_valid_prefix(text, size));
		tokenizer_destroy(tokenizer);
	}
	vocabulary_free(vocabulary);
	return 0;
}
