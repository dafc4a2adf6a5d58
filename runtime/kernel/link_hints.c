// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/link_hints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* With what is expected of it: the sum of its slots' frequencies. */
struct rated_run {
	struct link_run run;
	uint64_t expected;
};

uint32_t link_break_even(uint32_t stride, uint64_t gap_bytes)
{
	return (uint32_t)((double)LINK_ONE * stride / ((double)stride + (double)gap_bytes));
}

uint32_t link_least_chance(uint32_t stride, uint64_t gap_bytes, uint32_t least)
{
	const uint32_t break_even = link_break_even(stride, gap_bytes);

	return break_even > least ? break_even : least;
}

static int compare_runs(const void *a, const void *b)
{
	const struct rated_run *one = a, *other = b;

	if (one->expected != other->expected)
		return one->expected > other->expected ? -1 : 1;
	return one->run.first < other->run.first ? -1 : one->run.first > other->run.first;
}

/* In the order of slots. Two runs are never side by side: (n_slots + 1) / 2 at most. */
static uint32_t find_runs(const struct link_hint *hints, uint32_t n_slots, uint32_t bound,
			  uint64_t max_gap, struct rated_run *runs)
{
	uint64_t gap_expected = 0; /* of the slots since the last run */
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < n_slots; slot++) {
		struct rated_run *last = n ? &runs[n - 1] : NULL;

		if (hints[slot].frequency <= bound) {
			gap_expected += hints[slot].frequency;
			continue;
		}
		if (last && slot - (last->run.first + last->run.slots) <= max_gap) {
			last->run.slots = slot - last->run.first + 1;
			last->expected += gap_expected + hints[slot].frequency;
		} else {
			runs[n++] = (struct rated_run){ { slot, 1 }, hints[slot].frequency };
		}
		gap_expected = 0;
	}
	return n;
}

int64_t link_hot_runs(const struct link_hint *hints, uint32_t n_slots, uint32_t bound,
		      uint64_t max_gap, struct link_run *runs)
{
	struct rated_run *rated = malloc(((size_t)n_slots + 1) / 2 * sizeof(*rated));
	uint32_t n;

	if (!rated)
		return -ENOMEM;
	n = find_runs(hints, n_slots, bound, max_gap, rated);
	qsort(rated, n, sizeof(*rated), compare_runs);
	for (uint32_t i = 0; i < n; i++)
		runs[i] = rated[i].run;
	free(rated);
	return n;
}

/* A share of LINK_ONE, rounded; false when it is none (or no number). */
static bool share_of(float value, uint32_t *share)
{
	if (!(value >= 0 && value <= 1))
		return false;
	*share = (uint32_t)(value * (float)LINK_ONE + 0.5f);
	return true;
}

/* What the file has of one layer. */
struct layer_hints {
	float *strength; /* (positions) */
	float *frequency; /* (n_ffn) */
	uint32_t *slot_at; /* (positions) */
	uint32_t *primary; /* (n_ffn) */
};

/* By position. A copy is not hot: its bundle would be asked for twice. */
static int hint_at(const struct model_file *file, uint32_t layer, const struct layer_hints *read,
		   uint32_t position, struct link_hint *hint, struct error *err)
{
	uint32_t slot = read->slot_at[position];
	float strength = read->strength[position], frequency = read->frequency[slot];

	if (!share_of(strength, &hint->strength) || !share_of(frequency, &hint->frequency))
		return error_set(err, -EINVAL,
				 "%s: layer %" PRIu32 ": slot %" PRIu32
				 ": strength %g or frequency %g is not from 0 to 1",
				 gguf_path(file->gguf), layer, slot, (double)strength,
				 (double)frequency);
	if (read->primary[slot] != position)
		hint->frequency = 0;
	return 0;
}

static int read_layer(const struct model_file *file, uint32_t layer,
		      const struct layer_hints *read, struct link_hint *hints, struct error *err)
{
	int ret = model_file_read(file, model_file_find(file, MODEL_HINT_LINK, layer),
				  read->strength, err);

	if (ret == 0)
		ret = model_file_read(file, model_file_find(file, MODEL_HINT_FREQUENCY, layer),
				      read->frequency, err);
	if (ret == 0)
		ret = model_file_places(file, layer, read->slot_at, read->primary, err);
	for (uint32_t i = 0; ret == 0 && i < model_positions(&file->config); i++)
		ret = hint_at(file, layer, read, i, &hints[i], err);
	return ret;
}

