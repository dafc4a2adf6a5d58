// SPDX-License-Identifier: GPL-2.0-only
/*
 * The greedy search gives the very order of a plain implementation (sort all
 * pairs, union-find) on many small layers: with ties, with all counts different, with some neurons that fire
 * with all others, and with more tokens than narrow counts are for.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "placement/order.h"
#include "placement/coactivation_private.h"

#define MAX_NEURONS 150

struct plain_pair {
	uint32_t count;
	uint32_t low;
	uint32_t high;
};

static int compare_pairs(const void *a, const void *b)
{
	const struct plain_pair *x = a;
	const struct plain_pair *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return (x->high > y->high) - (x->high < y->high);
}

static uint32_t find(const uint32_t *parent, uint32_t i)
{
	while (parent[i] != i)
		i = parent[i];
	return i;
}

struct plain {
	uint32_t n;
	const uint32_t *frequency;
	uint32_t parent[MAX_NEURONS];
	uint32_t degree[MAX_NEURONS];
	bool linked[MAX_NEURONS][MAX_NEURONS];
};

static void link_plainly(struct plain *plain, const struct coactivation *coactivation)
{
	static struct plain_pair pairs[MAX_NEURONS * MAX_NEURONS];
	uint32_t n = plain->n;
	size_t n_pairs = 0;

	for (uint32_t i = 0; i < n; i++) {
		plain->parent[i] = i;
		for (uint32_t j = i + 1; j < n; j++)
			if (coactivation_pair(coactivation, i, j))
				pairs[n_pairs++] = (struct plain_pair){
					coactivation_pair(coactivation, i, j), i, j
				};
	}
	qsort(pairs, n_pairs, sizeof(pairs[0]), compare_pairs);
	for (size_t p = 0; p < n_pairs; p++) {
		uint32_t low = pairs[p].low;
		uint32_t high = pairs[p].high;

		if (plain->degree[low] == 2 || plain->degree[high] == 2 ||
		    find(plain->parent, low) == find(plain->parent, high))
			continue;
		plain->linked[low][high] = plain->linked[high][low] = true;
		plain->degree[low]++;
		plain->degree[high]++;
		plain->parent[find(plain->parent, low)] = find(plain->parent, high);
	}
}

static bool comes_first(const struct plain *plain, uint32_t a, uint32_t b)
{
	return plain->frequency[a] > plain->frequency[b] ||
	       (plain->frequency[a] == plain->frequency[b] && a < b);
}

/* The path of the first neuron, by comes_first(), that has no slot; from its first end. */
static uint32_t next_start(const struct plain *plain, const bool *placed)
{
	uint32_t best = UINT32_MAX, start = UINT32_MAX;

	for (uint32_t i = 0; i < plain->n; i++)
		if (!placed[i] && (best == UINT32_MAX || comes_first(plain, i, best)))
			best = i;
	for (uint32_t i = 0; i < plain->n; i++)
		if (find(plain->parent, i) == find(plain->parent, best) && plain->degree[i] < 2 &&
		    (start == UINT32_MAX || comes_first(plain, i, start)))
			start = i;
	return start;
}

static void order_plainly(const struct coactivation *coactivation, uint32_t *order)
{
	struct plain plain = { .n = coactivation->n_neurons, .frequency = coactivation->frequency };
	bool placed[MAX_NEURONS] = { false };
	uint32_t slot = 0;

	link_plainly(&plain, coactivation);
	while (slot < plain.n) {
		uint32_t neuron = next_start(&plain, placed);

		while (neuron < plain.n) {
			uint32_t next = 0;

			placed[neuron] = true;
			order[slot++] = neuron;
			while (next < plain.n && (placed[next] || !plain.linked[neuron][next]))
				next++;
			neuron = next;
		}
	}
}

