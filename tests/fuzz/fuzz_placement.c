// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a placement file. The checksum would stop nearly every input at
 * the door: an odd first byte says that magic, version, numbers of neurons and of
 * positions, and checksum are put right before.
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
	struct placement_copies copies;
	size_t head = sizeof(header), per_neuron = 12;
	uint64_t checksum;

	if (size < sizeof(header) + sizeof(copies) + sizeof(checksum))
		return size;
	memcpy(&header, bytes, sizeof(header));
	memcpy(header.magic, PLACEMENT_MAGIC, sizeof(header.magic));
	header.version = header.version % 2 ? PLACEMENT_VERSION : PLACEMENT_VERSION_COPIES;
	header.n_layers = 1 + header.n_layers % 4;
	if (header.version == PLACEMENT_VERSION_COPIES) {
		/* Half as many copies as neurons: 8 bytes for each of these, 8 for each position. */
		head += sizeof(copies);
		per_neuron = 20;
	}
	header.n_neurons = (uint32_t)((size - head - sizeof(checksum)) /
				      (header.n_layers * per_neuron)) / 2 * 2;
	memcpy(bytes, &header, sizeof(header));
	if (header.version == PLACEMENT_VERSION_COPIES) {
		copies = (struct placement_copies){
			.n_positions = header.n_neurons + header.n_neurons / 2,
		};
		memcpy(bytes + sizeof(header), &copies, sizeof(copies));
	}
	size = head + header.n_layers * header.n_neurons * per_neuron;
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
