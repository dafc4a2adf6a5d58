// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/link_policy.h"

/*
 * An I/O of 64 bundles of 4 KiB or more has the device's full bandwidth, and the further behind,
 * the less the first one says.
 */
#define DEFAULT_MAX_RUN 64

/* What they cost and bring is in Documentation/commands/load.rst. */
#define DEFAULT_MAX_HOT 4

/* Less brings nothing beside a page cache, and more of it in vain. Simulated there. */
#define LEAST_THRESHOLD (LINK_ONE / 4 * 3)

struct link_policy link_policy_defaults(const struct link_policy *policy,
					const struct link_hints *hints, uint64_t gap_bytes)
{
	struct link_policy full = *policy;

	if (full.threshold == LINK_POLICY_DEFAULT)
		full.threshold = link_least_chance(hints->layers[0].stride, gap_bytes,
						   LEAST_THRESHOLD);
	if (full.max_run == LINK_POLICY_DEFAULT)
		full.max_run = DEFAULT_MAX_RUN;
	if (full.max_hot == LINK_POLICY_DEFAULT)
		full.max_hot = DEFAULT_MAX_HOT;
	if (full.read_around == LINK_POLICY_DEFAULT)
		full.read_around = LINK_AROUND_ROOM;
	return full;
}