static void set_pair(struct coactivation *coactivation, uint32_t low, uint32_t high, uint32_t count)
{
	size_t at = coactivation_at(coactivation, low) + high - low - 1;

	if (coactivation->narrow)
		coactivation->narrow[at] = (uint16_t)count;
	else
		coactivation->wide[at] = count;
}

enum kind {
	TIES, /* few values */
	DIFFERENT, /* hardly any value twice */
	HEAVY_TAILED, /* frequencies fall as 1 / rank, counts are what chance would make them */
	KINDS,
};

static uint32_t draw_frequency(struct random_state *random, enum kind kind, uint32_t n_tokens)
{
	if (kind == TIES)
		return (uint32_t)random_below(random, 5);
	if (kind == DIFFERENT)
		return (uint32_t)random_below(random, (uint64_t)n_tokens + 1);
	return n_tokens / (1 + (uint32_t)random_below(random, 200));
}

static uint32_t draw_count(struct random_state *random, enum kind kind, uint32_t n_tokens,
			   uint32_t a, uint32_t b)
{
	uint32_t most = a < b ? a : b;
	uint64_t by_chance = (uint64_t)a * b / n_tokens;

	if (kind != HEAVY_TAILED)
		return (uint32_t)random_below(random, (uint64_t)most + 1);
	by_chance += random_below(random, 3);
	return by_chance < most ? (uint32_t)by_chance : most;
}

/* The caller calls coactivation_free(). */
static struct coactivation draw_coactivation(struct random_state *random, uint32_t n,
					     enum kind kind, uint32_t n_tokens)
{
	struct coactivation coactivation;
	struct error err;

	assert_ok(coactivation_create(n, n_tokens, &coactivation, &err), &err);
	for (uint32_t i = 0; i < n; i++)
		coactivation.frequency[i] = draw_frequency(random, kind, n_tokens);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = i + 1; j < n; j++)
			set_pair(&coactivation, i, j,
				 draw_count(random, kind, n_tokens, coactivation.frequency[i],
					    coactivation.frequency[j]));
	return coactivation;
}

static void assert_plain_order(const struct coactivation *coactivation)
{
	uint32_t expected[MAX_NEURONS], order[MAX_NEURONS];

	order_plainly(coactivation, expected);
	make_order(ORDER_LINKED, coactivation, NULL, 0, order);
	assert_memory_equal(order, expected, coactivation->n_neurons * sizeof(*order));
}

static void linked_is_the_plain_search(void **state)
{
	static const uint32_t n_tokens[] = { 3000, UINT16_MAX, UINT16_MAX + 1, 3000000 };
	struct random_state random;

	(void)state;
	random_seed(&random, 11);
	for (int round = 0; round < 3000; round++) {
		uint32_t most = round % 10 ? 48 : MAX_NEURONS;
		uint32_t n = 1 + (uint32_t)random_below(&random, most);
		struct coactivation coactivation = draw_coactivation(
			&random, n, (enum kind)(round % KINDS), n_tokens[round % 4]);

		assert_plain_order(&coactivation);
		coactivation_free(&coactivation);
	}
}

/* Real counts, of neurons that fire together in clusters and of such that do not. */
static void linked_is_the_plain_search_on_counts(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct activity activity = make_clustered_activity(seed, MAX_NEURONS - seed, 400,
								   1 + seed % 7, 0.06);
		struct coactivation coactivation;
		struct error err;

		assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
		assert_plain_order(&coactivation);
		coactivation_free(&coactivation);
		activity_free(&activity);
	}
}

static void linked_by_hand(void **state)
{
	/* 1-3 (9) and 1-4 (8) link; 3-4 (7) would close a ring, 1-2 (6) be a third link. */
	static const uint32_t frequency[] = { 20, 9, 6, 15, 8, 0 };
	const uint32_t expected[] = { 0, 3, 1, 4, 2, 5 };
	struct coactivation coactivation;
	uint32_t order[6];
	struct error err;

	(void)state;
	assert_ok(coactivation_create(6, 20, &coactivation, &err), &err);
	memcpy(coactivation.frequency, frequency, sizeof(frequency));
	set_pair(&coactivation, 1, 3, 9);
	set_pair(&coactivation, 1, 4, 8);
	set_pair(&coactivation, 3, 4, 7);
	set_pair(&coactivation, 1, 2, 6);
	assert_ok(order_linked(&coactivation, order, &err), &err);
	assert_memory_equal(order, expected, sizeof(order));
	coactivation_free(&coactivation);
}

