// SPDX-License-Identifier: GPL-2.0-only
/*
 * A placement as a file. Both ways the whole file is in memory at once: even for
 * a model of 32 layers with 16384 neurons it is 6 MiB. placement_private.h has
 * the bytes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/file.h"
#include "model/places.h"
#include "placement/placement_private.h"
#include "placement/trace_format.h"

/* Of a whole file; the limits on a trace's shape keep it far below 2^64. */
static uint64_t file_bytes(uint64_t n_layers, uint64_t n_neurons, uint64_t n_positions)
{
	uint64_t positions = n_positions ? n_positions : n_neurons;
	uint64_t layer = n_neurons * (sizeof(uint32_t) + sizeof(float)) + positions * sizeof(float);

	if (n_positions)
		layer += n_positions * sizeof(uint32_t);
	return sizeof(struct placement_header) +
	       (n_positions ? sizeof(struct placement_copies) : 0) + n_layers * layer +
	       sizeof(uint64_t);
}

static uint8_t *append(uint8_t *to, const void *data, size_t length)
{
	memcpy(to, data, length);
	return to + length;
}

static void encode(const struct placement *placement, uint8_t *bytes, size_t length)
{
	struct placement_header header = {
		.version = placement->n_positions ? PLACEMENT_VERSION_COPIES : PLACEMENT_VERSION,
		.method = (uint32_t)placement->method,
		.n_layers = placement->n_layers,
		.n_neurons = placement->n_neurons,
		.model_id = placement->model_id,
		.n_tokens = placement->n_tokens,
	};
	const struct placement_copies copies = { .n_positions = placement->n_positions };
	size_t n = placement->n_neurons, positions = placement_positions(placement);
	uint8_t *to;
	uint64_t checksum;

	memcpy(header.magic, PLACEMENT_MAGIC, sizeof(header.magic));
	to = append(bytes, &header, sizeof(header));
	if (placement->n_positions)
		to = append(to, &copies, sizeof(copies));
	for (uint32_t l = 0; l < placement->n_layers; l++) {
		const struct placement_layer *layer = &placement->layers[l];

		to = append(to, layer->slot_to_neuron, n * sizeof(*layer->slot_to_neuron));
		to = append(to, layer->strength, positions * sizeof(*layer->strength));
		to = append(to, layer->frequency, n * sizeof(*layer->frequency));
		if (placement->n_positions)
			to = append(to, layer->slot_at, positions * sizeof(*layer->slot_at));
	}
	checksum = XXH3_64bits(bytes, length - sizeof(checksum));
	append(to, &checksum, sizeof(checksum));
}

int placement_save(const struct placement *placement, const char *path, struct error *err)
{
	size_t length = file_bytes(placement->n_layers, placement->n_neurons,
				   placement->n_positions);
	uint8_t *bytes = malloc(length);
	struct output_file *file;
	int ret;

	if (!bytes)
		return error_no_memory(err, path);
	encode(placement, bytes, length);
	ret = output_file_create(path, &file, err);
	if (ret < 0)
		goto out;
	ret = output_file_write(file, bytes, length, err);
	if (ret < 0)
		output_file_abort(file);
	else
		ret = output_file_commit(file, err);
out:
	free(bytes);
	return ret;
}

/* Of version 2; *n_positions is 0 for version 1. */
static int read_positions(int fd, uint64_t size, const char *path,
			  const struct placement_header *header, uint32_t *n_positions,
			  struct error *err)
{
	struct placement_copies copies;
	uint32_t n = header->n_neurons;
	int ret;

	*n_positions = 0;
	if (header->version == PLACEMENT_VERSION)
		return 0;
	if (size < sizeof(*header) + sizeof(copies))
		return error_set(err, -EINVAL, "%s: %llu bytes are too few for a placement", path,
				 (unsigned long long)size);
	ret = file_read_at(fd, &copies, sizeof(copies), sizeof(*header), path, err);
	if (ret < 0)
		return ret;
	if (copies.n_positions <= n || copies.n_positions > 2 * n || copies.zero)
		return error_set(err, -EINVAL, "%s: no placement has %u positions for %u neurons",
				 path, copies.n_positions, n);
	*n_positions = copies.n_positions;
	return 0;
}

/* Afterwards the file is known to be as long as its header says. */
static int read_header(int fd, uint64_t size, const char *path, struct placement_header *header,
		       uint32_t *n_positions, struct error *err)
{
	uint64_t need;
	int ret;

	if (size < sizeof(*header))
		return error_set(err, -EINVAL, "%s: %llu bytes are too few for a placement", path,
				 (unsigned long long)size);
	ret = file_read_at(fd, header, sizeof(*header), 0, path, err);
	if (ret < 0)
		return ret;
	if (memcmp(header->magic, PLACEMENT_MAGIC, sizeof(header->magic)))
		return error_set(err, -EINVAL, "%s: not a placement; 'colink place' makes one",
				 path);
	if (header->version < PLACEMENT_VERSION || header->version > PLACEMENT_VERSION_COPIES)
		return error_set(
			err, -EINVAL,
			"%s: a placement of version %u, only versions %u and %u are known; place "
			"again", path, header->version, PLACEMENT_VERSION, PLACEMENT_VERSION_COPIES);
	if (header->n_layers == 0 || header->n_layers > TRACE_MAX_LAYERS ||
	    header->n_neurons == 0 || header->n_neurons > TRACE_MAX_NEURONS ||
	    header->method >= ORDER_METHODS)
		return error_set(err, -EINVAL,
				 "%s: no placement has %u layers of %u neurons by method %u", path,
				 header->n_layers, header->n_neurons, header->method);
	ret = read_positions(fd, size, path, header, n_positions, err);
	if (ret < 0)
		return ret;
	need = file_bytes(header->n_layers, header->n_neurons, *n_positions);
	if (size != need)
		return error_set(
			err, -EINVAL,
			"%s: %llu bytes, but %u layers of %u neurons need %llu; place again", path,
			(unsigned long long)size, header->n_layers, header->n_neurons,
			(unsigned long long)need);
	return 0;
}

