/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What placement.c and placement_file.c share, and the bytes of a placement file
 * (for its fuzzer). All numbers are little endian; in file order:
 *
 *	header		struct placement_header, 40 bytes
 *	copies		struct placement_copies, 8 bytes, in version 2 only
 *	per layer	u32 slot_to_neuron[n_neurons], f32 strength[positions],
 *			f32 frequency[n_neurons]; in version 2 u32 slot_at[positions]
 *	checksum	u64: XXH3-64 with seed 0 of everything before it
 *
 * Without copies there are as many positions as neurons, and the version is 1.
 */
#ifndef COLINK_PLACEMENT_PLACEMENT_PRIVATE_H
#define COLINK_PLACEMENT_PLACEMENT_PRIVATE_H

#include <stdint.h>

#include "base/error.h"
#include "placement/placement.h"

#define PLACEMENT_MAGIC "colinkPL"
#define PLACEMENT_VERSION 1
#define PLACEMENT_VERSION_COPIES 2

struct placement_header {
	/*  0 */ char magic[8]; /* PLACEMENT_MAGIC, no NUL */
	/*  8 */ uint32_t version;
	/* 12 */ uint32_t method; /* enum order_method */
	/* 16 */ uint32_t n_layers;
	/* 20 */ uint32_t n_neurons;
	/* 24 */ uint64_t model_id;
	/* 32 */ uint64_t n_tokens;
};

struct placement_copies {
	/*  0 */ uint32_t n_positions; /* more than neurons, at most twice as many */
	/*  4 */ uint32_t zero;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are stored as they are");
_Static_assert(sizeof(struct placement_header) == 40, "no padding");

/* A placement like `shape`, whose `layers` is ignored, with layers full of zeros. */
int placement_create(const struct placement *shape, struct placement **placement,
		     struct error *err);

#endif
