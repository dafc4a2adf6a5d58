// SPDX-License-Identifier: GPL-2.0-only
/*
 * The greedy search of arXiv 2410.19274 section 4.2, exact, without sorting pairs.
 *
 * A layer of 16384 neurons has 134 million pairs, of which hardly 16384 are linked.
 * Each neuron offers the best pair that it can still be linked by, of its pairs with
 * higher neurons, and the best of all offers is linked next. Offers are held in a heap.
 *
 * What can be linked only becomes less: a neuron with two links, or two neurons on one
 * path, will never be linked again. So an offer that has become impossible needs to be
 * looked at only when it comes to the top, where its neuron makes another, which cannot
 * be better. That costs a pass over its row of counts; with measured activations it
 * happens one or two times for each neuron.
 *
 * Each end knows the other end of its path, which answers what the paper asks of
 * a union-find: two ends are on one path exactly if each is the other's other end.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "placement/order.h"
#include "placement/order_private.h"
#include "placement/row_best.h"

#define NO_NEURON UINT32_MAX

/* In the heap the highest count is first; of equal ones, the lower neuron's. */
struct offer {
	uint32_t count;
	uint32_t neuron;
	uint32_t other; /* higher than `neuron` */
};

struct linker {
	uint32_t n;
	const struct coactivation *coactivation;
	uint32_t (*linked_to)[2]; /* (n), NO_NEURON where there is no link */
	uint32_t *other_end;	  /* (n), meaningful for ends of paths */
	uint16_t *open;		  /* (n), for row_best(): ends of paths that fired at all */
	struct offer *heap;	  /* (n) */
	uint32_t heap_length;
};

static void add_link(struct linker *linker, uint32_t from, uint32_t to)
{
	if (linker->linked_to[from][0] == NO_NEURON) {
		linker->linked_to[from][0] = to;
	} else {
		linker->linked_to[from][1] = to;
		linker->open[from] = ROW_CLOSED;
	}
}

static bool can_be_linked(const struct linker *linker, uint32_t a, uint32_t b)
{
	return linker->open[a] && linker->open[b] && linker->other_end[a] != b;
}

static void add_links(struct linker *linker, uint32_t a, uint32_t b)
{
	uint32_t a_end = linker->other_end[a];
	uint32_t b_end = linker->other_end[b];

	add_link(linker, a, b);
	add_link(linker, b, a);
	linker->other_end[a_end] = b_end;
	linker->other_end[b_end] = a_end;
}

static bool is_better(struct offer a, struct offer b)
{
	return a.count > b.count || (a.count == b.count && a.neuron < b.neuron);
}

/* `offer` in place of the one at `at`, which is not worse than it. */
static void sink(struct linker *linker, uint32_t at, struct offer offer)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= linker->heap_length)
			break;
		if (child + 1 < linker->heap_length &&
		    is_better(linker->heap[child + 1], linker->heap[child]))
			child++;
		if (!is_better(linker->heap[child], offer))
			break;
		linker->heap[at] = linker->heap[child];
		at = child;
	}
	linker->heap[at] = offer;
}

static void drop_best(struct linker *linker)
{
	linker->heap_length--;
	if (linker->heap_length)
		sink(linker, 0, linker->heap[linker->heap_length]);
}

/* The best that the neuron can be linked by now; a count of 0: nothing. */
static struct offer make_offer(struct linker *linker, uint32_t neuron)
{
	struct offer offer = { .neuron = neuron };
	uint32_t other_end = linker->other_end[neuron];
	uint16_t kept = linker->open[other_end];

	linker->open[other_end] = ROW_CLOSED;
	offer.count = row_best(linker->coactivation, neuron, linker->open, &offer.other);
	linker->open[other_end] = kept;
	return offer;
}

/* Link the best of all offers, if that is still possible; its neuron makes another. */
static void take_best(struct linker *linker)
{
	struct offer offer = linker->heap[0];

	if (can_be_linked(linker, offer.neuron, offer.other))
		add_links(linker, offer.neuron, offer.other);
	offer.count = 0;
	if (linker->open[offer.neuron])
		offer = make_offer(linker, offer.neuron);
	if (offer.count)
		sink(linker, 0, offer);
	else
		drop_best(linker);
}

