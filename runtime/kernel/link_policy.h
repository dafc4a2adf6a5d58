/* SPDX-License-Identifier: GPL-2.0-only */
/* What link_prefetch does unless it is told otherwise. Documentation/commands/load.rst. */
#ifndef COLINK_KERNEL_LINK_POLICY_H
#define COLINK_KERNEL_LINK_POLICY_H

#include <stdint.h>

#include "kernel/link_hints.h"
#include "link_prefetch.h"

/* A value of struct link_policy that is to be chosen for the file at hand. */
#define LINK_POLICY_DEFAULT UINT32_MAX

/* `policy` with every LINK_POLICY_DEFAULT chosen; gap_bytes is a/b of the device. */
struct link_policy link_policy_defaults(const struct link_policy *policy,
					const struct link_hints *hints, uint64_t gap_bytes);

#endif