/* Written so that a NaN is no share. */
static bool are_shares(const float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(values[i] >= 0 && values[i] <= 1))
			return false;
	return true;
}

/* `found` is a scratch set of n bits. */
static bool is_permutation(const uint32_t *order, size_t n, uint64_t *found)
{
	memset(found, 0, bits_words(n) * sizeof(*found));
	for (size_t i = 0; i < n; i++) {
		if (order[i] >= n || bits_test(found, order[i]))
			return false;
		bits_set(found, order[i]);
	}
	return true;
}

static const uint8_t *take(const uint8_t *from, void *data, size_t length)
{
	memcpy(data, from, length);
	return from + length;
}

/* `primary` is scratch, (n_neurons). */
static int check_places(const struct placement *placement, uint32_t layer, uint32_t *primary,
			const char *path, struct error *err)
{
	const uint32_t *slot_at = placement->layers[layer].slot_at;
	struct error why = { 0 };
	int ret = places_find_primary(slot_at, placement->n_positions, placement->n_neurons,
				      primary, &why);

	return ret < 0 ? error_set(err, ret, "%s: layer %u: %s; place again", path, layer,
				   why.message) : 0;
}

static int decode_layers(const uint8_t *from, const char *path, struct placement *placement,
			 struct error *err)
{
	size_t n = placement->n_neurons, positions = placement_positions(placement);
	uint64_t *found = malloc(bits_words(n) * sizeof(*found));
	uint32_t *primary = malloc(n * sizeof(*primary));
	int ret = 0;

	if (!found || !primary)
		ret = error_no_memory(err, path);
	for (uint32_t l = 0; ret == 0 && l < placement->n_layers; l++) {
		struct placement_layer *layer = &placement->layers[l];

		from = take(from, layer->slot_to_neuron, n * sizeof(*layer->slot_to_neuron));
		from = take(from, layer->strength, positions * sizeof(*layer->strength));
		from = take(from, layer->frequency, n * sizeof(*layer->frequency));
		if (layer->slot_at)
			from = take(from, layer->slot_at, positions * sizeof(*layer->slot_at));
		if (!is_permutation(layer->slot_to_neuron, n, found))
			ret = error_set(
				err, -EINVAL,
				"%s: layer %u does not give every neuron one slot; place again",
				path, l);
		else if (!are_shares(layer->strength, positions) ||
			 !are_shares(layer->frequency, n))
			ret = error_set(err, -EINVAL,
					"%s: layer %u has a share outside [0, 1]; place again",
					path, l);
		else if (layer->slot_at)
			ret = check_places(placement, l, primary, path, err);
	}
	free(primary);
	free(found);
	return ret;
}

/* Header and positions are the checked ones: the file may have changed since they were read. */
static int decode(const struct placement_header *header, uint32_t n_positions,
		  const uint8_t *bytes, size_t length, const char *path,
		  struct placement **result, struct error *err)
{
	const struct placement shape = {
		.method = header->method,
		.n_layers = header->n_layers,
		.n_neurons = header->n_neurons,
		.n_positions = n_positions,
		.model_id = header->model_id,
		.n_tokens = header->n_tokens,
	};
	struct placement *placement;
	uint64_t checksum;
	int ret;

	memcpy(&checksum, bytes + length - sizeof(checksum), sizeof(checksum));
	if (checksum != XXH3_64bits(bytes, length - sizeof(checksum)))
		return error_set(err, -EINVAL,
				 "%s: the checksum at offset %zu does not match; place again", path,
				 length - sizeof(checksum));
	ret = placement_create(&shape, &placement, err);
	if (ret < 0)
		return ret;
	bytes += sizeof(*header) + (n_positions ? sizeof(struct placement_copies) : 0);
	ret = decode_layers(bytes, path, placement, err);
	if (ret < 0)
		placement_free(placement);
	else
		*result = placement;
	return ret;
}

int placement_load(const char *path, struct placement **placement, struct error *err)
{
	struct placement_header header;
	uint32_t n_positions = 0;
	uint8_t *bytes = NULL;
	uint64_t size;
	int fd, ret;

	fd = file_open_read(path, &size, err);
	if (fd < 0)
		return fd;
	ret = read_header(fd, size, path, &header, &n_positions, err);
	if (ret < 0)
		goto out;
	bytes = malloc(size);
	if (!bytes) {
		ret = error_no_memory(err, path);
		goto out;
	}
	ret = file_read_at(fd, bytes, size, 0, path, err);
	if (ret < 0)
		goto out;
	ret = decode(&header, n_positions, bytes, size, path, placement, err);
out:
	free(bytes);
	close(fd);
	return ret;
}
