/* SPDX-License-Identifier: GPL-2.0-only */
/* Switching an open file to direct I/O, where its file system can do that. */
#ifndef COLINK_STORAGE_DIRECT_IO_H
#define COLINK_STORAGE_DIRECT_IO_H

#include <stdint.h>

/* A coarser alignment is taken as no direct I/O: reads would grow too much. */
#define DIRECT_IO_MAX_ALIGNMENT 4096

/*
 * Set O_DIRECT on `fd` and return the alignment that offset, length and memory of
 * a read must have, a power of two up to DIRECT_IO_MAX_ALIGNMENT. Returns 0, with
 * O_DIRECT off, where the file cannot be read that way. The other flags that
 * fcntl(F_SETFL) can change are cleared.
 */
uint32_t direct_io_enable(int fd);

#endif
