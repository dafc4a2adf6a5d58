/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * To touch mapped pages where the file may have ended or a read may fail. An ordinary touch is
 * a SIGBUS then, of which the process dies; this one is an error.
 */
#ifndef COLINK_BASE_PAGE_TOUCH_H
#define COLINK_BASE_PAGE_TOUCH_H

#include <stddef.h>

#include "base/error.h"

/*
 * Between these two page_touch() may be called, by any thread. They count: the process's
 * SIGBUS is handled from the first begin to the last end. A SIGBUS from elsewhere goes to who
 * had it before, and so do all from then on.
 */
int page_touch_begin(struct error *err);
void page_touch_end(void);

/*
 * Read a byte of each page of [begin, begin + bytes), which is mapped; page: their size. -EFAULT
 * when one of them cannot be had.
 */
int page_touch(const char *begin, size_t bytes, size_t page);

#endif
