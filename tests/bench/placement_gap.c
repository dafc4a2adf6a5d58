// SPDX-License-Identifier: GPL-2.0-only
/*
 * placement_gap TRACE TOKENS: how far the orders of placement are from the best there is
 * (Documentation/placement.rst). Of TRACE's layers and of one layer of OPT shapes, drawn with
 * TOKENS tokens: reads per token without collapse, and below what no order's reads can be. Then
 * of small pieces of TRACE's layers, of which the optimum is known: how often it is found,
 * without collapse and with it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "bench/path_search.h"
#include "placement/order.h"
#include "placement/order_best.h"
#include "placement/order_bound.h"
#include "placement/order_optimum.h"
#include "placement/quality.h"
#include "synth/shape.h"

#define SEED 1
#define ROUNDS 500
#define HOT_SHARE 0.05
#define UNSEEN_TOKENS 2000		/* of a shape */
#define BEST_MEMORY (UINT64_C(2) << 30) /* bytes, as `colink place` has by default */
#define PIECES 10			/* of each size and layer */

static struct thread_pool *pool;

static void must(int ret, const struct error *err)
{
	if (ret < 0) {
		fprintf(stderr, "placement_gap: %s\n", err->message);
		exit(1);
	}
}

static void *get(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	if (!memory)
		abort();
	return memory;
}

static struct coactivation count_pairs(const struct activity *activity)
{
	struct coactivation counts;
	struct error err;

	must(coactivation_count(activity, pool, &counts, &err), &err);
	return counts;
}

/* What some of a layer's neurons do, as a layer of its own. */
static struct activity piece_of(const struct activity *activity, const uint32_t *neurons,
				uint32_t n)
{
	struct activity piece = {
		.n_neurons = n,
		.n_tokens = activity->n_tokens,
		.fired = get(activity->n_tokens * bits_words(n), sizeof(uint64_t)),
	};

	for (uint64_t t = 0; t < activity->n_tokens; t++)
		for (uint32_t i = 0; i < n; i++)
			if (bits_test(activity->fired + t * bits_words(activity->n_neurons),
				      neurons[i]))
				bits_set(piece.fired + t * bits_words(n), i);
	return piece;
}

static double fires_per_token(const struct activity *activity)
{
	return (double)bits_count(activity->fired,
				  activity->n_tokens * bits_words(activity->n_neurons)) /
	       (double)activity->n_tokens;
}

static double reads(const struct activity *activity, uint64_t weight)
{
	return fires_per_token(activity) - (double)weight / (double)activity->n_tokens;
}

static double least_reads(const struct activity *activity, const struct coactivation *counts,
			  uint64_t known)
{
	uint64_t bound;
	struct error err;

	must(order_path_bound(counts, known, ROUNDS, pool, &bound, &err), &err);
	return reads(activity, bound);
}

/* `best` is to search for what an order is measured by: no cache, I/Os of `io` bundles. */
static void make_order(enum order_method method, const struct activity *seen,
		       const struct coactivation *counts, uint32_t io, uint32_t *order)
{
	const struct order_best_options best = {
		.io_bundles = io,
		.effort = ORDER_BEST_DEFAULT_EFFORT,
		.memory = BEST_MEMORY,
	};
	const struct order_input input = {
		.coactivation = counts,
		.seed = SEED,
		.seen = seen,
		.best = &best,
		.pool = pool,
	};
	struct error err;

	must(order_make(method, &input, order, &err), &err);
}

/* The orders of a row: methods from frequency on, and what local search makes of linked order. */
#define N_ORDERS (ORDER_METHODS - ORDER_FREQUENCY + 1)
#define SEARCHED (N_ORDERS - 1)

static const char *name_of(uint32_t order)
{
	return order == SEARCHED ? "searched" : order_method_name(ORDER_FREQUENCY + order);
}

static void print_header(void)
{
	printf("%-22s %8s", "layer", "fired");
	for (uint32_t o = 0; o < N_ORDERS; o++)
		printf(" %9s", name_of(o));
	printf(" %9s", "bound");
	for (uint32_t o = 1; o < N_ORDERS; o++)
		printf(" %8s+", name_of(o));
	printf("  ");
	for (uint32_t o = 0; o < N_ORDERS; o++)
		printf(" %9s", name_of(o));
	printf(" %9s %8s+\n", "bound", name_of(1));
}

