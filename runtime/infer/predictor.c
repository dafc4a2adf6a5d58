// SPDX-License-Identifier: GPL-2.0-only
/*
 * A predictor's file, little endian:
 *
 *	offset	size
 *	0	8	"COLINKPR"
 *	8	4	version, 1
 *	12	4	n_layers
 *	16	4	d_model
 *	20	4	n_neurons
 *	24	4	rank
 *	28	4	zero
 *	32	8	model_id
 *	40		n_layers times, without gaps:
 *			down	rank * d_model halves
 *			up	n_neurons * rank halves
 *			bias	n_neurons floats
 *	end - 8	8	XXH3-64 of all bytes before
 *
 * So the header says how long the file is, to the byte; that is checked before
 * anything is allocated.
 */
#include "infer/predictor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"

#define MAGIC "COLINKPR"
#define VERSION 1
/* As for a model file: far beyond any model, and sizes stay below 2^63. */
#define MAX_EXTENT (1u << 24)
#define MAX_LAYERS 4096

struct header {
	char magic[8];
	uint32_t version;
	uint32_t n_layers;
	uint32_t d_model;
	uint32_t n_neurons;
	uint32_t rank;
	uint32_t zero;
	uint64_t model_id;
};

_Static_assert(sizeof(struct header) == 40, "the header has no padding");

/* One of the arrays of a layer, for what is done to all of them alike. */
struct part {
	void *data;
	uint64_t bytes;
};

#define PARTS 3

static void layer_parts(const struct predictor *predictor, uint32_t layer, struct part parts[PARTS])
{
	const struct predictor_layer *arrays = &predictor->layers[layer];
	uint64_t rank = predictor->rank;

	parts[0] = (struct part){ arrays->down, rank * predictor->d_model * sizeof(uint16_t) };
	parts[1] = (struct part){ arrays->up, predictor->n_neurons * rank * sizeof(uint16_t) };
	parts[2] = (struct part){ arrays->bias, predictor->n_neurons * sizeof(float) };
}

static int allocate_layer(const struct predictor *predictor, struct predictor_layer *layer)
{
	layer->down = calloc((size_t)predictor->rank * predictor->d_model, sizeof(uint16_t));
	layer->up = calloc((size_t)predictor->n_neurons * predictor->rank, sizeof(uint16_t));
	layer->bias = calloc(predictor->n_neurons, sizeof(float));
	return layer->down && layer->up && layer->bias ? 0 : -ENOMEM;
}

int predictor_create(uint32_t n_layers, uint32_t d_model, uint32_t n_neurons, uint32_t rank,
		     uint64_t model_id, struct predictor **result, struct error *err)
{
	struct predictor *predictor = malloc(sizeof(*predictor));

	if (!predictor)
		return error_no_memory(err, "a predictor");
	*predictor = (struct predictor){
		.n_layers = n_layers,
		.d_model = d_model,
		.n_neurons = n_neurons,
		.rank = rank,
		.model_id = model_id,
		.layers = calloc(n_layers, sizeof(struct predictor_layer)),
	};
	for (uint32_t layer = 0; layer < n_layers; layer++) {
		if (!predictor->layers || allocate_layer(predictor, &predictor->layers[layer])) {
			predictor_free(predictor);
			return error_set(err, -ENOMEM,
					 "out of memory: a predictor of rank %" PRIu32
					 " for %" PRIu32 " layers of %" PRIu32 " neurons",
					 rank, n_layers, n_neurons);
		}
	}
	*result = predictor;
	return 0;
}

void predictor_free(struct predictor *predictor)
{
	if (!predictor)
		return;
	for (uint32_t layer = 0; predictor->layers && layer < predictor->n_layers; layer++) {
		free(predictor->layers[layer].down);
		free(predictor->layers[layer].up);
		free(predictor->layers[layer].bias);
	}
	free(predictor->layers);
	free(predictor);
}

static struct header make_header(const struct predictor *predictor)
{
	struct header header = {
		.version = VERSION,
		.n_layers = predictor->n_layers,
		.d_model = predictor->d_model,
		.n_neurons = predictor->n_neurons,
		.rank = predictor->rank,
		.model_id = predictor->model_id,
	};

	memcpy(header.magic, MAGIC, sizeof(header.magic));
	return header;
}

static int write_hashed(struct output_file *file, XXH3_state_t *hash, const void *data,
			size_t length, struct error *err)
{
	XXH3_64bits_update(hash, data, length);
	return output_file_write(file, data, length, err);
}

static int write_predictor(const struct predictor *predictor, struct output_file *file,
			   XXH3_state_t *hash, struct error *err)
{
	struct header header = make_header(predictor);
	uint64_t checksum;
	int ret;

	XXH3_64bits_reset(hash);
	ret = write_hashed(file, hash, &header, sizeof(header), err);
	for (uint32_t layer = 0; layer < predictor->n_layers; layer++) {
		struct part parts[PARTS];

		layer_parts(predictor, layer, parts);
		for (int i = 0; i < PARTS && ret == 0; i++)
			ret = write_hashed(file, hash, parts[i].data, parts[i].bytes, err);
	}
	if (ret < 0)
		return ret;
	checksum = XXH3_64bits_digest(hash);
	return output_file_write(file, &checksum, sizeof(checksum), err);
}

