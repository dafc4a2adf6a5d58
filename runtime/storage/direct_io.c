// SPDX-License-Identifier: GPL-2.0-only
/*
 * The alignment comes from statx(2), STATX_DIOALIGN (Linux 6.1, not every file
 * system); where it is not told, 4096 bytes are assumed, which covers every
 * logical block size up to a page. Some file systems take the flag and then
 * refuse the read, so one block is read as a trial.
 */
#define _GNU_SOURCE
#include "storage/direct_io.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0 when the file system says that it has no direct I/O for this file. */
static uint32_t told_alignment(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0 ||
	    !(st.stx_mask & STATX_DIOALIGN))
		return DIRECT_IO_MAX_ALIGNMENT;
	if (st.stx_dio_offset_align > st.stx_dio_mem_align)
		return st.stx_dio_offset_align;
	return st.stx_dio_offset_align ? st.stx_dio_mem_align : 0;
}

static bool trial_read(int fd, uint32_t alignment)
{
	_Alignas(DIRECT_IO_MAX_ALIGNMENT) char block[DIRECT_IO_MAX_ALIGNMENT];

	return pread(fd, block, alignment, 0) > 0;
}

uint32_t direct_io_enable(int fd)
{
	uint32_t alignment = told_alignment(fd);

	if (alignment == 0 || alignment > DIRECT_IO_MAX_ALIGNMENT ||
	    (alignment & (alignment - 1)) != 0)
		return 0;
	if (fcntl(fd, F_SETFL, O_DIRECT) < 0)
		return 0;
	if (trial_read(fd, alignment))
		return alignment;
	fcntl(fd, F_SETFL, 0);
	return 0;
}
