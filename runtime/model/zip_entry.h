/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading one entry after another of a zip archive, forwards as a stream. Going
 * back is possible and starts the entry over.
 */
#ifndef COLINK_MODEL_ZIP_ENTRY_H
#define COLINK_MODEL_ZIP_ENTRY_H

#include <stddef.h>
#include <stdint.h>
#include <zip.h>

#include "base/error.h"

struct zip_reader {
	zip_t *archive;
	char *path;
	zip_file_t *stream;		/* the open entry, or NULL */
	uint64_t entry, position, size; /* of the open entry */
};

/* Open the archive. A file that is no zip archive is refused. */
int zip_reader_open(struct zip_reader *reader, const char *path, struct error *err);
void zip_reader_close(struct zip_reader *reader);

/* The uncompressed size that the archive declares for an entry. */
int zip_reader_size(struct zip_reader *reader, uint64_t entry, uint64_t *size, struct error *err);

/*
 * Bytes offset .. offset+length-1 of an entry, decompressed. `what` is named in
 * messages. Bytes that were skipped forwards are read, too, so whenever the last
 * byte of an entry is reached, its checksum is verified; a mismatch is -EIO.
 */
int zip_reader_read(struct zip_reader *reader, uint64_t entry, uint64_t offset, void *buffer,
		    size_t length, const char *what, struct error *err);

#endif