int predictor_save(const struct predictor *predictor, const char *path, struct error *err)
{
	XXH3_state_t *hash = XXH3_createState();
	struct output_file *file;
	int ret;

	if (!hash)
		return error_no_memory(err, path);
	ret = output_file_create(path, &file, err);
	if (ret < 0)
		goto out;
	ret = write_predictor(predictor, file, hash, err);
	if (ret < 0)
		output_file_abort(file);
	else
		ret = output_file_commit(file, err);
out:
	XXH3_freeState(hash);
	return ret;
}

static bool extent_ok(uint32_t value, uint32_t max)
{
	return value >= 1 && value <= max;
}

static int check_header(const struct header *header, uint64_t size, const char *path,
			struct error *err)
{
	uint64_t halves, expected;

	if (memcmp(header->magic, MAGIC, sizeof(header->magic)))
		return error_set(err, -EINVAL,
				 "%s: not a predictor (does not start with \"" MAGIC
				 "\"); 'colink train' makes one",
				 path);
	if (header->version != VERSION)
		return error_set(err, -EINVAL,
				 "%s: predictor of version %" PRIu32
				 ", only version %d is supported",
				 path, header->version, VERSION);
	if (!extent_ok(header->n_layers, MAX_LAYERS) || !extent_ok(header->d_model, MAX_EXTENT) ||
	    !extent_ok(header->n_neurons, MAX_EXTENT) || !extent_ok(header->rank, MAX_EXTENT) ||
	    header->zero)
		return error_set(err, -EINVAL, "%s: damaged: sizes in the header are impossible",
				 path);
	halves = (uint64_t)header->rank * ((uint64_t)header->d_model + header->n_neurons);
	expected = header->n_layers * (halves * 2 + header->n_neurons * sizeof(float)) +
		   sizeof(*header) + sizeof(uint64_t);
	if (size != expected)
		return error_set(err, -EINVAL,
				 "%s: damaged: %" PRIu64 " bytes long, its header "
				 "asks for %" PRIu64,
				 path, size, expected);
	return 0;
}

static int read_hashed(int fd, XXH3_state_t *hash, void *data, size_t length, uint64_t *offset,
		       const char *path, struct error *err)
{
	int ret = file_read_at(fd, data, length, *offset, path, err);

	if (ret < 0)
		return ret;
	XXH3_64bits_update(hash, data, length);
	*offset += length;
	return 0;
}

/* Everything behind the header, which `hash` has seen. */
static int read_layers(int fd, XXH3_state_t *hash, struct predictor *predictor, const char *path,
		       struct error *err)
{
	uint64_t offset = sizeof(struct header), checksum;
	int ret = 0;

	for (uint32_t layer = 0; layer < predictor->n_layers; layer++) {
		struct part parts[PARTS];

		layer_parts(predictor, layer, parts);
		for (int i = 0; i < PARTS && ret == 0; i++)
			ret = read_hashed(fd, hash, parts[i].data, parts[i].bytes, &offset, path,
					  err);
	}
	if (ret == 0)
		ret = file_read_at(fd, &checksum, sizeof(checksum), offset, path, err);
	if (ret == 0 && checksum != XXH3_64bits_digest(hash))
		ret = error_set(err, -EINVAL,
				"%s: damaged: the checksum at offset %" PRIu64
				" does not match; train again",
				path, offset);
	return ret;
}

static int load(int fd, uint64_t size, XXH3_state_t *hash, const char *path,
		struct predictor **result, struct error *err)
{
	struct predictor *predictor;
	struct header header;
	uint64_t offset = 0;
	int ret;

	XXH3_64bits_reset(hash);
	ret = read_hashed(fd, hash, &header, sizeof(header), &offset, path, err);
	if (ret == 0)
		ret = check_header(&header, size, path, err);
	if (ret == 0)
		ret = predictor_create(header.n_layers, header.d_model, header.n_neurons,
				       header.rank, header.model_id, &predictor, err);
	if (ret < 0)
		return ret;
	ret = read_layers(fd, hash, predictor, path, err);
	if (ret < 0)
		predictor_free(predictor);
	else
		*result = predictor;
	return ret;
}

int predictor_load(const char *path, struct predictor **predictor, struct error *err)
{
	XXH3_state_t *hash = XXH3_createState();
	uint64_t size;
	int fd, ret;

	if (!hash)
		return error_no_memory(err, path);
	fd = file_open_read(path, &size, err);
	ret = fd < 0 ? fd : load(fd, size, hash, path, predictor, err);
	if (fd >= 0)
		close(fd);
	XXH3_freeState(hash);
	return ret;
}
