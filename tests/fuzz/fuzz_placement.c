// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a placement file. The checksum would stop nearly every input at
 * the door: an odd first byte says that magic, version, number of neurons and
 * checksum are put right before.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz/fuzz.h"
#include "placement/placement.h"
#include "placement/placement_private.h"

/* Returns the size of what is left of `bytes`. */
static size_t put_right(uint8_t *bytes, size_t size)
{
	struct placement_header header;
	uint64_t checksum;
	size_t per_neuron;

	if (size < sizeof(header) + sizeof(checksum))
		return size;
	memcpy(&header, bytes, sizeof(header));
	memcpy(header.magic, PLACEMENT_MAGIC, sizeof(header.magic));
	header.version = PLACEMENT_VERSION;
	header.n_layers = 1 + header.n_layers % 4;
	per_neuron = header.n_layers * (sizeof(uint32_t) + 2 * sizeof(float));
	header.n_neurons = (uint32_t)((size - sizeof(header) - sizeof(checksum)) / per_neuron);
	memcpy(bytes, &header, sizeof(header));
	size = sizeof(header) + header.n_neurons * per_neuron;
	checksum = XXH3_64bits(bytes, size);
	memcpy(bytes + size, &checksum, sizeof(checksum));
	return size + sizeof(checksum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct placement *placement;
	const char *path;
	struct error err;
	uint8_t *bytes;
	size_t length;

	if (size < 1)
		return 0;
	bytes = malloc(size);
	require(bytes != NULL);
	length = size - 1;
	memcpy(bytes, data + 1, length);
	if (data[0] % 2)
		length = put_right(bytes, length);
	path = fuzz_file(bytes, length);
	free(bytes);
	if (placement_load(path, &placement, &err) == 0)
		placement_free(placement);
	return 0;
}
