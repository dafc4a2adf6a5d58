// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts of pairs agree with counting them naively, whatever the way, the pool and the source
 * of the tokens.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "placement/coactivation_private.h"

static uint32_t naive_pairs(const struct activity *activity, uint32_t a, uint32_t b)
{
	uint32_t count = 0;

	for (uint64_t t = 0; t < activity->n_tokens; t++)
		count += fired_for(activity, t, a) && fired_for(activity, t, b);
	return count;
}

static void assert_naive(const struct coactivation *coactivation, const struct activity *activity)
{
	uint32_t n = activity->n_neurons;
	uint32_t *row = malloc(n * sizeof(*row));

	assert_non_null(row);
	assert_int_equal(coactivation->n_neurons, n);
	assert_int_equal(coactivation->n_tokens, activity->n_tokens);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(coactivation->frequency[i], naive_pairs(activity, i, i));
		coactivation_row(coactivation, i, row);
		for (uint32_t j = 0; j < n; j++) {
			uint32_t expected = i == j ? 0 : naive_pairs(activity, i, j);

			assert_int_equal(row[j], expected);
			assert_int_equal(coactivation_pair(coactivation, i, j), expected);
		}
	}
	free(row);
}

static void assert_counts(const struct activity *activity, struct thread_pool *pool)
{
	struct coactivation coactivation;
	struct error err;

	assert_ok(coactivation_count(activity, pool, &coactivation, &err), &err);
	assert_naive(&coactivation, activity);
	coactivation_free(&coactivation);
}

/* Sizes around a word and a block, and more than a tile; shares for either way. */
static void counts_are_exact(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 31, 32, 33, 63, 64, 65, 130 };
	static const uint64_t tokens[] = { 0, 1, 64, 203 };
	static const double shares[] = { 0, 0.03, 0.6, 1 };
	struct thread_pool *pool;
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t t = 0; t < sizeof(tokens) / sizeof(tokens[0]); t++)
			for (size_t p = 0; p < sizeof(shares) / sizeof(shares[0]); p++) {
				struct activity activity = make_independent_activity(
					s * 100 + t * 10 + p, sizes[s], tokens[t], shares[p]);

				assert_counts(&activity, p % 2 ? pool : NULL);
				activity_free(&activity);
			}
	thread_pool_destroy(pool);
}

static void several_batches_add_up(void **state)
{
	struct activity activity = make_independent_activity(7, 20, 2 * BATCH_TOKENS + 1, 0.4);

	(void)state;
	assert_counts(&activity, NULL);
	activity_free(&activity);
}

/* A tile of rows is counted with some columns after the other. */
static void a_large_layer_is_counted(void **state)
{
	struct activity activity = make_independent_activity(8, 1100, 70, 0.2);
	struct thread_pool *pool;
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	assert_counts(&activity, pool);
	thread_pool_destroy(pool);
	activity_free(&activity);
}

/* One token more than narrow counts are for, and a pair that fires for all of them. */
static void counts_get_wider(void **state)
{
	static const uint64_t tokens[] = { UINT16_MAX, UINT16_MAX + 1 };

	(void)state;
	for (int i = 0; i < 2; i++)
		for (int share = 0; share < 2; share++) {
			struct activity activity = make_clustered_activity(
				3, 12, tokens[i], 2, share ? 1 : 0.01);
			struct coactivation coactivation;
			struct error err;

			assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
			assert_int_equal(!coactivation.narrow, tokens[i] > UINT16_MAX);
			assert_int_equal(!coactivation.wide, tokens[i] <= UINT16_MAX);
			assert_naive(&coactivation, &activity);
			coactivation_free(&coactivation);
			activity_free(&activity);
		}
}

/* Which neurons are counted in which way must not be what makes a count right. */
static void both_ways_agree(void **state)
{
	static const double shares[] = { 0.02, 0.1 };
	/* All densely, those that are below 8 or 30 of 300 sparsely, all sparsely. */
	static const uint32_t dense_from[] = { 0, 8, 30, BATCH_TOKENS + 1 };
	/* Wide or narrow counts. */
	static const uint64_t n_tokens[] = { 300, UINT16_MAX + 1 };
	struct coactivation coactivation;
	struct coactivation_batch batch;
	struct error err;

	(void)state;
	for (int i = 0; i < 2 * 4 * 2; i++) {
		struct activity activity =
			make_independent_activity((uint64_t)i, 150, 300, shares[i % 2]);

		assert_ok(coactivation_create(150, n_tokens[i / 8], &coactivation, &err), &err);
		assert_ok(batch_create(150, NULL, &coactivation, &batch, &err), &err);
		batch_count_from(&batch, activity.fired, 300, dense_from[i / 2 % 4]);
		coactivation.n_tokens = 300;
		assert_naive(&coactivation, &activity);
		/* A second batch adds to what is there. */
		batch_count_from(&batch, activity.fired, 300, dense_from[(i / 2 + 1) % 4]);
		assert_int_equal(coactivation_pair(&coactivation, 0, 1),
				 2 * naive_pairs(&activity, 0, 1));
		assert_int_equal(coactivation.frequency[149], 2 * naive_pairs(&activity, 149, 149));
		batch_free(&batch);
		coactivation_free(&coactivation);
		activity_free(&activity);
	}
}