static int read_layers(const struct model_file *file, struct link_hint *hints, struct error *err)
{
	size_t n = file->config.n_ffn, positions = model_positions(&file->config);
	const struct layer_hints read = {
		.strength = malloc(positions * sizeof(*read.strength)),
		.frequency = malloc(n * sizeof(*read.frequency)),
		.slot_at = malloc(positions * sizeof(*read.slot_at)),
		.primary = malloc(n * sizeof(*read.primary)),
	};
	int ret = 0;

	if (!read.strength || !read.frequency || !read.slot_at || !read.primary)
		ret = error_no_memory(err, gguf_path(file->gguf));
	for (uint32_t layer = 0; ret == 0 && layer < file->config.n_layers; layer++)
		ret = read_layer(file, layer, &read, hints + layer * positions, err);
	free(read.strength);
	free(read.frequency);
	free(read.slot_at);
	free(read.primary);
	return ret;
}

/* After an import all are zero; after a pack some slot fired. */
static bool any(const struct link_hint *hints, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (hints[i].strength || hints[i].frequency)
			return true;
	return false;
}

/* The layers' geometry; the token after this one begins with the first layer again. */
static void set_layers(const struct model_file *file, struct link_hints *hints)
{
	uint32_t n = hints->n_layers;

	for (uint32_t i = 0; i < n; i++)
		hints->layers[i] = (struct link_layer){
			.offset = file->bundle_offsets[i],
			.stride = model_bundle_stride(&file->config),
			.slots = model_positions(&file->config),
			.number = i,
			.first_hint = i * model_positions(&file->config),
			.next = (i + 1) % n,
		};
}

static int find_hot_runs(struct link_hints *hints, uint64_t gap_bytes, struct error *err)
{
	for (uint32_t i = 0; i < hints->n_layers; i++) {
		struct link_layer *layer = &hints->layers[i];
		int64_t n;

		layer->first_hot = hints->n_hot_runs;
		n = link_hot_runs(hints->hints + layer->first_hint, layer->slots,
				  link_least_chance(layer->stride, gap_bytes, LINK_ONE / 2),
				  gap_bytes / layer->stride, hints->hot_runs + layer->first_hot);
		if (n < 0)
			return error_no_memory(err, "the hot runs of a layer");
		layer->n_hot = (uint32_t)n;
		hints->n_hot_runs += (uint32_t)n;
	}
	return 0;
}

int link_hints_read(const struct model_file *file, uint64_t gap_bytes, struct link_hints *hints,
		    struct error *err)
{
	uint64_t slots = model_positions(&file->config), all = slots * file->config.n_layers;
	int ret;

	*hints = (struct link_hints){ .n_layers = file->config.n_layers };
	if (all > UINT32_MAX / sizeof(struct link_hint))
		return error_set(err, -E2BIG, "%s: %" PRIu64 " slots are more than a BPF map holds",
				 gguf_path(file->gguf), all);
	hints->n_hints = (uint32_t)all;
	hints->layers = calloc(hints->n_layers, sizeof(hints->layers[0]));
	hints->hints = calloc(all, sizeof(hints->hints[0]));
	hints->hot_runs = calloc(hints->n_layers * ((slots + 1) / 2), sizeof(hints->hot_runs[0]));
	if (!hints->layers || !hints->hints || !hints->hot_runs)
		return error_no_memory(err, gguf_path(file->gguf));
	ret = read_layers(file, hints->hints, err);
	if (ret == 0 && !any(hints->hints, hints->n_hints))
		ret = error_set(err, -ENODATA,
				"%s: has no hints, since it was imported and not packed; make a "
				"linked file with 'colink link'",
				gguf_path(file->gguf));
	if (ret < 0)
		return ret;
	set_layers(file, hints);
	return find_hot_runs(hints, gap_bytes, err);
}

void link_hints_free(struct link_hints *hints)
{
	free(hints->layers);
	free(hints->hints);
	free(hints->hot_runs);
	*hints = (struct link_hints){ 0 };
}

struct colink_layer *link_hints_geometry(const struct link_hints *hints)
{
	struct colink_layer *layers = calloc(hints->n_layers, sizeof(*layers));

	for (uint32_t i = 0; layers && i < hints->n_layers; i++)
		layers[i] = (struct colink_layer){
			.offset = hints->layers[i].offset,
			.stride = hints->layers[i].stride,
			.slots = hints->layers[i].slots,
		};
	return layers;
}
