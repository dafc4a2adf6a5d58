// SPDX-License-Identifier: GPL-2.0-only
/*
 * What orders cost: without a cache against a plain count over booleans, with one against a
 * cache that really keeps bundles, and a small case by hand.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/median.h"
#include "base/random.h"
#include "bench/order_replay.h"
#include "model/place_choice.h"
#include "storage/cache.h"
#include "storage/plan.h"

#define MAX_NEURONS 150
#define MAX_LAYERS 3
#define MAX_TOKENS 40

static bool about(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

/* A model, an order of it and tokens, all of them drawn. */
struct subject {
	uint32_t n_layers, n_neurons, n_tokens;
	uint32_t order[MAX_LAYERS * MAX_NEURONS]; /* (n_layers, n_neurons) */
	float frequency[MAX_LAYERS * MAX_NEURONS]; /* by neuron */
	struct activity layers[MAX_LAYERS];
	uint64_t fired[MAX_LAYERS * 3]; /* of one token */
};

static void draw_subject(struct subject *subject, uint64_t seed, double share)
{
	struct random_state random;

	random_seed(&random, seed);
	subject->n_layers = 1 + (uint32_t)random_below(&random, MAX_LAYERS);
	subject->n_neurons = 1 + (uint32_t)random_below(&random, MAX_NEURONS);
	subject->n_tokens = 1 + (uint32_t)random_below(&random, MAX_TOKENS);
	for (uint32_t l = 0; l < subject->n_layers; l++) {
		uint32_t first = l * subject->n_neurons;

		random_permutation(&random, subject->order + first, subject->n_neurons);
		for (uint32_t i = 0; i < subject->n_neurons; i++)
			subject->frequency[first + i] = (float)random_unit(&random);
		subject->layers[l] = make_clustered_activity(seed + l, subject->n_neurons,
							     subject->n_tokens, 4, share);
	}
}

static void free_subject(struct subject *subject)
{
	for (uint32_t l = 0; l < subject->n_layers; l++)
		activity_free(&subject->layers[l]);
}

static const uint64_t *token_of(struct subject *subject, uint32_t token)
{
	size_t words = bits_words(subject->n_neurons);

	for (uint32_t l = 0; l < subject->n_layers; l++)
		memcpy(subject->fired + l * words, subject->layers[l].fired + token * words,
		       words * sizeof(*subject->fired));
	return subject->fired;
}

static bool is_wanted(const struct subject *subject, uint32_t token, uint32_t layer, uint32_t slot)
{
	return fired_for(&subject->layers[layer], token,
			 subject->order[layer * subject->n_neurons + slot]);
}

static struct order_cost replay(struct subject *subject, const struct order_replay_options *options)
{
	const struct order_replay_model model = { subject->n_layers, subject->n_neurons,
						  subject->n_neurons, subject->frequency };
	struct order_replay *replay;
	struct order_cost cost;
	struct error err;

	assert_ok(order_replay_check(options, &err), &err);
	assert_ok(order_replay_create(options, &model, subject->order, &replay, &err), &err);
	for (uint32_t t = 0; t < subject->n_tokens; t++)
		assert_ok(order_replay_token(replay, token_of(subject, t), &err), &err);
	order_replay_finish(replay, &cost);
	order_replay_free(replay);
	return cost;
}

/* --- A plain count, without a cache --- */

struct plain {
	double us;
	uint32_t reads, bundles, wanted, runs;
	uint32_t runs_by_length[ORDER_REPLAY_LENGTHS];
};

/* Marks what is read, gaps of up to `gap` included, or all between the ends if that is no dearer. */
static void count_layer(const struct subject *subject, uint32_t token, uint32_t layer,
			struct device_cost device, uint32_t bundle_bytes, struct plain *plain)
{
	uint32_t n = subject->n_neurons, gap, first = n, last = 0, reads = 0, bundles = 0, length = 0;
	bool read[MAX_NEURONS] = { false };
	double by_gaps, by_sweep;

