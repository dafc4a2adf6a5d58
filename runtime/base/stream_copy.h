/* SPDX-License-Identifier: GPL-2.0-only */
/* A copy that is not to be read again soon: past the CPU's caches, where that can be said. */
#ifndef COLINK_BASE_STREAM_COPY_H
#define COLINK_BASE_STREAM_COPY_H

#include <stddef.h>

/* Like memcpy(). Another thread sees it after whatever it is told of it by, as of any copy. */
void stream_copy(void *to, const void *from, size_t bytes);

#endif
