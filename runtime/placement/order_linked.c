// SPDX-License-Identifier: GPL-2.0-only
/*
 * The greedy search of arXiv 2410.19274 section 4.2, exact and in bounded memory.
 *
 * A layer of 16384 neurons has 134 million pairs: sorting them all would take
 * more memory than counting them did. Instead the search goes in rounds. Only
 * the ends of paths can still be linked (a neuron without links is a path of
 * its own, with both ends in it), and only to ends of other paths; so a round
 * makes a histogram of the counts of just these pairs, picks the highest counts
 * whose pairs fit into the room, puts these pairs in order by counting sort, and
 * links. What a round leaves behind for good never becomes linkable again, so the
 * next round need not look at it: rounds get cheaper quickly. If the pairs of a
 * single count do not fit, they need no sorting either, as scanning the matrix
 * meets them in the order of their ties.
 *
 * Each end knows the other end of its path, which answers what the paper asks of
 * a union-find: two ends are on one path exactly if each is the other's other end.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "placement/order.h"
#include "placement/order_private.h"

#define NO_NEURON UINT32_MAX

struct linker {
	uint32_t n;
	const uint32_t *pairs;	  /* (n, n) */
	uint32_t (*linked_to)[2]; /* (n), NO_NEURON where there is no link */
	uint32_t *other_end;	  /* (n), meaningful for ends of paths */
	uint32_t *ends;		  /* ends of paths that fired at all, ascending */
	uint32_t n_ends;
	size_t *histogram;  /* by count: how many pairs have it */
	uint32_t max_count; /* of a pair that can still be linked */
	struct neuron_pair {
		uint32_t low;
		uint32_t high;
	} * sorted; /* (room) */
	size_t room;
};

static bool is_end(const struct linker *linker, uint32_t neuron)
{
	return linker->linked_to[neuron][1] == NO_NEURON;
}

static void add_link(struct linker *linker, uint32_t from, uint32_t to)
{
	linker->linked_to[from][linker->linked_to[from][0] != NO_NEURON] = to;
}

static void link_if_possible(struct linker *linker, uint32_t low, uint32_t high)
{
	uint32_t low_end = linker->other_end[low];
	uint32_t high_end = linker->other_end[high];

	if (!is_end(linker, low) || !is_end(linker, high) || low_end == high)
		return;
	add_link(linker, low, high);
	add_link(linker, high, low);
	linker->other_end[low_end] = high_end;
	linker->other_end[high_end] = low_end;
}

static void drop_inner_neurons(struct linker *linker)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < linker->n_ends; i++)
		if (is_end(linker, linker->ends[i]))
			linker->ends[kept++] = linker->ends[i];
	linker->n_ends = kept;
}

/*
 * Pairs of ends of two paths, by count. The two ends of one path may have any
 * count, also one above max_count: they are counted like all others, which keeps
 * the inner loop short, and taken off again. Hence the histogram keeps its first size.
 */
static void make_histogram(struct linker *linker)
{
	for (size_t count = 0; count <= linker->max_count; count++)
		linker->histogram[count] = 0;
	for (uint32_t i = 0; i < linker->n_ends; i++) {
		uint32_t low = linker->ends[i];
		const uint32_t *row = linker->pairs + (size_t)low * linker->n;

		for (uint32_t j = i + 1; j < linker->n_ends; j++)
			linker->histogram[row[linker->ends[j]]]++;
		if (linker->other_end[low] > low)
			linker->histogram[row[linker->other_end[low]]]--;
	}
}

/* All pairs of one count: the scan meets the lower and then the higher index first. */
static void link_count(struct linker *linker, uint32_t count)
{
	for (uint32_t i = 0; i < linker->n_ends; i++) {
		uint32_t low = linker->ends[i];
		const uint32_t *row = linker->pairs + (size_t)low * linker->n;

		for (uint32_t j = i + 1; j < linker->n_ends; j++)
			if (row[linker->ends[j]] == count)
				link_if_possible(linker, low, linker->ends[j]);
	}
}