	gap = (uint32_t)(device.a_us / device.b_us_per_mib * 1048576) / bundle_bytes;
	for (uint32_t from = 0; from < n; from++) {
		if (!is_wanted(subject, token, layer, from))
			continue;
		first = from < first ? from : first;
		last = from;
		read[from] = true;
		plain->wanted++;
		for (uint32_t to = from + 1; to < n && to - from - 1 <= gap; to++)
			if (is_wanted(subject, token, layer, to))
				memset(read + from, true, to - from);
	}
	for (uint32_t slot = 0; slot < n; slot++) {
		bundles += read[slot];
		reads += read[slot] && (slot == 0 || !read[slot - 1]);
		length = is_wanted(subject, token, layer, slot) ? length + 1 : 0;
		if (length && (slot + 1 == n || !is_wanted(subject, token, layer, slot + 1))) {
			plain->runs++;
			plain->runs_by_length[(int)log2(length)]++;
		}
	}
	by_gaps = reads * device.a_us + bundles * device.b_us_per_mib * bundle_bytes / 1048576;
	by_sweep = device.a_us +
		   (last + 1.0 - first) * device.b_us_per_mib * bundle_bytes / 1048576;
	if (gap && reads > 1 && by_sweep <= by_gaps) {
		reads = 1;
		bundles = last + 1 - first;
		by_gaps = by_sweep;
	}
	plain->us += by_gaps;
	plain->reads += reads;
	plain->bundles += bundles;
}

static void assert_plain(struct subject *subject, const struct order_replay_options *options)
{
	struct order_cost cost = replay(subject, options);
	double n = subject->n_tokens - options->warm_up, us[MAX_TOKENS], sum = 0;
	struct plain plain = { 0 };

	for (uint32_t t = options->warm_up; t < subject->n_tokens; t++) {
		double before = plain.us;

		for (uint32_t l = 0; l < subject->n_layers; l++)
			count_layer(subject, t, l, options->cost, options->bundle_bytes, &plain);
		us[t - options->warm_up] = plain.us - before;
		sum += plain.us - before;
	}
	assert_int_equal(cost.tokens, subject->n_tokens - options->warm_up);
	assert_true(about(cost.device_us, sum / n));
	assert_true(about(cost.device_us_median, median(us, (size_t)n)));
	assert_true(about(cost.device_us_p99, us[(size_t)ceil(0.99 * n) - 1]));
	assert_true(about(cost.reads, plain.reads / n));
	assert_true(about(cost.bundles, plain.bundles / n));
	assert_true(about(cost.wanted, plain.wanted / n));
	assert_true(about(cost.missed, plain.wanted / n));
	assert_true(cost.cache_hit_share == 0);
	assert_true(about(cost.runs, plain.runs / n));
	assert_true(about(cost.run_length,
			  plain.runs ? (double)plain.wanted / plain.runs : 0));
	assert_true(about(cost.missed_run_length, cost.run_length));
	for (int i = 0; i < ORDER_REPLAY_LENGTHS; i++)
		assert_true(about(cost.runs_by_length[i], plain.runs_by_length[i] / n));
}

static void no_cache_is_a_plain_count(void **state)
{
	/* Gaps of 0, 1, 4 and 16 bundles. */
	static const uint32_t bundle_bytes[] = { 17000, 16384, 4096, 1000 };
	struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .max_tokens = MAX_TOKENS,
	};
	struct random_state random;

	(void)state;
	random_seed(&random, 4);
	for (uint64_t round = 0; round < 200; round++) {
		struct subject subject;

		draw_subject(&subject, round, random_unit(&random));
		options.bundle_bytes = bundle_bytes[round % 4];
		options.warm_up = (uint32_t)random_below(&random, subject.n_tokens);
		/* What fits into the largest read: the count knows of no limit. */
		if ((uint64_t)subject.n_neurons * options.bundle_bytes <= 1 << 20)
			assert_plain(&subject, &options);
		free_subject(&subject);
	}
}

/* --- With a cache: one that has bytes, and is looked after by hand --- */

struct cached {
	struct cache *cache;
	struct plan plan;
	double us;
	uint64_t reads, missed, missed_runs, hits;
};

