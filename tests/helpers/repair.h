/* SPDX-License-Identifier: GPL-2.0-only */
/* Model files that were changed on purpose. */
#ifndef COLINK_TESTS_HELPERS_REPAIR_H
#define COLINK_TESTS_HELPERS_REPAIR_H

#include <stddef.h>
#include <stdint.h>

/*
 * Write over `length` bytes at an offset, and make the checksums right again, so that only what
 * the file says is wrong. Fails if it is no file of colink's any more.
 */
void change_and_repair(const char *path, uint64_t offset, const void *bytes, size_t length);

#endif
