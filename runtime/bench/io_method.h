/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to bench io: the ways to bring the bundles of one token after another into
 * memory, one entry of a table each. A way is a file (io_engine.c, io_window.c, io_mmap.c)
 * and a method is a way with a layout and what it may do.
 *
 * What is measured of a token begins with the look-up of its first layer and ends when the
 * last has been consumed and what is kept of it is kept. Consuming reads one word of each
 * page of each wanted bundle, in all methods, so that data has to be where a kernel of
 * computation would need it.
 */
#ifndef COLINK_BENCH_IO_METHOD_H
#define COLINK_BENCH_IO_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "bench/io_inputs.h"
#include "bench/memory_group.h"
#include "storage/device.h"
#include "storage/source.h"

/* The same for all methods. */
struct io_setting {
	struct device_cost cost;
	double cache_ratio; /* share of all bundles in DRAM */
	uint32_t queue_depth;
	struct memory_group_sources groups; /* for methods that map the file */
	const struct source_observer *observer; /* told of every I/O but those of mapped files */
	uint32_t mmap_tokens; /* the first of the tokens, of which these replay no more */
	/*
	 * Called with each wanted bundle, in the order of slots, with its bytes in memory, or
	 * with one of its rows after the other. In a process of their own for methods that map
	 * the file.
	 */
	void (*consume)(void *arg, uint32_t token, uint32_t layer, uint32_t slot,
			const uint8_t *bytes, uint32_t n_bytes);
	void *consume_arg;
};

/* What one token took. */
struct io_token {
	double io_ms;
	double bookkeeping_ms; /* of it, in looking up, planning and keeping; 0 for mapped files */
	double predicted_ms; /* by the device cost */
	uint64_t reads;
	uint64_t bytes;
	uint64_t wanted; /* bundles */
	uint64_t cached; /* of them, those that no read was waited for */
	uint64_t runs; /* of bundles that had to be read, before collapse */
	uint64_t run_bundles;
};

/* What a replay leaves behind. */
struct io_outcome {
	struct io_token *tokens; /* (inputs->n_tokens), the caller's, zero at first */
	uint32_t n_tokens; /* replayed, the first ones; all, unless the method says less */
	uint64_t cache_bytes; /* of DRAM for bundles that stay from token to token, at most */
};

enum io_dram {
	IO_DRAM_RATIO, /* the cache ratio of the setting */
	IO_DRAM_WINDOW, /* what io_window_replay() takes */
};

enum io_readahead {
	IO_READAHEAD_DEVICE, /* as the device has it */
	IO_READAHEAD_128K,
	IO_READAHEAD_NONE, /* MADV_RANDOM */
};

struct io_method {
	const char *name;
	enum io_layout layout;
	/*
	 * Replay all tokens, from empty caches. 1 when the method cannot be had here: *err
	 * then says why.
	 */
	int (*replay)(const struct io_method *method, const struct io_inputs *inputs,
		      const struct io_setting *setting, struct io_outcome *outcome,
		      struct error *err);
	/* Of the engine. */
	enum io_dram dram;
	bool collapse;
	bool copies; /* of the inputs: chosen from, where there are any */
	uint32_t layers_ahead; /* asked for before a layer is consumed */
	const char *cache_policy; /* NULL: the store's default */
	/* Of mapped files. */
	enum io_readahead readahead;
};

extern const struct io_method io_methods[];
extern const size_t n_io_methods;

/* NULL for a name that is none. */
const struct io_method *io_method_find(const char *name);

/* The wanted slots of a token and layer in the method's layout. */
const uint64_t *io_wanted(const struct io_method *method, const struct io_inputs *inputs,
			  uint32_t token, uint32_t layer);

int io_engine_replay(const struct io_method *method, const struct io_inputs *inputs,
		     const struct io_setting *setting, struct io_outcome *outcome,
		     struct error *err);
int io_window_replay(const struct io_method *method, const struct io_inputs *inputs,
		     const struct io_setting *setting, struct io_outcome *outcome,
		     struct error *err);
int io_separate_replay(const struct io_method *method, const struct io_inputs *inputs,
		       const struct io_setting *setting, struct io_outcome *outcome,
		       struct error *err);
int io_mmap_replay(const struct io_method *method, const struct io_inputs *inputs,
		   const struct io_setting *setting, struct io_outcome *outcome, struct error *err);

/*
 * A token's figures, all but the time, as the store has counted them since its last reset;
 * to the store, a bundle was `parts` of them.
 */
int io_store_figures(const struct bundle_store *store, uint32_t parts, struct io_token *result,
		     struct error *err);

/* Bytes of DRAM that io_window_replay() keeps bundles in: none where nothing is wanted. */
int io_window_bytes(const struct io_inputs *inputs, uint64_t *bytes, struct error *err);

/* Tokens whose neurons io_window_replay() keeps. */
#define IO_WINDOW_TOKENS 5

#endif