static void make_first_offers(struct linker *linker)
{
	for (uint32_t i = 0; i < linker->n; i++) {
		struct offer offer = { 0 };

		if (linker->open[i])
			offer = make_offer(linker, i);
		if (offer.count)
			linker->heap[linker->heap_length++] = offer;
	}
	for (uint32_t at = linker->heap_length / 2; at-- > 0;)
		sink(linker, at, linker->heap[at]);
}

/* The whole path of which `neuron` is a part, from its more frequent end (ties: lower index). */
static uint32_t emit_path(const struct linker *linker, const uint32_t *frequency, uint32_t neuron,
			  uint32_t *slots)
{
	uint32_t before = linker->linked_to[neuron][1];
	uint32_t n_slots = 0;
	uint32_t next, other;

	while ((next = linker->linked_to[neuron][linker->linked_to[neuron][0] == before]) !=
	       NO_NEURON) {
		before = neuron;
		neuron = next;
	}
	other = linker->other_end[neuron];
	if (frequency[other] > frequency[neuron] ||
	    (frequency[other] == frequency[neuron] && other < neuron))
		neuron = other;
	for (before = NO_NEURON; neuron != NO_NEURON; neuron = next) {
		slots[n_slots++] = neuron;
		next = linker->linked_to[neuron][linker->linked_to[neuron][0] == before];
		before = neuron;
	}
	return n_slots;
}

static int join_paths(const struct linker *linker, const uint32_t *frequency,
		      uint32_t *slot_to_neuron, struct error *err)
{
	uint32_t *by_frequency = malloc(linker->n * sizeof(*by_frequency));
	bool *placed = calloc(linker->n, sizeof(*placed));
	uint32_t n_slots = 0;
	int ret;

	if (!by_frequency || !placed) {
		ret = error_no_memory(err, "joining paths of neurons");
		goto out;
	}
	ret = order_by_frequency(frequency, linker->n, by_frequency, err);
	if (ret < 0)
		goto out;
	for (uint32_t i = 0; i < linker->n; i++) {
		uint32_t *slots = slot_to_neuron + n_slots;
		uint32_t path;

		if (placed[by_frequency[i]])
			continue;
		path = emit_path(linker, frequency, by_frequency[i], slots);
		for (uint32_t slot = 0; slot < path; slot++)
			placed[slots[slot]] = true;
		n_slots += path;
	}
out:
	free(by_frequency);
	free(placed);
	return ret;
}

static void linker_free(struct linker *linker)
{
	free(linker->linked_to);
	free(linker->other_end);
	free(linker->open);
	free(linker->heap);
}

static int linker_init(struct linker *linker, const struct coactivation *coactivation,
		       struct error *err)
{
	uint32_t n = coactivation->n_neurons;

	*linker = (struct linker){ .n = n, .coactivation = coactivation };
	linker->linked_to = malloc(n * sizeof(*linker->linked_to));
	linker->other_end = malloc(n * sizeof(*linker->other_end));
	linker->open = malloc(n * sizeof(*linker->open));
	linker->heap = malloc(n * sizeof(*linker->heap));
	if (!linker->linked_to || !linker->other_end || !linker->open || !linker->heap) {
		linker_free(linker);
		return error_no_memory(err, "linking neurons");
	}
	for (uint32_t i = 0; i < n; i++) {
		linker->linked_to[i][0] = NO_NEURON;
		linker->linked_to[i][1] = NO_NEURON;
		linker->other_end[i] = i;
		linker->open[i] = coactivation->frequency[i] ? ROW_OPEN : ROW_CLOSED;
	}
	return 0;
}

int order_linked(const struct coactivation *coactivation, uint32_t *slot_to_neuron,
		 struct error *err)
{
	struct linker linker;
	int ret;

	ret = linker_init(&linker, coactivation, err);
	if (ret < 0)
		return ret;
	make_first_offers(&linker);
	while (linker.heap_length)
		take_best(&linker);
	ret = join_paths(&linker, coactivation->frequency, slot_to_neuron, err);
	linker_free(&linker);
	return ret;
}
