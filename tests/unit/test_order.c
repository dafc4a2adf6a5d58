// SPDX-License-Identifier: GPL-2.0-only
/*
 * The greedy search gives the very order of a plain implementation (sort all
 * pairs, union-find) on many small layers, however little it may sort at a time.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "placement/order.h"
#include "placement/order_private.h"

#define MAX_NEURONS 48

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
			if (coactivation->pairs[(size_t)i * n + j])
				pairs[n_pairs++] =
					(struct plain_pair){ coactivation->pairs[(size_t)i * n + j],
							     i, j };
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

/* Few tokens or few values make ties, many make an order of its own. */
static void fill_randomly(struct random_state *random, struct coactivation *coactivation)
{
	uint32_t n = 1 + (uint32_t)random_below(random, MAX_NEURONS);
	uint32_t values = 1 + (uint32_t)random_below(random, random_below(random, 2) ? 5 : 3000);

	coactivation->n_neurons = n;
	coactivation->n_tokens = values;
	for (uint32_t i = 0; i < n; i++)
		coactivation->frequency[i] = (uint32_t)random_below(random, values + 1);
	for (uint32_t i = 0; i < n; i++) {
		coactivation->pairs[i * n + i] = 0;
		for (uint32_t j = i + 1; j < n; j++) {
			uint32_t most = coactivation->frequency[i] < coactivation->frequency[j]
						? coactivation->frequency[i]
						: coactivation->frequency[j];
			uint32_t count = (uint32_t)random_below(random, most + 1);

			coactivation->pairs[i * n + j] = count;
			coactivation->pairs[j * n + i] = count;
		}
	}
}

static void linked_is_the_plain_search(void **state)
{
	uint32_t frequency[MAX_NEURONS], pairs[MAX_NEURONS * MAX_NEURONS];
	struct coactivation coactivation = { .frequency = frequency, .pairs = pairs };
	struct random_state random;
	struct error err;

	(void)state;
	random_seed(&random, 11);
	for (int round = 0; round < 1000; round++) {
		const size_t rooms[] = { 1, 2, 1 + random_below(&random, 100), 4000 };
		uint32_t expected[MAX_NEURONS], order[MAX_NEURONS];

		fill_randomly(&random, &coactivation);
		order_plainly(&coactivation, expected);
		for (int r = 0; r < 4; r++) {
			assert_ok(order_linked_in_room(&coactivation, rooms[r], order, &err), &err);
			assert_memory_equal(order, expected,
					    coactivation.n_neurons * sizeof(*order));
		}
		make_order(ORDER_LINKED, &coactivation, NULL, 0, order);
		assert_memory_equal(order, expected, coactivation.n_neurons * sizeof(*order));
	}
}

static void linked_by_hand(void **state)
{
	/* 1-3 (9) and 1-4 (8) link; 3-4 (7) would close a ring, 1-2 (6) be a third link. */
	uint32_t frequency[] = { 20, 9, 6, 15, 8, 0 };
	uint32_t pairs[36] = { 0 };
	struct coactivation coactivation = { 6, 20, frequency, pairs };
	const uint32_t expected[] = { 0, 3, 1, 4, 2, 5 };
	uint32_t order[6];
	struct error err;

	(void)state;
	pairs[1 * 6 + 3] = pairs[3 * 6 + 1] = 9;
	pairs[1 * 6 + 4] = pairs[4 * 6 + 1] = 8;
	pairs[3 * 6 + 4] = pairs[4 * 6 + 3] = 7;
	pairs[1 * 6 + 2] = pairs[2 * 6 + 1] = 6;
	assert_ok(order_linked(&coactivation, order, &err), &err);
	assert_memory_equal(order, expected, sizeof(order));
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
	struct coactivation coactivation = { 7, 9, frequency, NULL };
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
	order_strengths(&coactivation, order, strength);
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
		cmocka_unit_test(names_are_known),
		cmocka_unit_test(strengths_are_conditional_probabilities),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
