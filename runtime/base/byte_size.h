/* SPDX-License-Identifier: GPL-2.0-only */
/* Sizes as people write them: "4096", "512M", "2G". */
#ifndef COLINK_BASE_BYTE_SIZE_H
#define COLINK_BASE_BYTE_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The whole of `text` is a decimal number, and K, M or G may follow (or k, m, g), which stand
 * for powers of 1024. False, and *bytes is untouched, for anything else and for more than
 * INT64_MAX bytes (JSON output has signed numbers).
 */
bool byte_size_parse(const char *text, uint64_t *bytes);

#endif