/* All pairs with counts from `lowest` up, of which there are `n_pairs`. */
static void link_counts_from(struct linker *linker, uint32_t lowest, size_t n_pairs)
{
	size_t start = 0;

	/* From here on the histogram says where the next pair of a count goes. */
	for (uint32_t count = linker->max_count; count >= lowest; count--) {
		size_t pairs_of_count = linker->histogram[count];

		linker->histogram[count] = start;
		start += pairs_of_count;
	}
	for (uint32_t i = 0; i < linker->n_ends; i++) {
		uint32_t low = linker->ends[i];
		const uint32_t *row = linker->pairs + (size_t)low * linker->n;

		for (uint32_t j = i + 1; j < linker->n_ends; j++) {
			uint32_t high = linker->ends[j];

			if (row[high] >= lowest && high != linker->other_end[low])
				linker->sorted[linker->histogram[row[high]]++] =
					(struct neuron_pair){ low, high };
		}
	}
	for (size_t p = 0; p < n_pairs; p++)
		link_if_possible(linker, linker->sorted[p].low, linker->sorted[p].high);
}

/* The highest counts that fit, at least one; false when only zeros are left. */
static bool link_round(struct linker *linker)
{
	uint32_t lowest;
	size_t n_pairs = 0;

	drop_inner_neurons(linker);
	make_histogram(linker);
	while (linker->max_count && !linker->histogram[linker->max_count])
		linker->max_count--;
	if (!linker->max_count)
		return false;
	if (linker->histogram[linker->max_count] > linker->room) {
		link_count(linker, linker->max_count);
		linker->max_count--;
		return true;
	}
	for (lowest = linker->max_count + 1;
	     lowest > 1 && linker->histogram[lowest - 1] <= linker->room - n_pairs; lowest--)
		n_pairs += linker->histogram[lowest - 1];
	link_counts_from(linker, lowest, n_pairs);
	linker->max_count = lowest - 1;
	return true;
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
	free(linker->ends);
	free(linker->histogram);
	free(linker->sorted);
}

static int linker_init(struct linker *linker, const struct coactivation *coactivation, size_t room,
		       struct error *err)
{
	uint32_t n = coactivation->n_neurons;

	*linker = (struct linker){ .n = n, .pairs = coactivation->pairs, .room = room };
	for (uint32_t i = 0; i < n; i++)
		if (coactivation->frequency[i] > linker->max_count)
			linker->max_count = coactivation->frequency[i];
	linker->linked_to = malloc(n * sizeof(*linker->linked_to));
	linker->other_end = malloc(n * sizeof(*linker->other_end));
	linker->ends = malloc(n * sizeof(*linker->ends));
	linker->histogram = malloc(((size_t)linker->max_count + 1) * sizeof(*linker->histogram));
	linker->sorted = malloc(room * sizeof(*linker->sorted));
	if (!linker->linked_to || !linker->other_end || !linker->ends || !linker->histogram ||
	    !linker->sorted) {
		linker_free(linker);
		return error_no_memory(err, "linking neurons");
	}
	for (uint32_t i = 0; i < n; i++) {
		linker->linked_to[i][0] = NO_NEURON;
		linker->linked_to[i][1] = NO_NEURON;
		linker->other_end[i] = i;
		if (coactivation->frequency[i])
			linker->ends[linker->n_ends++] = i;
	}
	return 0;
}

int order_linked_in_room(const struct coactivation *coactivation, size_t room,
			 uint32_t *slot_to_neuron, struct error *err)
{
	struct linker linker;
	int ret;

	ret = linker_init(&linker, coactivation, room, err);
	if (ret < 0)
		return ret;
	while (link_round(&linker))
		;
	ret = join_paths(&linker, coactivation->frequency, slot_to_neuron, err);
	linker_free(&linker);
	return ret;
}

int order_linked(const struct coactivation *coactivation, uint32_t *slot_to_neuron,
		 struct error *err)
{
	size_t n = coactivation->n_neurons;

	/* An eighth of the matrix of pairs, and not much for a small layer. */
	return order_linked_in_room(coactivation, n * n / 16 + 4096, slot_to_neuron, err);
}
