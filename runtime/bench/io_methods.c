// SPDX-License-Identifier: GPL-2.0-only
#include "bench/io_method.h"

#include <string.h>

/* From the least to do to the most: those from `linked` to `full` are an ablation. */
const struct io_method io_methods[] = {
	{ .name = "mmap", .layout = IO_IDENTITY, .replay = io_mmap_replay,
	  .readahead = IO_READAHEAD_DEVICE },
	{ .name = "mmap-128k", .layout = IO_IDENTITY, .replay = io_mmap_replay,
	  .readahead = IO_READAHEAD_128K },
	{ .name = "mmap-random", .layout = IO_IDENTITY, .replay = io_mmap_replay,
	  .readahead = IO_READAHEAD_NONE },
	{ .name = "separate-tensors", .layout = IO_IDENTITY, .replay = io_separate_replay,
	  .cache_policy = "layer-lru" },
	{ .name = "llm-in-a-flash", .layout = IO_IDENTITY, .replay = io_window_replay },
	{ .name = "llm-in-a-flash-bounded", .layout = IO_IDENTITY, .replay = io_engine_replay,
	  .cache_policy = "layer-lru" },
	{ .name = "frequency", .layout = IO_FREQUENCY, .replay = io_engine_replay,
	  .collapse = true, .layers_ahead = 1 },
	{ .name = "linked", .layout = IO_LINKED, .replay = io_engine_replay,
	  .cache_policy = "clock" },
	{ .name = "linked+collapse", .layout = IO_LINKED, .replay = io_engine_replay,
	  .collapse = true, .cache_policy = "clock" },
	{ .name = "linked+collapse+cache", .layout = IO_LINKED, .replay = io_engine_replay,
	  .collapse = true },
	{ .name = "linked+all", .layout = IO_LINKED, .replay = io_engine_replay,
	  .collapse = true, .layers_ahead = 1 },
	{ .name = "full", .layout = IO_BEST, .replay = io_engine_replay,
	  .collapse = true, .layers_ahead = 1 },
	{ .name = "full-2-ahead", .layout = IO_BEST, .replay = io_engine_replay,
	  .collapse = true, .layers_ahead = 2 },
	{ .name = "full-window-dram", .layout = IO_BEST, .replay = io_engine_replay,
	  .collapse = true, .layers_ahead = 1, .dram = IO_DRAM_WINDOW },
	{ .name = "full+copies", .layout = IO_BEST, .replay = io_engine_replay,
	  .collapse = true, .layers_ahead = 1, .copies = true },
};

const size_t n_io_methods = sizeof(io_methods) / sizeof(io_methods[0]);

const struct io_method *io_method_find(const char *name)
{
	for (size_t i = 0; i < n_io_methods; i++)
		if (!strcmp(io_methods[i].name, name))
			return &io_methods[i];
	return NULL;
}

const uint64_t *io_wanted(const struct io_method *method, const struct io_inputs *inputs,
			  uint32_t token, uint32_t layer)
{
	return token_slots_of(&inputs->layouts[method->layout].wanted, token, layer);
}