static void assert_trace_counts(const struct trace *trace, enum activity_part part,
				struct thread_pool *pool)
{
	for (uint32_t layer = 0; layer < 2; layer++) {
		struct coactivation coactivation;
		struct activity activity;
		struct error err;

		assert_ok(activity_load(trace, layer, part, &activity, &err), &err);
		assert_ok(coactivation_count_trace(trace, layer, part, pool, &coactivation, &err),
			  &err);
		assert_naive(&coactivation, &activity);
		coactivation_free(&coactivation);
		activity_free(&activity);
	}
}

static struct trace *make_trace(const char *folder, uint32_t chunk_tokens)
{
	char *path = path_in(folder, "a.trace");
	struct activity layers[2] = {
		make_independent_activity(1, 40, BATCH_TOKENS + 900, 0.05),
		make_clustered_activity(2, 40, BATCH_TOKENS + 900, 5, 0.3),
	};
	struct trace *trace;
	struct error err;

	write_activities(path, 1, layers, 2, chunk_tokens);
	assert_ok(trace_open(path, &trace, &err), &err);
	activity_free(&layers[0]);
	activity_free(&layers[1]);
	free(path);
	return trace;
}

/* Chunks that fill a batch, that do not divide it, of which one is a batch. */
static void a_trace_is_counted_chunk_by_chunk(void **state)
{
	static const uint32_t chunk_tokens[] = { 100, 512, 3000, TRACE_CHUNK_TOKENS };
	struct thread_pool *pool;
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	for (int i = 0; i < 4; i++) {
		char *folder = make_folder();
		struct trace *trace = make_trace(folder, chunk_tokens[i]);

		for (int part = ACTIVITY_SEEN; part <= ACTIVITY_ALL; part++)
			assert_trace_counts(trace, (enum activity_part)part,
					    part % 2 ? NULL : pool);
		trace_close(trace);
		remove_folder(folder);
	}
	thread_pool_destroy(pool);
}

/* Many chunks are not what they were: the message is of the first, whoever reads it. */
static void damage_is_found(void **state)
{
	char *folder = make_folder(), *path = path_in(folder, "a.trace");
	struct trace *trace = make_trace(folder, 100);
	struct coactivation coactivation;
	struct thread_pool *pool;
	struct error err;
	int fd = open(path, O_WRONLY);

	(void)state;
	assert_true(fd >= 0);
	/* The first block begins behind the header's 72 bytes. */
	for (off_t at = 80; at < 20000; at += 100)
		assert_int_equal(pwrite(fd, "\xff\xff", 2, at), 2);
	close(fd);
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	for (uint32_t layer = 0; layer < 2; layer++) {
		assert_int_equal(coactivation_count_trace(trace, layer, ACTIVITY_ALL, pool,
							  &coactivation, &err),
				 -EINVAL);
		assert_non_null(strstr(err.message, layer ? "chunk 0, layer 1: the block"
							  : "chunk 0, layer 0: the block"));
	}
	thread_pool_destroy(pool);
	trace_close(trace);
	free(path);
	remove_folder(folder);
}

/* Of one neuron, by looking for the best that it has not got yet. */
static void find_plainly(const struct coactivation *coactivation, uint32_t neuron,
			 uint32_t n_friends, uint32_t *friends)
{
	for (uint32_t k = 0; k < n_friends; k++) {
		uint32_t best = COACTIVATION_NO_FRIEND, most = 0;

		for (uint32_t other = 0; other < coactivation->n_neurons; other++) {
			uint32_t count = coactivation_pair(coactivation, neuron, other);
			bool taken = false;

			for (uint32_t i = 0; i < k; i++)
				taken |= friends[i] == other;
			if (!taken && count > most) {
				most = count;
				best = other;
			}
		}
		friends[k] = best;
	}
}

static void assert_friends(const struct activity *activity, struct thread_pool *pool)
{
	static const uint32_t n_friends[] = { 1, 5, COACTIVATION_MOST_FRIENDS };
	uint32_t n = activity->n_neurons;
	uint32_t *friends = malloc(n * COACTIVATION_MOST_FRIENDS * sizeof(*friends));
	struct coactivation coactivation;
	struct error err;

	assert_non_null(friends);
	assert_ok(coactivation_count(activity, pool, &coactivation, &err), &err);
	for (int i = 0; i < 3; i++) {
		uint32_t expected[COACTIVATION_MOST_FRIENDS];

		coactivation_friends(&coactivation, n_friends[i], pool, friends);
		for (uint32_t neuron = 0; neuron < n; neuron++) {
			find_plainly(&coactivation, neuron, n_friends[i], expected);
			assert_memory_equal(friends + neuron * n_friends[i], expected,
					    n_friends[i] * sizeof(*expected));
		}
	}
	coactivation_free(&coactivation);
	free(friends);
}

/* Many ties in few tokens; fewer neurons than friends; whole strips and the rest of one. */
static void friends_are_the_highest_counts(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 20, 64, 200, 256 };
	static const uint64_t tokens[] = { 20, 700, UINT16_MAX + 1 };
	struct thread_pool *pool;
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t t = 0; t < 3; t++) {
			struct activity activity = make_clustered_activity(
				s, sizes[s], tokens[t], 3, t == 2 ? 0.002 : 0.1);

			assert_friends(&activity, s % 2 ? pool : NULL);
			activity_free(&activity);
		}
	thread_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_layer_is_counted),
		cmocka_unit_test(a_trace_is_counted_chunk_by_chunk),
		cmocka_unit_test(both_ways_agree),
		cmocka_unit_test(counts_are_exact),
		cmocka_unit_test(counts_get_wider),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(friends_are_the_highest_counts),
		cmocka_unit_test(several_batches_add_up),
	};

	return cmocka_run_group_tests_name("coactivation", tests, NULL, NULL);
}
