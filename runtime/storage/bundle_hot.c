// SPDX-License-Identifier: GPL-2.0-only
#include "storage/bundle_hot.h"

#include <stdlib.h>

#include "base/bits.h"

struct rated_bundle {
	float frequency;
	uint32_t bundle;
};

uint32_t bundle_hot_count(const float *frequency, uint64_t n, uint64_t most)
{
	uint32_t count = 0;

	for (uint64_t i = 0; frequency && i < n && count < most; i++)
		count += frequency[i] > 0;
	return count;
}

uint64_t bundle_hot_bytes(uint64_t n)
{
	return (n + 1) * sizeof(struct rated_bundle);
}

static int by_frequency(const void *a, const void *b)
{
	const struct rated_bundle *one = a, *other = b;

	if (one->frequency != other->frequency)
		return one->frequency > other->frequency ? -1 : 1;
	return one->bundle < other->bundle ? -1 : 1;
}

int bundle_hot_find(const float *frequency, uint32_t n_layers, uint32_t slots, uint32_t n_hot,
		    uint64_t *sets, struct error *err)
{
	size_t total = (size_t)n_layers * slots;
	struct rated_bundle *rated = malloc(bundle_hot_bytes(total));
	size_t n = 0;

	if (!rated)
		return error_no_memory(err, "the hot bundles");
	for (size_t i = 0; i < total; i++)
		if (frequency[i] > 0)
			rated[n++] = (struct rated_bundle){ frequency[i], (uint32_t)i };
	qsort(rated, n, sizeof(*rated), by_frequency);
	for (uint32_t i = 0; i < n_hot; i++) {
		uint32_t layer = rated[i].bundle / slots;

		bits_set(sets + (size_t)layer * bits_words(slots), rated[i].bundle % slots);
	}
	free(rated);
	return 0;
}
