/* SPDX-License-Identifier: GPL-2.0-only */
/* Arenas for sources, and whether there is io_uring to read into one. */
#ifndef COLINK_TESTS_HELPERS_ARENA_H
#define COLINK_TESTS_HELPERS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/* Page-aligned and zero; unmapped by arena_unmap(). */
char *arena_map(size_t bytes);
void arena_unmap(char *arena, size_t bytes);

/* Whether this machine opens that file as source "uring". */
bool have_uring(const char *path);

#endif
