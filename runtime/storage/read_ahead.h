/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much the kernel reads around a page fault (read_ahead_kb). It belongs to the device,
 * but an open file goes by what that was at the moment it was opened.
 */
#ifndef COLINK_STORAGE_READ_AHEAD_H
#define COLINK_STORAGE_READ_AHEAD_H

#include <stdint.h>

#include "base/error.h"

/* KiB, of the device below the file; -ENODATA where it has none. */
int read_ahead_get(const char *path, uint32_t *kib, struct error *err);

/*
 * Open a file for reading such that `kib` goes for it alone: the device's value is changed,
 * the file opened, and the value restored, with all signals blocked meanwhile. Only who is
 * killed (SIGKILL) within these three system calls leaves the device changed. Needs root
 * unless the value is as wanted. Returns the descriptor, which the caller closes.
 */
int read_ahead_open(const char *path, uint32_t kib, struct error *err);

#endif
