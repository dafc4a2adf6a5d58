/* SPDX-License-Identifier: GPL-2.0-only */
/* A file of random bytes that are also in memory, for tests that read it back. */
#ifndef COLINK_TESTS_HELPERS_RANDOM_FILE_H
#define COLINK_TESTS_HELPERS_RANDOM_FILE_H

#include <stddef.h>
#include <stdint.h>

struct random_file {
	char *folder; /* of this file only */
	char *path;
	char *content; /* (size) */
	size_t size;
};

void random_file_make(struct random_file *file, uint64_t seed, size_t size);
void random_file_remove(struct random_file *file);

/* What the file held at first, in place of what it holds now. */
void random_file_restore(const struct random_file *file);

#endif