static void ask_cached(const struct subject *subject, uint32_t token, uint32_t layer,
		       const struct plan_limits *limits, struct cached *cached)
{
	bool missing[MAX_NEURONS] = { false };
	uint64_t set[3] = { 0 };
	char *content = calloc(1, limits->stride);
	struct error err;

	assert_non_null(content);
	cache_begin(cached->cache);
	for (uint32_t slot = 0; slot < subject->n_neurons; slot++) {
		if (!is_wanted(subject, token, layer, slot))
			continue;
		if (cache_lookup(cached->cache, layer, slot)) {
			cached->hits++;
		} else {
			missing[slot] = true;
			bits_set(set, slot);
		}
	}
	assert_ok(plan_make(set, subject->n_neurons, limits, &cached->plan, &err), &err);
	for (uint32_t slot = 0; slot < subject->n_neurons; slot++)
		if (is_wanted(subject, token, layer, slot) && !missing[slot])
			cache_unpin(cached->cache, layer, slot);
	for (uint32_t i = 0; i < cached->plan.n_reads; i++) {
		const struct plan_read *planned = &cached->plan.reads[i];
		struct cache_read read = { .slots = planned->n_slots };

		for (uint32_t k = 0; k < planned->n_slots; k++)
			read.bundles += missing[planned->first_slot + k];
		for (uint32_t k = 0; k < planned->n_slots; k++)
			if (missing[planned->first_slot + k])
				cache_admit(cached->cache, layer, planned->first_slot + k, content,
					    read);
		cached->missed += read.bundles;
	}
	cached->us += cached->plan.predicted_us;
	cached->reads += cached->plan.n_reads;
	cached->missed_runs += cached->plan.n_runs;
	free(content);
}

static void assert_cached(struct subject *subject, const struct order_replay_options *options)
{
	const struct plan_limits limits = {
		.cost = options->cost, .gap_bytes = device_break_even_bytes(options->cost),
		.stride = options->bundle_bytes, .max_read_bytes = 1 << 20,
	};
	float by_slot[MAX_LAYERS * MAX_NEURONS];
	struct cache_options cache = {
		.n_layers = subject->n_layers, .slots = subject->n_neurons,
		.stride = options->bundle_bytes, .frequency = by_slot,
		.capacity = (uint64_t)(options->cache_ratio * subject->n_layers * subject->n_neurons),
		.break_even_bytes = limits.gap_bytes,
	};
	struct order_cost cost = replay(subject, options);
	struct cached cached = { 0 };
	double n = subject->n_tokens;
	struct error err;

	for (uint32_t i = 0; i < subject->n_layers * subject->n_neurons; i++)
		by_slot[i] = subject->frequency[i / subject->n_neurons * subject->n_neurons +
						subject->order[i]];
	assert_ok(cache_create(&cache, &cached.cache, &err), &err);
	for (uint32_t t = 0; t < subject->n_tokens; t++)
		for (uint32_t l = 0; l < subject->n_layers; l++)
			ask_cached(subject, t, l, &limits, &cached);
	assert_true(about(cost.device_us, cached.us / n));
	assert_true(about(cost.reads, (double)cached.reads / n));
	assert_true(about(cost.missed, (double)cached.missed / n));
	assert_true(about(cost.wanted - cost.missed, (double)cached.hits / n));
	assert_true(about(cost.cache_hit_share, cost.wanted ? cached.hits / n / cost.wanted : 0));
	assert_true(about(cost.missed_run_length, cached.missed_runs ?
			  (double)cached.missed / (double)cached.missed_runs : 0));
	cache_destroy(cached.cache);
	plan_free(&cached.plan);
}

static void cache_is_the_engines(void **state)
{
	static const double ratios[] = { 0.05, 0.2, 0.5, 1 };
	struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .max_tokens = MAX_TOKENS,
	};

	(void)state;
	for (uint64_t round = 0; round < 120; round++) {
		struct subject subject;

		draw_subject(&subject, round, 0.1);
		options.bundle_bytes = round % 2 ? 4096 : 16384;
		options.cache_ratio = ratios[round / 2 % 4];
		assert_cached(&subject, &options);
		free_subject(&subject);
	}
}

