/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef COLINK_BENCH_NAMELESS_FILE_H
#define COLINK_BENCH_NAMELESS_FILE_H

/*
 * Open a new file in a folder for reading and writing, which goes away with the process,
 * however that ends. Where the file system has no files without names (vfat, NFS) it has
 * the name `path`, in the same folder, for a moment. Returns the descriptor, or -1 with
 * errno set.
 */
int nameless_file_open(const char *directory, const char *path);

#endif
