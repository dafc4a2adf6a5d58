// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/source_mapping.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int source_map(const struct source *source, char **bytes, struct error *err)
{
	void *mapping;

	if (source->file_bytes > SIZE_MAX)
		return error_set(err, -EOVERFLOW, "%s: too large to be mapped", source->path);
	mapping = mmap(NULL, (size_t)source->file_bytes, PROT_READ, MAP_SHARED, source->fd, 0);
	if (mapping == MAP_FAILED)
		return error_set(err, -errno, "%s: cannot be mapped: %s", source->path,
				 strerror(errno));
	*bytes = mapping;
	return 0;
}

void source_unmap(const struct source *source, char *bytes)
{
	munmap(bytes, (size_t)source->file_bytes);
}

int source_map_random(const struct source *source, char *bytes, struct error *err)
{
	if (madvise(bytes, (size_t)source->file_bytes, MADV_RANDOM))
		return error_set(err, -errno, "%s: no MADV_RANDOM: %s", source->path,
				 strerror(errno));
	return 0;
}

int source_place_reads(struct source *source, const char *bytes, struct source_read *reads,
		       uint32_t n_reads, struct error *err)
{
	struct stat st;

	if (fstat(source->fd, &st) < 0)
		return error_set(err, -errno, "%s: cannot stat: %s", source->path, strerror(errno));
	for (uint32_t i = 0; i < n_reads; i++) {
		if (reads[i].offset + reads[i].length > (uint64_t)st.st_size) {
			source_fail_early_end(source, &reads[i], (uint64_t)st.st_size);
			break;
		}
		reads[i].data = bytes + reads[i].offset;
	}
	return 0;
}