/* A row: on the tokens that orders are made from, and then on others. */
static void print_layer(const char *name, const struct activity *seen,
			const struct activity *unseen)
{
	struct coactivation counts = count_pairs(seen), other = count_pairs(unseen);
	uint32_t *order = get(seen->n_neurons, sizeof(*order));
	uint64_t weight[N_ORDERS], unseen_weight[N_ORDERS], most = 0;
	double bound;

	printf("%-22s %8.2f", name, fires_per_token(seen));
	for (uint32_t o = 0; o < N_ORDERS; o++) {
		make_order(o == SEARCHED ? ORDER_LINKED : ORDER_FREQUENCY + o, seen, &counts, 1,
			   order);
		if (o == SEARCHED)
			path_search_improve(&counts, order);
		weight[o] = order_path_weight(&counts, order);
		unseen_weight[o] = order_path_weight(&other, order);
		most = weight[o] > most ? weight[o] : most;
		printf(" %9.2f", reads(seen, weight[o]));
		fflush(stdout);
	}
	bound = least_reads(seen, &counts, most);
	printf(" %9.2f", bound);
	for (uint32_t o = 1; o < N_ORDERS; o++)
		printf(" %8.2f%%", 100 * (reads(seen, weight[o]) / bound - 1));
	printf("  ");
	for (uint32_t o = 0; o < N_ORDERS; o++)
		printf(" %9.2f", reads(unseen, unseen_weight[o]));
	bound = least_reads(unseen, &other, unseen_weight[1]);
	printf(" %9.2f %8.2f%%\n", bound, 100 * (reads(unseen, unseen_weight[1]) / bound - 1));
	fflush(stdout);
	free(order);
	coactivation_free(&counts);
	coactivation_free(&other);
}

/* As a cache would have it that holds the hottest neurons: all others in a layer of their own. */
static void print_without_hot(const char *name, const struct activity *seen,
			      const struct activity *unseen)
{
	const uint32_t n = seen->n_neurons, hot = (uint32_t)(n * HOT_SHARE);
	struct coactivation counts = count_pairs(seen);
	uint32_t *order = get(n, sizeof(*order));
	struct activity cold, cold_unseen;

	make_order(ORDER_FREQUENCY, seen, &counts, 1, order);
	coactivation_free(&counts);
	cold = piece_of(seen, order + hot, n - hot);
	cold_unseen = piece_of(unseen, order + hot, n - hot);
	print_layer(name, &cold, &cold_unseen);
	activity_free(&cold);
	activity_free(&cold_unseen);
	free(order);
}

static struct activity draw(struct synth_layer *layer, uint32_t n_neurons, uint32_t n_tokens)
{
	struct activity activity = {
		.n_neurons = n_neurons,
		.n_tokens = n_tokens,
		.fired = get(n_tokens * bits_words(n_neurons), sizeof(uint64_t)),
	};

	for (uint32_t token = 0; token < n_tokens; token++)
		synth_layer_next(layer, activity.fired + token * bits_words(n_neurons));
	return activity;
}

static void print_shape(const char *name, uint32_t n_tokens, bool independent)
{
	const struct model_shape *shape = model_shape_find(name);
	struct synth_layer *layer;
	struct activity seen, unseen;
	char row[64];
	struct error err;

	must(synth_layer_create(shape->n_ffn, &shape->activity, independent, SEED, &layer, &err),
	     &err);
	seen = draw(layer, shape->n_ffn, n_tokens);
	unseen = draw(layer, shape->n_ffn, UNSEEN_TOKENS);
	synth_layer_free(layer);
	snprintf(row, sizeof(row), "%s%s", name, independent ? " independent" : "");
	print_layer(row, &seen, &unseen);
	if (!independent) {
		snprintf(row, sizeof(row), "%s, 95 %%", name);
		print_without_hot(row, &seen, &unseen);
	}
	activity_free(&seen);
	activity_free(&unseen);
}

