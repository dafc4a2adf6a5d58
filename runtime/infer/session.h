/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One sequence of tokens going through a model whose FFN weights stay on flash.
 *
 * A batch of tokens passes layer by layer. When the FFN input of layer L is
 * known, the neurons of layer L+1 are foretold and their reads are started; then
 * layer L's FFN is computed from the bundles asked for one layer earlier. So the
 * reads of L+1 are in flight during the FFN of L and the attention of L+1. Layer
 * 0 has no layer before it and waits for its own reads.
 *
 * One thread per session, the one that opened it; it uses a pool of its own.
 */
#ifndef COLINK_INFER_SESSION_H
#define COLINK_INFER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "infer/model.h"
#include "storage/bundle_store.h"

enum session_mode {
	SESSION_SPARSE, /* read and compute what the predictor asks for */
	SESSION_DENSE, /* read and compute every neuron */
	/*
	 * Read every neuron, so that it is known what would have fired, but let only
	 * what the predictor asks for take part: results are those of SESSION_SPARSE.
	 */
	SESSION_MEASURE,
};

#define SESSION_DEFAULT_BATCH 256

struct session_options {
	enum session_mode mode;
	unsigned int threads; /* 0: one per CPU */
	uint32_t max_tokens; /* positions to make room for; 0: all the model has */
	uint32_t max_batch; /* tokens that pass a layer together; 0: SESSION_DEFAULT_BATCH */
	struct bundle_store_options store;
};

/*
 * What an observer sees of one layer of one batch; nothing of it may be kept.
 * Shapes: (n_tokens, ...). Bits are by slot.
 */
struct session_layer_event {
	uint32_t layer;
	uint32_t n_tokens;
	const float *ffn_input; /* (n_tokens, d_model) */
	/* (n_tokens, bits_words(n_ffn)); in SESSION_SPARSE of those wanted */
	const uint64_t *fired;
	const uint64_t *wanted; /* same shape; NULL in SESSION_DENSE */
};

struct session_observer {
	/* Returns 0, or a negative errno with `err` set, which ends the forward pass. */
	int (*layer)(struct session_observer *observer, const struct session_layer_event *event,
		     struct error *err);
};

struct session;

/* The model must outlive the session. The caller calls session_close(). */
int session_open(const struct model *model, const struct session_options *options,
		 struct session **session, struct error *err);
void session_close(struct session *session);

/* NULL: nobody observes. The observer must outlive its use. */
void session_observe(struct session *session, struct session_observer *observer);

/* Forget all tokens; the cache of bundles stays. */
void session_rewind(struct session *session);

uint32_t session_max_batch(const struct session *session);

/* Positions that are still free, and tokens in the last batch. */
uint32_t session_room(const struct session *session);
uint32_t session_batch(const struct session *session);

/*
 * Append 1 to session_max_batch() tokens (ids below n_vocab). Fails with -ERANGE
 * when they do not fit; after any other failure the session can only be closed.
 */
int session_forward(struct session *session, const uint32_t *ids, uint32_t n_tokens,
		    struct error *err);

/*
 * Logits after tokens first .. first + count - 1 of the last batch: out is
 * (count, n_vocab).
 */
void session_logits(struct session *session, uint32_t first, uint32_t count, float *out);

struct bundle_store *session_store(struct session *session);

/* "avx2", ... and the number of threads. */
const char *session_kernels(const struct session *session);
unsigned int session_threads(const struct session *session);

/* Bytes of DRAM for keys, values and scratch (bundles and weights not included). */
uint64_t session_memory(const struct session *session);

/* Bytes of DRAM that a session takes, at most; weights are the model's. */
struct session_memory {
	uint64_t keys_values;
	uint64_t scratch;
	uint64_t opening; /* besides, until the session is open */
	struct bundle_store_memory store;
};

/*
 * What session_open() would take for these options; nothing is read or allocated, and weights
 * need not be loaded. What is too large to be counted is AMOUNT_MOST (base/amount.h). Fails
 * for options of the store that bundle_store_plan_memory() refuses.
 */
int session_plan_memory(const struct model *model, const struct session_options *options,
			struct session_memory *memory, struct error *err);

/* Tokens that would pass a layer together, and positions that there would be room for. */
uint32_t session_planned_batch(const struct model *model, const struct session_options *options);
uint32_t session_planned_tokens(const struct model *model, const struct session_options *options);

#endif
