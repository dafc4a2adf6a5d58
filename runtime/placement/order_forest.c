// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kruskal's search over few of the pairs. A pair with the prices p and q is worth count - p - q,
 * and only one that is worth more than 0 can be in the forest. At useful prices these are a few
 * for each neuron, of a matrix with thousands.
 *
 * The matrix is read once for many calls: what is kept of it are the pairs that are worth
 * something at floors somewhat below the prices. As long as no price has fallen below its
 * floor, no other pair can be worth anything. When one has, the matrix is read again.
 */
#include "placement/order_forest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A pool's thread takes so many rows at least. */
#define ROWS_AT_A_TIME 16
#define COUNTS_AT_A_TIME 512

/* The room for pairs: 28 bytes for each. All of a layer of up to 129 neurons fit in. */
#define PAIRS_PER_NEURON 64

/* Floors are tried nearer and nearer to the prices, and at last there. */
#define SLACK_TRIES 8
#define FIRST_SLACK (1 << (PRICE_BITS - 10))

#define RADIX_BITS 9
#define RADIX (1 << RADIX_BITS)

struct forest_pair {
	uint32_t low, high;
	int32_t count; /* in the forest's units */
};

struct forest_worth {
	uint32_t worth;
	uint32_t pair; /* index */
};

/* Counts of neuron i with j and the next ones, as many as fit, up to the last neuron. */
static size_t load_counts(const struct coactivation *coactivation, size_t i, size_t j,
			  uint32_t *counts)
{
	size_t at = coactivation_at(coactivation, (uint32_t)i) + j - i - 1;
	size_t left = coactivation->n_neurons - j;
	size_t n = left < COUNTS_AT_A_TIME ? left : COUNTS_AT_A_TIME;

	if (coactivation->narrow)
		for (size_t k = 0; k < n; k++)
			counts[k] = coactivation->narrow[at + k];
	else
		memcpy(counts, coactivation->wide + at, n * sizeof(*counts));
	return n;
}

/* Each neuron's greatest count. */
static void find_friends(struct order_forest *forest)
{
	const struct coactivation *coactivation = forest->coactivation;

	coactivation_friends(coactivation, 1, forest->pool, forest->friend);
	for (uint32_t i = 0; i < coactivation->n_neurons; i++)
		forest->friend[i] = forest->friend[i] == COACTIVATION_NO_FRIEND ? 0 :
			coactivation_pair(coactivation, i, forest->friend[i]);
}

int order_forest_create(struct order_forest *forest, const struct coactivation *coactivation,
			struct thread_pool *pool, struct error *err)
{
	const size_t n = coactivation->n_neurons;
	uint32_t most = 1;

	*forest = (struct order_forest){
		.coactivation = coactivation,
		.pool = pool,
		.slack = FIRST_SLACK,
		.room = n * PAIRS_PER_NEURON,
		.friend = malloc(n * sizeof(*forest->friend)),
		.floor = malloc(n * sizeof(*forest->floor)),
		.row_start = malloc(n * sizeof(*forest->row_start)),
		.root = malloc(n * sizeof(*forest->root)),
	};
	forest->pairs = malloc(forest->room * sizeof(*forest->pairs));
	forest->worths = malloc(forest->room * sizeof(*forest->worths));
	forest->spare = malloc(forest->room * sizeof(*forest->spare));
	if (!forest->friend || !forest->floor || !forest->row_start || !forest->root ||
	    !forest->pairs || !forest->worths || !forest->spare) {
		order_forest_free(forest);
		return error_no_memory(err, "a forest of neurons");
	}
	find_friends(forest);
	for (size_t i = 0; i < n; i++) {
		most = forest->friend[i] > most ? forest->friend[i] : most;
		forest->floor[i] = INT32_MAX; /* above any price: nothing was read yet */
	}
	if (most >> PRICE_BITS) {
		order_forest_free(forest);
		return error_set(err, -EINVAL,
				 "a pair that fired %u times is more than the bound can count",
				 most);
	}
	while (most << (forest->shift + 1) < 1u << PRICE_BITS)
		forest->shift++;
	return 0;
}

void order_forest_free(struct order_forest *forest)
{
	free(forest->friend);
	free(forest->floor);
	free(forest->row_start);
	free(forest->root);
	free(forest->pairs);
	free(forest->worths);
	free(forest->spare);
}

static void count_pairs(void *arg, size_t begin, size_t end)
{
	struct order_forest *forest = arg;
	const size_t neurons = forest->coactivation->n_neurons;
	const int32_t *floor = forest->floor;
	const unsigned int shift = forest->shift;
	uint32_t counts[COUNTS_AT_A_TIME];

	for (size_t i = begin; i < end; i++) {
		const int32_t own = floor[i];
		uint32_t count = 0;

		for (size_t j = i + 1, n; j < neurons; j += n) {
			n = load_counts(forest->coactivation, i, j, counts);
			for (size_t k = 0; k < n; k++)
				count += (int32_t)(counts[k] << shift) > own + floor[j + k];
		}
		forest->row_start[i] = count;
	}
}

