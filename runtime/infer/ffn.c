// SPDX-License-Identifier: GPL-2.0-only
#include "infer/ffn.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* Slots computed together: enough to share out, few enough for the caches. */
#define TILE_SLOTS 256
/* Slots that share the loads of a token's vector. Neighbours tend to be wanted together. */
#define GROUP_SLOTS 4
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

int ffn_scratch_create(size_t max_tokens, struct ffn_scratch **result, struct error *err)
{
	struct ffn_scratch *scratch = malloc(sizeof(*scratch));

	if (!scratch)
		return error_no_memory(err, "activations");
	scratch->activations = malloc(max_tokens * TILE_SLOTS * sizeof(float));
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

static bool wants_any(const struct tile *tile, size_t token, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		if (wants(tile, token, i))
			return true;
	return false;
}

/* up . x for a group of slots and tokens first .. first + n - 1. */
static void multiply(const struct tile *tile, size_t begin, size_t end, size_t first, size_t n)
{
	const struct ffn_batch *batch = tile->batch;

	/* A bundle starts with its row of the first product. */
	tile->compute->kernels->dot_rows(tile->activations + first * TILE_SLOTS + begin, TILE_SLOTS,
					 tile->bundles + begin, end - begin,
					 batch->x + first * batch->d_model, batch->d_model, n,
					 batch->d_model);
}

/* The same for those of up to 64 tokens that want one of the group. */
static void multiply_wanted(const struct tile *tile, size_t begin, size_t end, size_t first,
			    size_t n)
{
	uint64_t wanting = 0;

	for (size_t t = 0; t < n; t++)
		wanting |= (uint64_t)wants_any(tile, first + t, begin, end) << t;
	/* One by one, a token costs about twice as much: it alone loads the weights. */
	if (2 * bits_count(&wanting, 1) >= n) {
		multiply(tile, begin, end, first, n);
		return;
	}
	for (size_t t = bits_next(&wanting, 64, 0); t < 64; t = bits_next(&wanting, 64, t + 1))
		multiply(tile, begin, end, first + t, 1);
}

/* Activations of some slots of the tile: relu(up . x + bias), 0 where nobody asks. */
static void activate_slots(void *arg, size_t begin, size_t end)
{
	const struct tile *tile = arg;
	const struct ffn_batch *batch = tile->batch;
	bool all = !batch->wanted || batch->measure;

	for (size_t i = begin; i < end; i += GROUP_SLOTS) {
		size_t group_end = end - i < GROUP_SLOTS ? end : i + GROUP_SLOTS;

		if (all)
			multiply(tile, i, group_end, 0, batch->n_tokens);
		for (size_t t = 0; !all && t < batch->n_tokens; t += 64)
			multiply_wanted(tile, i, group_end, t,
					batch->n_tokens - t < 64 ? batch->n_tokens - t : 64);
	}
	for (size_t t = 0; t < batch->n_tokens; t++) {
		float *a = tile->activations + t * TILE_SLOTS;

		for (size_t i = begin; i < end; i++) {
			if (!all && !wants(tile, t, i)) {
				a[i] = 0;
				continue;
			}
			a[i] += batch->up_bias[tile->slots[i]];
			if (!(a[i] > 0))
				a[i] = 0;
		}
	}
}

/* The slots that fired for a token and that it wanted, as inputs of add_rows(). */
static size_t gather(const struct tile *tile, size_t token, float *a, const uint16_t **rows)
{
	const struct ffn_batch *batch = tile->batch;
	const float *activations = tile->activations + token * TILE_SLOTS;
	size_t n = 0;

	for (size_t i = 0; i < tile->count; i++) {
		if (activations[i] == 0 || !wants(tile, token, i))
			continue;
		a[n] = activations[i];
		rows[n] = tile->bundles[i] + batch->d_model; /* the column of the second product */
		n++;
	}
	return n;
}

static void mark_fired(const struct tile *tile, size_t token)
{
	uint64_t *fired = tile->batch->fired + token * bits_words(tile->batch->n_slots);

	for (size_t i = 0; i < tile->count; i++)
		if (tile->activations[token * TILE_SLOTS + i] > 0)
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
