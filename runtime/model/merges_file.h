/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * merges.txt: one merge per line, "left right", best first. The first line may be
 * a "#version" line. Empty lines are skipped, lines may end with CR LF.
 */
#ifndef COLINK_MODEL_MERGES_FILE_H
#define COLINK_MODEL_MERGES_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct merges_file {
	char *path;
	char *text; /* cut into lines by merges_file_list() */
	size_t length;
};

/* Read DIRECTORY/merges.txt; the caller calls merges_file_free(), after a failure too. */
int merges_file_read(const char *directory, struct merges_file *file, struct error *err);
void merges_file_free(struct merges_file *file);

/*
 * The merges as an array (the caller frees it) of strings that live in the file.
 * A line that is not two parts with one blank between them is refused. Call once.
 */
int merges_file_list(struct merges_file *file, const char ***merges, uint32_t *n_merges,
		     struct error *err);

#endif
