// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a model file whose checksums are right: refused, or it can be loaded
 * and a token goes through it. The checksums are made right here, since no fuzzer
 * would ever guess one; so what is tested are the checks behind them. The seeds are
 * models of width 2 and 4, imported, packed, packed with copies of bundles, and gated, aligned
 * to 32 bytes to be small.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz/fuzz.h"
#include "infer/session.h"
#include "model/gguf_verify.h"

/* Sizes of a config are bounded by the file, but for products of them in a session. */
#define MAX_SESSION_BYTES (64u << 20)

/* Write the checksums that these bytes should have into them. */
static void repair(const struct gguf *gguf, uint8_t *data)
{
	size_t n = gguf_n_tensors(gguf);
	const struct gguf_tensor *last = n ? gguf_tensor_at(gguf, n - 1) : NULL;
	uint64_t *checksums, header_length;

	if (!last || last->size != (n + 1) * sizeof(*checksums))
		return;
	checksums = malloc(last->size);
	require(checksums != NULL);
	gguf_header(gguf, &header_length);
	checksums[0] = XXH3_64bits(data, header_length);
	for (size_t i = 0; i + 1 < n; i++) {
		uint64_t from = gguf_tensor_at(gguf, i)->offset;

		checksums[i + 1] =
			XXH3_64bits(data + from, gguf_tensor_at(gguf, i + 1)->offset - from);
	}
	checksums[n] = XXH3_64bits(checksums, n * sizeof(*checksums));
	memcpy(data + last->offset, checksums, last->size);
	free(checksums);
}

static const char *repaired(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file(data, size);
	struct gguf *gguf;
	struct error err;
	uint8_t *copy;

	if (gguf_open(path, &gguf, &err) < 0)
		return path;
	copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	repair(gguf, copy);
	gguf_close(gguf);
	path = fuzz_file(copy, size);
	free(copy);
	return path;
}

static void forward(const struct model *model)
{
	const struct session_options options = {
		.mode = model->config.predictor_rank ? SESSION_SPARSE : SESSION_DENSE,
		.threads = 1,
		.max_tokens = 1,
		.store = { .source = "mmap", .cost = DEVICE_COST_UFS4, .cache_ratio = 0.5 },
	};
	const uint32_t id = model->config.n_vocab - 1;
	float *logits = malloc(model->config.n_vocab * sizeof(*logits));
	struct session *session;
	struct error err;

	require(logits != NULL);
	require(session_open(model, &options, &session, &err) == 0);
	require(session_memory(session) < MAX_SESSION_BYTES);
	require(session_forward(session, &id, 1, &err) == 0);
	session_logits(session, 0, 1, logits);
	session_close(session);
	free(logits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = repaired(data, size);
	struct model *model;
	struct error err;

	if (model_load(path, &model, &err) < 0)
		return 0;
	require(gguf_verify(model->file->gguf, NULL, &err) == 0);
	forward(model);
	model_unload(model);
	return 0;
}
