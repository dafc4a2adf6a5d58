/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that keeps a model loaded: it does nothing but stay, until a signal ends it.
 */
#ifndef COLINK_CLI_HOLDER_H
#define COLINK_CLI_HOLDER_H

#include "base/error.h"
#include "kernel/link_holding.h"

/*
 * Hand over to a process in the background, and return when it has everything; *state is
 * what it told others. On failure nothing is left. `holding` is no longer the caller's.
 * The signals below have to be blocked.
 */
int holder_start(struct link_holding *holding, struct link_state *state, struct error *err);

/*
 * From holder_block_signals() on SIGTERM, and SIGINT and SIGHUP unless they are ignored, do
 * nothing until holder_wait(), which returns when one has come.
 */
void holder_block_signals(void);
void holder_wait(void);

#endif
