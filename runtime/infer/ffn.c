// SPDX-License-Identifier: GPL-2.0-only
#include "infer/ffn.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* Slots computed together: enough to share out, few enough for the caches. */
#define TILE_SLOTS 256
/* Slots that share the loads of a token's vector. Neighbours tend to be wanted together. */
#define GROUP_SLOTS 4
/* Tokens that share the loads of a bundle; a set of them is one word. */
#define GROUP_TOKENS 64
/* Columns of the output that one thread takes at least; a multiple of any vector tile. */
#define COLUMN_BLOCK 64

struct ffn_scratch {
	float *activations; /* (max_tokens, TILE_SLOTS) */
};

struct tile {
	const struct compute *compute;
	const struct ffn_batch *batch;
	const uint32_t *slots; /* (count) */
	const uint16_t *const *bundles; /* (count) */
	size_t count;
	float *activations; /* (n_tokens, TILE_SLOTS) */
};

uint64_t ffn_scratch_bytes(size_t max_tokens)
{
	return max_tokens * TILE_SLOTS * sizeof(float);
}

int ffn_scratch_create(size_t max_tokens, struct ffn_scratch **result, struct error *err)
{
	struct ffn_scratch *scratch = malloc(sizeof(*scratch));

	if (!scratch)
		return error_no_memory(err, "activations");
	scratch->activations = malloc(ffn_scratch_bytes(max_tokens));
	if (!scratch->activations) {
		free(scratch);
		return error_no_memory(err, "activations");
	}
	*result = scratch;
	return 0;
}

void ffn_scratch_destroy(struct ffn_scratch *scratch)
{
	if (!scratch)
		return;
	free(scratch->activations);
	free(scratch);
}

static const uint64_t *wanted_by(const struct ffn_batch *batch, size_t token)
{
	return batch->wanted ? batch->wanted + token * bits_words(batch->n_slots) : NULL;
}

static bool wants(const struct tile *tile, size_t token, size_t i)
{
	const uint64_t *wanted = wanted_by(tile->batch, token);

	return !wanted || bits_test(wanted, tile->slots[i]);
}

/* Whether every slot is computed for every token, wanted or not. */
static bool computes_all(const struct ffn_batch *batch)
{
	return !batch->wanted || batch->measure;
}

/*
 * The products of a row of each of up to GROUP_SLOTS bundles with up to GROUP_TOKENS
 * tokens: out[t * out_stride + r] = row r . x of token first + t.
 */
struct product {
	const uint16_t *rows[GROUP_SLOTS];
	size_t n_rows;
	size_t first;
	size_t n_tokens;
	float *out;
	size_t out_stride;
};

/* `row`: which of a bundle's rows. */
static struct product product_of(const struct tile *tile, size_t slot, size_t n_slots, size_t row)
{
	struct product product = { .n_rows = n_slots };

	for (size_t i = 0; i < n_slots; i++)
		product.rows[i] = tile->bundles[slot + i] + row * tile->batch->d_model;
	return product;
}

static void multiply(const struct tile *tile, const struct product *product, size_t token,
		     size_t n_tokens)
{
	size_t d = tile->batch->d_model;

	tile->compute->kernels->dot_rows(product->out + token * product->out_stride,
					 product->out_stride, product->rows, product->n_rows,
					 tile->batch->x + (product->first + token) * d, d, n_tokens,
					 d);
}

/* For the tokens in `asking`; what others get is not defined. */
static void multiply_for(const struct tile *tile, const struct product *product, uint64_t asking)
{
	/* One by one, a token costs about twice as much: it alone loads the weights. */
	if (asking && 2 * bits_count(&asking, 1) >= product->n_tokens) {
		multiply(tile, product, 0, product->n_tokens);
		return;
	}
	for (size_t t = bits_next(&asking, 64, 0); t < 64; t = bits_next(&asking, 64, t + 1))
		multiply(tile, product, t, 1);
}

/* Whose first product is needed: all tokens', or those' that want a slot of the group. */
static uint64_t tokens_asking(const struct tile *tile, size_t slot, const struct product *product)
{
	bool all = computes_all(tile->batch);
	uint64_t asking = 0;

	for (size_t t = 0; t < product->n_tokens; t++) {
		bool any = all;

		for (size_t i = 0; !any && i < product->n_rows; i++)
			any = wants(tile, product->first + t, slot + i);
		asking |= (uint64_t)any << t;
	}
	return asking;
}

/* Multiply by what up gives, where the gate is open; closed ones stay 0. */
static void multiply_by_up(const struct tile *tile, size_t slot, const struct product *gate)
{
	struct product up = product_of(tile, slot, gate->n_rows, 1);
	float out[GROUP_TOKENS * GROUP_SLOTS];
	uint64_t open = 0;

	up.first = gate->first;
	up.n_tokens = gate->n_tokens;
	up.out = out;
	up.out_stride = GROUP_SLOTS;
	for (size_t t = 0; t < gate->n_tokens; t++)
		for (size_t i = 0; i < gate->n_rows; i++)
			open |= (uint64_t)(gate->out[t * gate->out_stride + i] != 0) << t;
	multiply_for(tile, &up, open);
	for (size_t t = 0; t < gate->n_tokens; t++) {
		for (size_t i = 0; i < gate->n_rows; i++) {
			float *a = &gate->out[t * gate->out_stride + i];
			float factor = out[t * GROUP_SLOTS + i];

			if (*a == 0)
				continue;
			/* What is not a number must not pass for a neuron that does not fire. */
			if (tile->batch->form == FFN_GATED_BOTH && factor <= 0)
				factor = 0;
			*a *= factor;
		}
	}
}

