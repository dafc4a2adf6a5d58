// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a predictor's file. The checksum would stop nearly every input at the door: an
 * odd first byte says that the header, but for the sizes and the model's id, and the checksum
 * are put right before; what is right then has to load, byte for byte.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz/fuzz.h"
#include "infer/predictor.h"

/* The file's format: infer/predictor.c. */
#define HEADER_SIZE 40
#define CHECKSUM_SIZE 8

static uint32_t size_at(uint8_t *bytes, size_t offset, uint32_t most)
{
	uint32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	value = 1 + value % most;
	memcpy(bytes + offset, &value, sizeof(value));
	return value;
}

/* Returns the size of what is left of `bytes`; 0: too few for these sizes. */
static size_t put_right(uint8_t *bytes, size_t size)
{
	uint32_t version = 1, zero = 0, layers, width, neurons, rank;
	size_t whole;
	uint64_t checksum;

	if (size < HEADER_SIZE + CHECKSUM_SIZE)
		return 0;
	memcpy(bytes, "COLINKPR", 8);
	memcpy(bytes + 8, &version, sizeof(version));
	layers = size_at(bytes, 12, 3);
	width = size_at(bytes, 16, 16);
	neurons = size_at(bytes, 20, 64);
	rank = size_at(bytes, 24, 8);
	memcpy(bytes + 28, &zero, sizeof(zero));
	whole = HEADER_SIZE + layers * (2 * rank * (width + neurons) + 4 * neurons);
	if (size < whole + CHECKSUM_SIZE)
		return 0;
	checksum = XXH3_64bits(bytes, whole);
	memcpy(bytes + whole, &checksum, sizeof(checksum));
	return whole + CHECKSUM_SIZE;
}

static const uint8_t *require_same(const uint8_t *bytes, const void *data, size_t size)
{
	require(memcmp(bytes, data, size) == 0);
	return bytes + size;
}

static void require_content(const struct predictor *predictor, const uint8_t *bytes)
{
	size_t rank = predictor->rank, neurons = predictor->n_neurons;

	bytes += HEADER_SIZE;
	for (uint32_t layer = 0; layer < predictor->n_layers; layer++) {
		const struct predictor_layer *arrays = &predictor->layers[layer];

		bytes = require_same(bytes, arrays->down, 2 * rank * predictor->d_model);
		bytes = require_same(bytes, arrays->up, 2 * rank * neurons);
		bytes = require_same(bytes, arrays->bias, 4 * neurons);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct predictor *predictor;
	struct error err;
	uint8_t *bytes;
	size_t right = 0;

	if (size < 1)
		return 0;
	bytes = malloc(size);
	require(bytes != NULL);
	memcpy(bytes, data + 1, --size);
	if (data[0] % 2)
		right = put_right(bytes, size);
	if (predictor_load(fuzz_file(bytes, right ? right : size), &predictor, &err) == 0) {
		require_content(predictor, bytes);
		predictor_free(predictor);
	} else {
		require(!right);
	}
	free(bytes);
	return 0;
}