/*
 * Two layers of 8 neurons in reverse order, bundles of 16 KiB: a gap of one bundle is read
 * over. The first token wants neurons 0, 2 and 7 of each, the second the same and 1 of layer 1.
 */
static void two_tokens_by_hand(void **state)
{
	uint32_t order[16];
	uint64_t first[] = { 1 << 0 | 1 << 2 | 1 << 7, 1 << 0 | 1 << 2 | 1 << 7 };
	uint64_t second[] = { first[0], first[1] | 1 << 1 };
	struct order_replay_options options = {
		.cost = { .a_us = 10, .b_us_per_mib = 640 }, /* 10 us for a bundle, too */
		.bundle_bytes = 16384, .cache_ratio = 1, .max_tokens = 2,
	};
	const struct order_replay_model model = { 2, 8, 8, NULL };
	struct order_replay *replay;
	struct order_cost cost;
	struct error err;

	(void)state;
	for (uint32_t i = 0; i < 16; i++)
		order[i] = 7 - i % 8;
	assert_ok(order_replay_create(&options, &model, order, &replay, &err), &err);
	/* Slots 0, and 5 to 7: two reads, 4 bundles; twice. */
	assert_ok(order_replay_token(replay, first, &err), &err);
	/* All is there but slot 6 of layer 1. */
	assert_ok(order_replay_token(replay, second, &err), &err);
	assert_int_equal(order_replay_token(replay, second, &err), -EINVAL);
	assert_says(&err, "more than the 2 tokens");
	order_replay_finish(replay, &cost);
	order_replay_free(replay);
	assert_int_equal(cost.tokens, 2);
	assert_true(about(cost.device_us, (2 * 60 + 20) / 2.0));
	assert_true(about(cost.device_us_median, 70));
	assert_true(about(cost.device_us_p99, 120));
	assert_true(about(cost.reads, 5 / 2.0));
	assert_true(about(cost.bundles, 9 / 2.0));
	assert_true(about(cost.wanted, 13 / 2.0));
	assert_true(about(cost.missed, 7 / 2.0));
	assert_true(about(cost.missed_run_length, 1)); /* 7 runs */
	assert_true(about(cost.cache_hit_share, 6 / 13.0));
	/* Runs of what is wanted: three, three, three; and slot 0, and 5 to 7. */
	assert_true(about(cost.runs, 11 / 2.0));
	assert_true(about(cost.run_length, 13 / 11.0));
	assert_true(about(cost.runs_by_length[0], 10 / 2.0));
	assert_true(about(cost.runs_by_length[1], 1 / 2.0));
}

/*
 * Neuron 0 stands first, and again behind neuron 7; the last slot is empty. A bundle and an I/O
 * cost 10 us each. It is cached once, wherever it was read.
 */
static void copies_by_hand(void **state)
{
	static const uint32_t order[] = { 0, 1, 2, 3, 4, 5, 6, 7, 0, PLACES_NO_NEURON };
	static const uint64_t tokens[] = { 1 << 0 | 1 << 7, 1 << 0 | 1 << 1, 1 << 0 | 1 << 7,
					   1 << 0 | 1 << 5 };
	struct order_replay_options options = {
		.cost = { .a_us = 10, .b_us_per_mib = 640 },
		.bundle_bytes = 16384, .cache_ratio = 1, .max_tokens = 4,
	};
	const struct order_replay_model model = { 1, 8, 10, NULL };
	struct order_replay *replay;
	struct order_cost cost;
	struct error err;

	(void)state;
	assert_ok(order_replay_create(&options, &model, order, &replay, &err), &err);
	for (int t = 0; t < 4; t++)
		assert_ok(order_replay_token(replay, &tokens[t], &err), &err);
	order_replay_finish(replay, &cost);
	order_replay_free(replay);
	/* Slots 7 and 8; slot 1; nothing; slot 5. */
	assert_true(about(cost.device_us, (30 + 20 + 0 + 20) / 4.0));
	assert_true(about(cost.reads, 3 / 4.0));
	assert_true(about(cost.bundles, 4 / 4.0));
	assert_true(about(cost.missed, 4 / 4.0));
	assert_true(about(cost.cache_hit_share, 4 / 8.0));
	/* If there were no cache: 7 and 8 twice, 0 and 1, and two alone. */
	assert_true(about(cost.runs, 5 / 4.0));
	assert_true(about(cost.runs_by_length[1], 3 / 4.0));
	assert_true(cost.choice_us > 0);
}