static void take_pairs(void *arg, size_t begin, size_t end)
{
	struct order_forest *forest = arg;
	const size_t neurons = forest->coactivation->n_neurons;
	uint32_t counts[COUNTS_AT_A_TIME];

	for (size_t i = begin; i < end; i++) {
		struct forest_pair *to = forest->pairs + forest->row_start[i];

		for (size_t j = i + 1, n; j < neurons; j += n) {
			n = load_counts(forest->coactivation, i, j, counts);
			for (size_t k = 0; k < n; k++) {
				int32_t count = (int32_t)(counts[k] << forest->shift);

				if (count > forest->floor[i] + forest->floor[j + k])
					*to++ = (struct forest_pair){ (uint32_t)i,
								      (uint32_t)(j + k), count };
			}
		}
	}
}

/* Pairs above the floors, and where those of each row start. */
static size_t count_all_pairs(struct order_forest *forest)
{
	const uint32_t n = forest->coactivation->n_neurons;
	size_t sum = 0;

	thread_pool_run(forest->pool, n, ROWS_AT_A_TIME, count_pairs, forest);
	for (uint32_t i = 0; i < n; i++) {
		size_t of_row = forest->row_start[i];

		forest->row_start[i] = sum;
		sum += of_row;
	}
	return sum;
}

static void set_floors(struct order_forest *forest, const int32_t *price, const double *scale,
		       double slack)
{
	for (uint32_t i = 0; i < forest->coactivation->n_neurons; i++) {
		double floor = price[i] - slack * scale[i];

		forest->floor[i] = floor > 0 ? (int32_t)floor : 0;
	}
}

static bool prices_hold(const struct order_forest *forest, const int32_t *price)
{
	for (uint32_t i = 0; i < forest->coactivation->n_neurons; i++)
		if (price[i] < forest->floor[i])
			return false;
	return true;
}

/* A slack with two thirds of the room to spare will be greater the next time. */
static int read_matrix(struct order_forest *forest, const int32_t *price, const double *scale)
{
	for (int tries = 1; tries <= SLACK_TRIES; tries++, forest->slack /= 2) {
		set_floors(forest, price, scale, tries < SLACK_TRIES ? forest->slack : 0);
		forest->n_pairs = count_all_pairs(forest);
		if (forest->n_pairs <= forest->room)
			break;
	}
	if (forest->n_pairs < forest->room / 3)
		forest->slack *= 2;
	if (forest->n_pairs > forest->room) {
		forest->n_pairs = 0;
		forest->floor[0] = INT32_MAX; /* to be read again */
		return -E2BIG;
	}
	thread_pool_run(forest->pool, forest->coactivation->n_neurons, ROWS_AT_A_TIME, take_pairs,
			forest);
	return 0;
}

/* By worth, the highest first; ties stay as they are, which is by index. */
static void sort_worths(struct order_forest *forest, size_t n)
{
	for (unsigned int bit = 0; bit < PRICE_BITS; bit += RADIX_BITS) {
		struct forest_worth *from = forest->worths;
		size_t start[RADIX] = { 0 }, sum = 0;

		for (size_t i = 0; i < n; i++)
			start[from[i].worth >> bit & (RADIX - 1)]++;
		for (size_t digit = RADIX; digit-- > 0;) {
			size_t of_digit = start[digit];

			start[digit] = sum;
			sum += of_digit;
		}
		for (size_t i = 0; i < n; i++)
			forest->spare[start[from[i].worth >> bit & (RADIX - 1)]++] = from[i];
		forest->worths = forest->spare;
		forest->spare = from;
	}
}

/* Every step halves the way for the next who goes it. */
static uint32_t find_root(uint32_t *root, uint32_t i)
{
	while (root[i] != i) {
		root[i] = root[root[i]];
		i = root[i];
	}
	return i;
}

static size_t find_worths(struct order_forest *forest, const int32_t *price)
{
	size_t n = 0;

	for (size_t p = 0; p < forest->n_pairs; p++) {
		const struct forest_pair *pair = &forest->pairs[p];
		int32_t worth = pair->count - price[pair->low] - price[pair->high];

		if (worth > 0)
			forest->worths[n++] = (struct forest_worth){ (uint32_t)worth, (uint32_t)p };
	}
	return n;
}

int order_forest_grow(struct order_forest *forest, const int32_t *price, const double *scale,
		      uint32_t *degree, int64_t *worth)
{
	size_t n;
	int ret;

	if (!prices_hold(forest, price)) {
		ret = read_matrix(forest, price, scale);
		if (ret < 0)
			return ret;
	}
	for (uint32_t i = 0; i < forest->coactivation->n_neurons; i++) {
		forest->root[i] = i;
		degree[i] = 0;
	}
	n = find_worths(forest, price);
	sort_worths(forest, n);
	*worth = 0;
	for (size_t i = 0; i < n; i++) {
		const struct forest_pair *pair = &forest->pairs[forest->worths[i].pair];
		uint32_t low_root = find_root(forest->root, pair->low);
		uint32_t high_root = find_root(forest->root, pair->high);

		if (low_root == high_root)
			continue;
		forest->root[low_root] = high_root;
		*worth += forest->worths[i].worth;
		degree[pair->low]++;
		degree[pair->high]++;
	}
	return 0;
}
