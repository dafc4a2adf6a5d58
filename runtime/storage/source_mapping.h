/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to the sources of mapped files: what they have in common. */
#ifndef COLINK_STORAGE_SOURCE_MAPPING_H
#define COLINK_STORAGE_SOURCE_MAPPING_H

#include "storage/source_ops.h"

/* The whole file, mapped for reading. The caller calls source_unmap(). */
int source_map(const struct source *source, char **bytes, struct error *err);
void source_unmap(const struct source *source, char *bytes);

/*
 * Nobody reads around its faults: MADV_RANDOM. What is wanted is known, and other pages would
 * only take room.
 */
int source_map_random(const struct source *source, char *bytes, struct error *err);

/*
 * Set the data of reads. Touching a page that the file no longer has would be a SIGBUS, so the
 * file's end is looked at: where it is within a read, the source has failed.
 */
int source_place_reads(struct source *source, const char *bytes, struct source_read *reads,
		       uint32_t n_reads, struct error *err);

#endif