/* On a layer too large for the plain search. */
static void every_method_permutes(void **state)
{
	struct activity activity = make_clustered_activity(5, 700, 400, 6, 0.04);
	struct coactivation coactivation;
	uint32_t order[700], again[700];
	struct error err;

	(void)state;
	assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
	for (int method = 0; method < ORDER_METHODS; method++) {
		make_order(method, &coactivation, &activity, 9, order);
		assert_permutation(order, 700);
		make_order(method, &coactivation, &activity, 9, again);
		assert_memory_equal(order, again, sizeof(order));
		make_order(method, &coactivation, &activity, 10, again);
		assert_int_equal(!memcmp(order, again, sizeof(order)), method != ORDER_RANDOM);
	}
	for (uint32_t slot = 0; slot < 700; slot++) {
		make_order(ORDER_IDENTITY, &coactivation, &activity, 0, order);
		assert_int_equal(order[slot], slot);
	}
	assert_int_equal(order_make(ORDER_METHODS, &(struct order_input){ .coactivation = &coactivation }, order, &err), -EINVAL);
	coactivation_free(&coactivation);
	activity_free(&activity);
}

static void frequency_breaks_ties_by_index(void **state)
{
	uint32_t frequency[] = { 3, 0, 7, 3, 7, 0, 9 };
	const uint32_t expected[] = { 6, 2, 4, 0, 3, 1, 5 };
	const struct coactivation coactivation = { .n_neurons = 7, .frequency = frequency };
	uint32_t order[7];

	(void)state;
	make_order(ORDER_FREQUENCY, &coactivation, NULL, 0, order);
	assert_memory_equal(order, expected, sizeof(order));
}

static void strengths_are_conditional_probabilities(void **state)
{
	struct activity activity = make_independent_activity(2, 30, 50, 0.08);
	struct coactivation coactivation;
	float strength[30];
	uint32_t order[30];
	struct error err;

	(void)state;
	assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
	make_order(ORDER_RANDOM, &coactivation, &activity, 1, order);
	coactivation.frequency[order[4]] = 0;
	order_strengths(&coactivation, order, sizeof(order) / sizeof(order[0]), strength);
	for (uint32_t slot = 0; slot < 29; slot++) {
		uint32_t both = 0;
		uint32_t frequency = coactivation.frequency[order[slot]];

		for (uint64_t t = 0; t < 50; t++)
			both += fired_for(&activity, t, order[slot]) &&
				fired_for(&activity, t, order[slot + 1]);
		assert_true(strength[slot] == (frequency ? (float)both / (float)frequency : 0));
	}
	assert_true(strength[4] == 0);
	assert_true(strength[29] == 0);
	coactivation_free(&coactivation);
	activity_free(&activity);
}

static void names_are_known(void **state)
{
	(void)state;
	for (int method = 0; method < ORDER_METHODS; method++)
		assert_int_equal(order_method_parse(order_method_name(method)), method);
	assert_string_equal(order_method_name(ORDER_LINKED), "linked");
	assert_int_equal(order_method_parse("link"), -1);
	assert_int_equal(order_method_parse(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_permutes),
		cmocka_unit_test(frequency_breaks_ties_by_index),
		cmocka_unit_test(linked_by_hand),
		cmocka_unit_test(linked_is_the_plain_search),
		cmocka_unit_test(linked_is_the_plain_search_on_counts),
		cmocka_unit_test(names_are_known),
		cmocka_unit_test(strengths_are_conditional_probabilities),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
