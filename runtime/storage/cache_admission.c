// SPDX-License-Identifier: GPL-2.0-only
/* Which bundles that were read may enter the cache, whatever is to go for them. */
#include "storage/cache_policy.h"

/*
 * arXiv 2410.19274 leaves both numbers open; with these the simulation came out best
 * (Documentation/cache.rst).
 */
#define LONG_RUN 8 /* bundles */
#define ONE_IN 4 /* members of long runs */

bool cache_admit_all(struct cache *cache, uint32_t bundle, struct cache_read read)
{
	(void)cache;
	(void)bundle;
	(void)read;
	return true;
}

/*
 * A bundle out of the middle of a run saves no I/O as long as the rest is read, and
 * may split the run into two. A bundle that is a run by itself saves an I/O.
 */
bool cache_admit_short_runs(struct cache *cache, uint32_t bundle, struct cache_read read)
{
	(void)bundle;
	return read.bundles < LONG_RUN || random_below(&cache->random, ONE_IN) == 0;
}