/* Two tokens at once, and one that is left over; and the same where there are no copies. */
static void prompts_are_read_at_once(void **state)
{
	static const uint32_t order[] = { 0, 1, 2, 3, 4, 5, 6, 7, 0, PLACES_NO_NEURON };
	static const uint64_t tokens[] = { 1 << 0, 1 << 7, 1 << 1 | 1 << 0, 1 << 4 | 1 << 0, 1 << 6 };

	(void)state;
	for (uint32_t n_slots = 8; n_slots <= 10; n_slots += 2) {
		struct order_replay_options options = {
			.cost = { .a_us = 10, .b_us_per_mib = 640 },
			.bundle_bytes = 16384, .max_tokens = 5, .prompt_tokens = 2,
		};
		const struct order_replay_model model = { 1, 8, n_slots, NULL };
		struct order_replay *replay;
		struct order_cost cost;
		struct error err;

		assert_ok(order_replay_create(&options, &model, order, &replay, &err), &err);
		for (int t = 0; t < 5; t++)
			assert_ok(order_replay_token(replay, &tokens[t], &err), &err);
		order_replay_finish(replay, &cost);
		order_replay_free(replay);
		assert_int_equal(cost.tokens, 2);
		/* 0 and 7: two reads, or 7 and 8; then 0, 1 and 4. */
		assert_true(about(cost.device_us, ((n_slots == 8 ? 40 : 30) + 50) / 2.0));
		assert_true(about(cost.wanted, 5 / 2.0));
	}
}

static void copies_are_read_where_they_are_chosen(void **state)
{
	static const uint32_t bundle_bytes[] = { 16384, 4096, 1000 };
	uint32_t order[MAX_NEURONS + 30];
	struct place_choice choice;
	struct random_state random;
	struct plan plan = { 0 };
	struct error err;

	(void)state;
	random_seed(&random, 6);
	assert_ok(place_choice_create(MAX_NEURONS, &choice, &err), &err);
	for (int round = 0; round < 30; round++) {
		struct order_replay_options options = {
			.cost = DEVICE_COST_UFS4, .max_tokens = MAX_TOKENS,
			.bundle_bytes = bundle_bytes[round % 3],
		};
		const struct plan_limits limits = {
			.cost = options.cost, .gap_bytes = device_break_even_bytes(options.cost),
			.stride = options.bundle_bytes, .max_read_bytes = 1 << 20,
		};
		const struct order_replay_model model = { 1, MAX_NEURONS, MAX_NEURONS + 30, NULL };
		struct activity wanted = make_independent_activity(round, MAX_NEURONS, MAX_TOKENS, 0.08);
		struct order_replay *replay;
		struct order_cost cost;
		struct places places;
		double us = 0;

		random_permutation(&random, order, MAX_NEURONS + 30);
		for (int slot = 0; slot < MAX_NEURONS + 30; slot++)
			order[slot] %= MAX_NEURONS;
		assert_ok(places_create(order, MAX_NEURONS + 30, MAX_NEURONS, &places, &err), &err);
		assert_ok(order_replay_create(&options, &model, order, &replay, &err), &err);
		for (uint64_t t = 0; t < MAX_TOKENS; t++) {
			const uint64_t *fired = wanted.fired + t * bits_words(MAX_NEURONS);
			uint64_t slots[3];

			place_choice_make(&choice, &places, fired, order_replay_io_bundles(&options),
					  slots);
			assert_ok(plan_make(slots, MAX_NEURONS + 30, &limits, &plan, &err), &err);
			us += plan.predicted_us;
			assert_ok(order_replay_token(replay, fired, &err), &err);
		}
		order_replay_finish(replay, &cost);
		/* Choices between equals may be others: neurons have other numbers there. */
		assert_true(fabs(cost.device_us / (us / MAX_TOKENS) - 1) < 0.01);
		order_replay_free(replay);
		places_free(&places);
		activity_free(&wanted);
	}
	place_choice_free(&choice);
	plan_free(&plan);
}

