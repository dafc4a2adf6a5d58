// SPDX-License-Identifier: GPL-2.0-only
/* The vocabulary kept under tokenizer.ggml.* of a model file. */
#include "model/model_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_token_type(uint32_t type)
{
	return type == TOKEN_NORMAL || type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED ||
	       type == TOKEN_UNUSED;
}

static int read_types(const struct gguf *gguf, struct vocabulary *vocabulary, struct error *err)
{
	uint32_t *wide;
	size_t count;
	int ret;

	ret = gguf_get_u32s(gguf, "tokenizer.ggml.token_type", &wide, &count, err);
	if (ret < 0)
		return ret;
	vocabulary->types = malloc(count + 1);
	if (!vocabulary->types)
		ret = error_no_memory(err, "the vocabulary");
	else if (count != vocabulary->n_tokens)
		ret = error_set(err, -EINVAL,
				"%s: key tokenizer.ggml.token_type has %zu entries for %u tokens",
				gguf_path(gguf), count, vocabulary->n_tokens);
	for (size_t i = 0; i < count && ret == 0; i++) {
		vocabulary->types[i] = (uint8_t)wide[i];
		if (!is_token_type(wide[i]))
			ret = error_set(err, -EINVAL,
					"%s: key tokenizer.ggml.token_type: token %zu has "
					"the unknown type %u",
					gguf_path(gguf), i, wide[i]);
	}
	free(wide);
	return ret;
}

static int read_token(const struct gguf *gguf, const char *key, uint32_t n_tokens, uint32_t *id,
		      struct error *err)
{
	int ret;

	*id = TOKEN_NONE;
	if (!gguf_has(gguf, key))
		return 0;
	ret = gguf_get_u32(gguf, key, id, err);
	if (ret == 0 && *id >= n_tokens)
		ret = error_set(err, -EINVAL, "%s: key %s: there is no token %u", gguf_path(gguf),
				key, *id);
	return ret;
}

static int read_special(const struct gguf *gguf, struct vocabulary *vocabulary, struct error *err)
{
	uint32_t n = vocabulary->n_tokens;
	int ret;

	ret = read_token(gguf, "tokenizer.ggml.bos_token_id", n, &vocabulary->bos, err);
	if (ret == 0)
		ret = read_token(gguf, "tokenizer.ggml.eos_token_id", n, &vocabulary->eos, err);
	if (ret == 0)
		ret = read_token(gguf, "tokenizer.ggml.unknown_token_id", n, &vocabulary->unknown,
				 err);
	if (ret == 0)
		ret = read_token(gguf, "tokenizer.ggml.padding_token_id", n, &vocabulary->pad, err);
	if (ret == 0)
		ret = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &vocabulary->add_bos,
				    err);
	return ret;
}

int model_file_vocabulary(const struct model_file *file, struct vocabulary **result,
			  struct error *err)
{
	struct vocabulary *vocabulary = calloc(1, sizeof(*vocabulary));
	const struct gguf *gguf = file->gguf;
	size_t count;
	int ret;

	if (!vocabulary)
		return error_no_memory(err, "the vocabulary");
	ret = gguf_get_strings(gguf, "tokenizer.ggml.tokens", &vocabulary->tokens, &count, err);
	if (ret < 0)
		goto fail;
	if (count != file->config.n_vocab) {
		ret = error_set(err, -EINVAL, "%s: %zu tokens for %u rows of the embedding",
				gguf_path(gguf), count, file->config.n_vocab);
		goto fail;
	}
	vocabulary->n_tokens = (uint32_t)count;
	ret = gguf_get_strings(gguf, "tokenizer.ggml.merges", &vocabulary->merges, &count, err);
	if (ret < 0)
		goto fail;
	vocabulary->n_merges = (uint32_t)count;
	ret = read_types(gguf, vocabulary, err);
	if (ret == 0)
		ret = read_special(gguf, vocabulary, err);
	if (ret < 0)
		goto fail;
	*result = vocabulary;
	return 0;
fail:
	vocabulary_free(vocabulary);
	return ret;
}
