/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bench io replays: a model's geometry, and the tokens of a trace as sets of slots
 * in those of four layouts that are asked for. The layouts are thought ones: the bytes of the
 * file stay where they are, since what an I/O costs does not depend on them. A layout decides
 * which slots a token wants.
 */
#ifndef COLINK_BENCH_IO_INPUTS_H
#define COLINK_BENCH_IO_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/token_slots.h"
#include "storage/bundle_store.h"

enum io_layout {
	IO_IDENTITY, /* by neuron, as in the checkpoint */
	IO_FREQUENCY, /* what fires most first */
	IO_LINKED, /* the greedy search */
	IO_BEST, /* what is searched for the device */
	IO_LAYOUTS, /* how many there are */
};

/* The replayed tokens in one layout; both are NULL in one that was not made. */
struct io_layout_inputs {
	struct token_slots wanted;
	float *frequency; /* (n_layers, slots): share of the tokens placed on */
};

struct io_inputs {
	const char *path; /* the model's; the caller's */
	uint64_t file_bytes;
	struct bundle_geometry geometry;
	uint64_t *offsets; /* (n_layers): the geometry's */
	uint32_t bundle_rows; /* of which a bundle is made */
	uint64_t placed_tokens; /* of the trace: seen ones, for all but the identity */
	uint32_t n_tokens; /* replayed: the first unseen ones */
	struct io_layout_inputs layouts[IO_LAYOUTS];
	/* Of IO_BEST with copies: more bundles per layer than slots, and of which slot each is. */
	uint32_t n_copies; /* per layer; 0: none were asked for */
	uint32_t *slot_at; /* (n_layers, slots + n_copies) */
};

struct io_inputs_options {
	const char *model, *trace; /* files */
	uint32_t n_tokens;
	/* To make, besides IO_IDENTITY, and IO_BEST where there are to be copies. */
	bool layouts[IO_LAYOUTS];
	/* For IO_BEST. */
	struct device_cost cost;
	double cache_ratio;
	uint32_t bundle_bytes; /* 0: the model's */
	uint32_t effort; /* of the search, as in struct order_best_options */
	double copies; /* share of the bundles that are stored again, 0 to 1 */
	struct progress *progress; /* or NULL */
};

/*
 * Read the model's geometry, place each layer on the seen tokens of its trace, and keep up
 * to n_tokens of the unseen ones. Takes the memory of one layer's pairs of neurons, and all
 * CPUs. -EINVAL for the trace of another model, one too short to have unseen tokens, or more
 * copies than a layer of the model has room for: reads of them are of its own copies.
 * Progress counts layers. The caller calls io_inputs_free() after 0; the model's path lives as long.
 */
int io_inputs_read(const struct io_inputs_options *options, struct io_inputs *inputs,
		   struct error *err);
void io_inputs_free(struct io_inputs *inputs);

/*
 * Read as if bundles had `bytes`, no more than they have: an even part of each row, 8-bit
 * weights for instance. What lies between two layers' bundles then is not read. -EINVAL else.
 */
int io_inputs_shrink(struct io_inputs *inputs, uint32_t bytes, struct error *err);

/* Bytes of all bundles. */
uint64_t io_inputs_bundle_bytes(const struct io_inputs *inputs);

#endif