static void neurons_without_a_place_are_refused(void **state)
{
	static const uint32_t twice[] = { 0, 1, 1 }, strange[] = { 0, 1, 3, 2 };
	const struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .bundle_bytes = 4096, .max_tokens = 1,
	};
	const struct order_replay_model three = { 1, 3, 3, NULL }, four = { 1, 3, 4, NULL };
	struct order_replay *replay;
	struct error err;

	(void)state;
	assert_int_equal(order_replay_create(&options, &three, twice, &replay, &err), -EINVAL);
	assert_says(&err, "1 of 3 neurons have no place");
	assert_int_equal(order_replay_create(&options, &four, strange, &replay, &err), -EINVAL);
	assert_says(&err, "slot 2 is said to have neuron 3 of 3");
}

static void long_runs_have_a_place(void **state)
{
	enum { N = 1 << 17 };
	struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .bundle_bytes = 16, .max_tokens = 1,
	};
	const struct order_replay_model model = { 1, N, N, NULL };
	uint32_t *order = malloc(N * sizeof(*order));
	uint64_t *fired = malloc(N / 8);
	struct order_replay *replay;
	struct order_cost cost;
	struct error err;

	(void)state;
	assert_true(order && fired);
	for (uint32_t i = 0; i < N; i++)
		order[i] = i;
	memset(fired, 0xff, N / 8);
	assert_ok(order_replay_create(&options, &model, order, &replay, &err), &err);
	assert_ok(order_replay_token(replay, fired, &err), &err);
	order_replay_finish(replay, &cost);
	assert_true(cost.run_length == N && cost.runs_by_length[ORDER_REPLAY_LENGTHS - 1] == 1);
	/* No read is longer than a MiB. */
	assert_true(cost.reads == N * 16 / (1 << 20));
	order_replay_free(replay);
	free(fired);
	free(order);
}

static void nothing_counts_within_the_warm_up(void **state)
{
	struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .bundle_bytes = 4096, .max_tokens = MAX_TOKENS,
		.warm_up = MAX_TOKENS,
	};
	const struct order_cost none = { 0 };
	struct subject subject;
	struct order_cost cost;

	(void)state;
	draw_subject(&subject, 1, 0.5);
	cost = replay(&subject, &options);
	assert_memory_equal(&cost, &none, sizeof(cost));
	free_subject(&subject);
}

static void impossible_options_are_refused(void **state)
{
	const struct order_replay_options good = {
		.cost = DEVICE_COST_UFS4, .cache_ratio = 1,
	};
	struct order_replay_options bad[5];
	static const char *const messages[] = {
		"a cache ratio of -0.1", "a cache ratio of 1.1",
		"a cache ratio of", "no device costs -1 us", "no device costs 8.5 us an I/O and 0",
	};
	struct error err;

	(void)state;
	assert_ok(order_replay_check(&good, &err), &err);
	for (int i = 0; i < 5; i++)
		bad[i] = good;
	bad[0].cache_ratio = -0.1;
	bad[1].cache_ratio = 1.1;
	bad[2].cache_ratio = NAN;
	bad[3].cost.a_us = -1;
	bad[4].cost.b_us_per_mib = 0;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(order_replay_check(&bad[i], &err), -EINVAL);
		assert_says(&err, messages[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cache_is_the_engines),
		cmocka_unit_test(copies_are_read_where_they_are_chosen),
		cmocka_unit_test(copies_by_hand),
		cmocka_unit_test(impossible_options_are_refused),
		cmocka_unit_test(long_runs_have_a_place),
		cmocka_unit_test(neurons_without_a_place_are_refused),
		cmocka_unit_test(no_cache_is_a_plain_count),
		cmocka_unit_test(nothing_counts_within_the_warm_up),
		cmocka_unit_test(prompts_are_read_at_once),
		cmocka_unit_test(two_tokens_by_hand),
	};

	return cmocka_run_group_tests_name("order_replay", tests, NULL, NULL);
}