/* Activations of a few slots for a few tokens; 0 where nobody asks. */
static void activate_group(const struct tile *tile, size_t slot, size_t n_slots, size_t token,
			   size_t n_tokens)
{
	const struct ffn_batch *batch = tile->batch;
	struct product first = product_of(tile, slot, n_slots, 0);

	first.first = token;
	first.n_tokens = n_tokens;
	first.out = tile->activations + token * TILE_SLOTS + slot;
	first.out_stride = TILE_SLOTS;
	multiply_for(tile, &first, tokens_asking(tile, slot, &first));
	for (size_t t = 0; t < n_tokens; t++) {
		for (size_t i = 0; i < n_slots; i++) {
			float *a = &first.out[t * TILE_SLOTS + i];

			if (!computes_all(batch) && !wants(tile, token + t, slot + i)) {
				*a = 0;
				continue;
			}
			if (batch->up_bias)
				*a += batch->up_bias[tile->slots[slot + i]];
			if (!(*a > batch->threshold))
				*a = 0;
		}
	}
	if (batch->form != FFN_PLAIN)
		multiply_by_up(tile, slot, &first);
}

/* Activations of some slots of the tile. */
static void activate_slots(void *arg, size_t begin, size_t end)
{
	const struct tile *tile = arg;
	size_t n_tokens = tile->batch->n_tokens;

	for (size_t i = begin; i < end; i += GROUP_SLOTS)
		for (size_t t = 0; t < n_tokens; t += GROUP_TOKENS)
			activate_group(tile, i, end - i < GROUP_SLOTS ? end - i : GROUP_SLOTS, t,
				       n_tokens - t < GROUP_TOKENS ? n_tokens - t : GROUP_TOKENS);
}

/* The slots that fired for a token and that it wanted, as inputs of add_rows(). */
static size_t gather(const struct tile *tile, size_t token, float *a, const uint16_t **rows)
{
	const struct ffn_batch *batch = tile->batch;
	const float *activations = tile->activations + token * TILE_SLOTS;
	/* A bundle ends with its column of the output's matrix. */
	size_t column = (batch->form == FFN_PLAIN ? 1 : 2) * batch->d_model;
	size_t n = 0;

	for (size_t i = 0; i < tile->count; i++) {
		if (activations[i] == 0 || !wants(tile, token, i))
			continue;
		a[n] = activations[i];
		rows[n] = tile->bundles[i] + column;
		n++;
	}
	return n;
}

static void mark_fired(const struct tile *tile, size_t token)
{
	uint64_t *fired = tile->batch->fired + token * bits_words(tile->batch->n_slots);

	for (size_t i = 0; i < tile->count; i++)
		if (tile->activations[token * TILE_SLOTS + i] != 0)
			bits_set(fired, tile->slots[i]);
}

static void sum_tokens(void *arg, size_t begin, size_t end)
{
	const struct tile *tile = arg;
	const struct ffn_batch *batch = tile->batch;
	const uint16_t *rows[TILE_SLOTS];
	float a[TILE_SLOTS];

	for (size_t t = begin; t < end; t++) {
		size_t n = gather(tile, t, a, rows);

		mark_fired(tile, t);
		tile->compute->kernels->add_rows(batch->out + t * batch->d_model, a, rows, n,
						 batch->d_model);
	}
}

/* A single token is shared out by columns instead. */
struct column_job {
	const struct tile *tile;
	const float *a; /* (n) */
	const uint16_t *const *rows; /* (n) */
	size_t n;
};

static void sum_columns(void *arg, size_t begin, size_t end)
{
	const struct column_job *job = arg;
	const struct ffn_batch *batch = job->tile->batch;
	size_t first = begin * COLUMN_BLOCK, last = end * COLUMN_BLOCK;
	const uint16_t *rows[TILE_SLOTS];

	if (last > batch->d_model)
		last = batch->d_model;
	for (size_t i = 0; i < job->n; i++)
		rows[i] = job->rows[i] + first;
	job->tile->compute->kernels->add_rows(batch->out + first, job->a, rows, job->n,
					      last - first);
}

static void sum_one_token(struct tile *tile)
{
	const uint16_t *rows[TILE_SLOTS];
	float a[TILE_SLOTS];
	struct column_job job = { .tile = tile, .a = a, .rows = rows };

	job.n = gather(tile, 0, a, rows);
	mark_fired(tile, 0);
	thread_pool_run(tile->compute->pool,
			(tile->batch->d_model + COLUMN_BLOCK - 1) / COLUMN_BLOCK,
			compute_grain(2 * COLUMN_BLOCK * job.n), sum_columns, &job);
}

void ffn_window(const struct compute *compute, const struct ffn_batch *batch,
		const struct bundle_window *window, struct ffn_scratch *scratch)
{
	for (uint32_t first = 0; first < window->count; first += TILE_SLOTS) {
		size_t left = window->count - first;
		struct tile tile = {
			.compute = compute,
			.batch = batch,
			.slots = window->slots + first,
			.bundles = window->bundles + first,
			.count = left < TILE_SLOTS ? left : TILE_SLOTS,
			.activations = scratch->activations,
		};
		size_t flops = 2 * batch->d_model * batch->n_tokens;

		thread_pool_run(compute->pool, tile.count, compute_grain(flops), activate_slots,
				&tile);
		if (batch->n_tokens == 1)
			sum_one_token(&tile);
		else
			thread_pool_run(compute->pool, batch->n_tokens,
					compute_grain(2 * batch->d_model * tile.count / 8),
					sum_tokens, &tile);
	}
}
