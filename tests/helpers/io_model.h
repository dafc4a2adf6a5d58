/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small model whose bundles say which they are, a trace of it, and a consumer that checks
 * what it is given: for the tests of bench io.
 */
#ifndef COLINK_TESTS_HELPERS_IO_MODEL_H
#define COLINK_TESTS_HELPERS_IO_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/io_method.h"
#include "placement/activity.h"

#define IO_MODEL_LAYERS 3
#define IO_MODEL_SLOTS 100 /* per layer: more than a word of a set */
#define IO_MODEL_STRIDE 4096 /* aligned for direct I/O: bytes are those of the plan */
#define IO_MODEL_CHUNK 20 /* tokens */
#define IO_MODEL_SEEN (2 * IO_MODEL_CHUNK) /* the first and the last chunk */
#define IO_MODEL_TOKENS IO_MODEL_CHUNK /* unseen ones: the chunk between */

/* What a consumer was given; in memory that is shared with children. */
struct io_consumed {
	uint32_t bundles;
	uint32_t rows, row_bytes; /* of bundles in parts: neither content nor order is checked */
	uint32_t wrong; /* of other content than slot and layer say */
	uint32_t last_slot, last_layer, last_token;
	uint32_t out_of_order;
	uint16_t times[IO_MODEL_TOKENS][IO_MODEL_LAYERS][IO_MODEL_SLOTS];
};

struct io_model {
	struct activity layers[IO_MODEL_LAYERS]; /* seen and unseen tokens, by neuron */
	char *folder;
	char *model;
	char *trace;
	struct io_inputs inputs;
	struct io_consumed *consumed;
	struct io_token tokens[IO_MODEL_TOKENS];
};

/* What makes its inputs, in all layouts, or others of a trace. */
struct io_inputs_options io_model_options(const char *model, const char *trace);

/* In a fresh folder, with the inputs read. */
void io_model_make(struct io_model *model);
void io_model_free(struct io_model *model);

/* Token of the trace that is replayed as number `token`. */
uint32_t io_model_traced(uint32_t token);

/* With the checking consumer, the cost of a phone, and nothing kept yet. */
struct io_setting io_model_setting(struct io_model *model, double cache_ratio);

/* Replay; fails the test unless each wanted bundle was consumed once, in order, and right. */
void io_model_replay(struct io_model *model, const struct io_method *method,
		     const struct io_setting *setting);

/* Check the same of a replay that was done. */
void io_model_check(const struct io_model *model, const struct io_method *method);

#endif
