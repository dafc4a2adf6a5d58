/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A loaded model as `load` and `unload` show it: who holds it, its policy, what its BPF
 * program counted. The last two come from the program's own maps, so that nobody has to
 * be asked, and that the counts are complete even when the program has ended.
 */
#ifndef COLINK_CLI_LOADED_H
#define COLINK_CLI_LOADED_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "kernel/link_state.h"

struct loaded {
	struct link_state state;
	struct link_policy policy;
	uint64_t counters[LINK_COUNTERS];
	int policy_map;
	int counters_map;
};

/* Which folder says what is loaded: --state (or NULL), or else $COLINK_STATE, or /run. */
const char *loaded_directory(const char *given);

/* Open the maps and read them. The caller calls loaded_close() if this succeeds. */
int loaded_open(const struct link_state *state, struct loaded *loaded, struct error *err);
void loaded_close(struct loaded *loaded);

/* The counters as they are now. */
int loaded_count(struct loaded *loaded, struct error *err);

/* What --read-around is called: its enum link_read_around, or -EINVAL. */
int read_around_parse(const char *name);

json_t *loaded_json(const struct loaded *loaded);

/* In lines for people; `verb` is what has happened to the model. */
void loaded_show(const struct loaded *loaded, const char *verb);
void loaded_show_counters(const struct loaded *loaded);

#endif