static void print_trace(const struct trace *trace)
{
	for (uint32_t l = 0; l < trace_get_shape(trace)->n_layers; l++) {
		struct activity seen, unseen;
		char row[64];
		struct error err;

		must(activity_load(trace, l, ACTIVITY_SEEN, &seen, &err), &err);
		must(activity_load(trace, l, ACTIVITY_UNSEEN, &unseen, &err), &err);
		snprintf(row, sizeof(row), "%u", l);
		print_layer(row, &seen, &unseen);
		snprintf(row, sizeof(row), "%u, 95 %%", l);
		print_without_hot(row, &seen, &unseen);
		activity_free(&seen);
		activity_free(&unseen);
	}
}

/* How far a method's orders are above the optimum, over many pieces. */
struct excess {
	enum order_method method;
	uint32_t pieces, equal;
	double sum, most;
};

static void add_excess(struct excess *excess, double cost, double optimum)
{
	double above = optimum > 0 ? cost / optimum - 1 : 0;

	excess->pieces++;
	excess->equal += above < 1e-9;
	excess->sum += above;
	excess->most = above > excess->most ? above : excess->most;
}

static void print_excess(const char *kind, const char *what, const struct excess *excess)
{
	if (excess->pieces)
		printf("%-14s %-10s %-12s %6u %8.2f%% %8.2f%% %7.0f%%\n", kind,
		       order_method_name(excess->method), what, excess->pieces,
		       100 * excess->sum / excess->pieces, 100 * excess->most,
		       100.0 * excess->equal / excess->pieces);
}

static const uint32_t sizes[] = { 8, 10, 12, 14, 16 };
static const uint32_t io_costs[] = { 1, 4, 16 };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define N_COSTS (sizeof(io_costs) / sizeof(io_costs[0]))

/* More states would take minutes for each piece. */
static bool takes_too_long(uint32_t n, uint32_t io)
{
	return n > 10 && io > 1 && io + 2 < n;
}

#define N_METHODS (ORDER_METHODS - ORDER_LINKED) /* linked, and what is to be better */

struct excesses {
	struct excess reads[N_METHODS], cost[N_COSTS][N_METHODS];
};

static double cost_of(const struct activity *activity, const uint32_t *order, uint32_t io)
{
	struct order_quality quality;
	struct error err;

	must(order_measure(activity, order, io, &quality, &err), &err);
	return quality.bundles_per_token + io * quality.reads_per_token;
}

static void try_piece(const struct activity *activity, const uint32_t *neurons, uint32_t n,
		      struct excesses *excesses)
{
	struct activity piece = piece_of(activity, neurons, n);
	struct coactivation counts = count_pairs(&piece);
	uint32_t order[ORDER_OPTIMUM_NEURONS];
	uint64_t optimum;
	struct error err;

	must(order_optimum_path(&counts, order, &optimum, &err), &err);
	for (uint32_t m = 0; m < N_METHODS; m++) {
		make_order(ORDER_LINKED + m, &piece, &counts, 1, order);
		add_excess(&excesses->reads[m], reads(&piece, order_path_weight(&counts, order)),
			   reads(&piece, optimum));
	}
	for (size_t c = 0; c < N_COSTS; c++) {
		if (takes_too_long(n, io_costs[c]))
			continue;
		must(order_optimum_cost(&piece, io_costs[c], order, &optimum, &err), &err);
		for (uint32_t m = 0; m < N_METHODS; m++) {
			make_order(ORDER_LINKED + m, &piece, &counts, io_costs[c], order);
			add_excess(&excesses->cost[c][m], cost_of(&piece, order, io_costs[c]),
				   (double)optimum / (double)piece.n_tokens);
		}
	}
	coactivation_free(&counts);
	activity_free(&piece);
}

enum kind {
	MOST_FREQUENT,
	NEIGHBOURS, /* in linked order of the whole layer */
	RANDOM,	    /* of those that fired at all */
	KINDS,
};

static const char *const kind_names[KINDS] = { "most frequent", "neighbours", "random" };

