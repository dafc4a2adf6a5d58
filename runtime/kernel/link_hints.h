/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hints of a linked file as the maps of link_prefetch want them (link_prefetch.h):
 * layers, a hint for every slot, and the hot runs of each layer. Where bundles are stored more
 * than once, slots are here and in the kernel what they are to a reader of the file: positions.
 * Links are those of neighbours there, and a bundle is hot in its primary place only.
 *
 * By the device cost, a bundle that will be wanted with the chance p costs b * stride to
 * read along with its neighbour, and p * (a + b * stride) to read by itself when it is
 * wanted. So reading along pays where p > stride / (stride + a/b): the break-even
 * chance. Which slots are hot, and how far links are followed by default, follows from it
 * (link_least_chance()).
 */
#ifndef COLINK_KERNEL_LINK_HINTS_H
#define COLINK_KERNEL_LINK_HINTS_H

#include <stdint.h>

#include <linux/colink.h>

#include "base/error.h"
#include "link_prefetch.h"
#include "model/model_file.h"

struct link_hints {
	struct link_layer *layers; /* (n_layers), one file's from index 0 on */
	struct link_hint *hints; /* (n_layers, slots) */
	struct link_run *hot_runs; /* (n_hot_runs), those of a layer together */
	uint32_t n_layers;
	uint32_t n_hints;
	uint32_t n_hot_runs;
};

/*
 * Read and check them. Runs of hot slots are joined over gaps of up to gap_bytes, which
 * is also a/b. -ENODATA for a model that was imported but not packed: it has no hints.
 * The caller calls link_hints_free(), whatever this returns.
 */
int link_hints_read(const struct model_file *file, uint64_t gap_bytes, struct link_hints *hints,
		    struct error *err);
void link_hints_free(struct link_hints *hints);

/* The layers (n_layers) as the module wants them, to be free()d; NULL: no memory. */
struct colink_layer *link_hints_geometry(const struct link_hints *hints);

/* The break-even chance, as a share of LINK_ONE; `gap_bytes` is a/b. */
uint32_t link_break_even(uint32_t stride, uint64_t gap_bytes);

/*
 * A chance of being wanted over which it pays to read: break-even, and `least`, as one that is
 * missing from the page cache was not wanted for some time, so that its chance is less than its
 * frequency, or the strength of its link, says (Documentation/commands/load.rst).
 */
uint32_t link_least_chance(uint32_t stride, uint64_t gap_bytes, uint32_t least);

/*
 * The hot runs of one layer: the longest runs of slots over the bound, with gaps of up to
 * max_gap slots between them read over. Those come first of which most bundles are
 * expected to be wanted, since each is one I/O. `runs` has room for (n_slots + 1) / 2.
 * Returns how many there are, or -ENOMEM.
 */
int64_t link_hot_runs(const struct link_hint *hints, uint32_t n_slots, uint32_t bound,
		      uint64_t max_gap, struct link_run *runs);

#endif
