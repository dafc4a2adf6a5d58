/* SPDX-License-Identifier: GPL-2.0-only */
/* Which bundles fire most, by the frequencies of the file. */
#ifndef COLINK_STORAGE_BUNDLE_HOT_H
#define COLINK_STORAGE_BUNDLE_HOT_H

#include <stdint.h>

#include "base/error.h"

/*
 * How many of `n` bundles are hot when there is room for `most`: those that fire at
 * all, up to `most`. frequency is (n) or NULL: none.
 */
uint32_t bundle_hot_count(const float *frequency, uint64_t n, uint64_t most);

/*
 * The n_hot ones with the highest frequency, n_hot being a result of
 * bundle_hot_count(); of equal ones the first. frequency is (n_layers, slots), `sets`
 * (n_layers, bits_words(slots)) and clear. Fails with -ENOMEM.
 */
int bundle_hot_find(const float *frequency, uint32_t n_layers, uint32_t slots, uint32_t n_hot,
		    uint64_t *sets, struct error *err);

/* Bytes that bundle_hot_find() takes while it looks at n bundles. */
uint64_t bundle_hot_bytes(uint64_t n);

#endif
