/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model that is loaded: the region on an open device, the BPF program, and the file
 * that says so (link_state.h). All of it lasts as long as a process has it, however that
 * process ends; a child that is forked has it as well.
 */
#ifndef COLINK_KERNEL_LINK_HOLDING_H
#define COLINK_KERNEL_LINK_HOLDING_H

#include "base/error.h"
#include "kernel/link_state.h"
#include "model/model_file.h"

struct link_holding;

/*
 * Register the file (`path` as the user calls it), load the program and attach it. What
 * the policy has as LINK_POLICY_DEFAULT (link_policy.h) is chosen by the model's geometry.
 * -EALREADY: the model is loaded, or is being loaded.
 */
int link_holding_open(const struct model_file *file, const char *directory, uint64_t gap_bytes,
		      const struct link_policy *policy, struct link_holding **holding,
		      struct error *err);

/* Let others find it: `pid` is who will have it. */
int link_holding_publish(struct link_holding *holding, pid_t pid, struct error *err);

const struct link_state *link_holding_state(const struct link_holding *holding);

/* It ends, and nothing is left of it. */
void link_holding_end(struct link_holding *holding);

/* It goes on in a child; this process has it no longer. */
void link_holding_leave(struct link_holding *holding);

#endif