static void try_layer(const struct activity *activity, enum kind kind, struct excesses *excesses)
{
	struct coactivation counts = count_pairs(activity);
	uint32_t *order = get(activity->n_neurons, sizeof(*order));
	uint32_t fired = 0;
	struct random_state random;

	random_seed(&random, SEED);
	make_order(kind == NEIGHBOURS ? ORDER_LINKED : ORDER_FREQUENCY, activity, &counts, 1,
		   order);
	while (fired < activity->n_neurons && counts.frequency[order[fired]])
		fired++;
	for (size_t s = 0; s < N_SIZES; s++)
		for (uint32_t p = 0; p < (kind == MOST_FREQUENT ? 1 : PIECES); p++) {
			uint32_t first = 0;

			if (kind == NEIGHBOURS)
				first = (uint32_t)random_below(&random, fired - sizes[s]);
			for (uint32_t i = 0; kind == RANDOM && i < sizes[s]; i++) {
				uint32_t j = i + (uint32_t)random_below(&random, fired - i);
				uint32_t neuron = order[i];

				order[i] = order[j];
				order[j] = neuron;
			}
			try_piece(activity, order + first, sizes[s], excesses);
		}
	free(order);
	coactivation_free(&counts);
}

static void print_excesses(const char *kind, struct excesses *excesses)
{
	char what[32];

	for (uint32_t m = 0; m < N_METHODS; m++) {
		excesses->reads[m].method = ORDER_LINKED + m;
		print_excess(kind, "reads", &excesses->reads[m]);
	}
	for (size_t c = 0; c < N_COSTS; c++)
		for (uint32_t m = 0; m < N_METHODS; m++) {
			excesses->cost[c][m].method = ORDER_LINKED + m;
			snprintf(what, sizeof(what), "cost, G = %u", io_costs[c]);
			print_excess(kind, what, &excesses->cost[c][m]);
		}
	fflush(stdout);
}

static void print_pieces(const struct trace *trace)
{
	printf("%-14s %-10s %-12s %6s %9s %9s %8s\n", "neurons", "order", "by", "pieces", "mean",
	       "most", "optimum");
	for (enum kind kind = 0; kind < KINDS; kind++) {
		struct excesses excesses = { 0 };

		for (uint32_t l = 0; l < trace_get_shape(trace)->n_layers; l++) {
			struct activity seen;
			struct error err;

			must(activity_load(trace, l, ACTIVITY_SEEN, &seen, &err), &err);
			try_layer(&seen, kind, &excesses);
			activity_free(&seen);
		}
		print_excesses(kind_names[kind], &excesses);
	}
}

int main(int argc, char **argv)
{
	struct trace *trace;
	uint32_t n_tokens;
	struct error err;

	if (argc != 3 || (n_tokens = (uint32_t)atoi(argv[2])) == 0) {
		fprintf(stderr, "usage: placement_gap TRACE TOKENS\n");
		return 2;
	}
	must(thread_pool_create(0, &pool, &err), &err);
	must(trace_open(argv[1], &trace, &err), &err);
	printf("Reads per token without collapse, on the tokens that orders were made from, and on\n"
	       "the right on unseen ones. bound: no order has fewer on these tokens. +: above it.\n"
	       "best: for I/Os of one bundle, without a cache. searched: linked order after 2-opt\n"
	       "and Or-opt. 95 %%: the %g %% most frequent neurons are elsewhere.\n"
	       "%llu tokens of the trace, one in ten unseen; %u and %d unseen of a shape; seed %d\n",
	       100 * HOT_SHARE, (unsigned long long)trace_tokens(trace), n_tokens, UNSEEN_TOKENS,
	       SEED);
	print_header();
	print_trace(trace);
	print_shape("opt-350m", n_tokens, false);
	print_shape("opt-1.3b", n_tokens, false);
	print_shape("opt-6.7b", n_tokens, false);
	print_shape("opt-1.3b", n_tokens, true);
	printf("\nPieces of 8, 10, 12, 14, 16 neurons of the trace's layers (G = 4: of 8 and 10):\n"
	       "orders above the optimum, and how often they are one\n");
	print_pieces(trace);
	trace_close(trace);
	thread_pool_destroy(pool);
	return 0;
}
