// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A deflated entry of a few KB may hold some MB; more would only be slow. */
#define READ_LIMIT (1024 * 1024)

void require(bool condition)
{
	if (!condition)
		abort();
}

const char *fuzz_file(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	require(fd >= 0 && ftruncate(fd, 0) == 0);
	require(pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

static void read_tensor(struct tensor_file *file, const struct file_tensor *tensor)
{
	size_t size = checkpoint_dtype_size(tensor->tensor.dtype);
	uint64_t length = tensor->tensor.n_elements * size;
	uint8_t *buffer;

	if (!length || length > READ_LIMIT)
		return;
	buffer = malloc(length);
	require(buffer != NULL);
	file->read(file, tensor, 0, buffer, length, NULL);
	file->read(file, tensor, length - size, buffer, size, NULL);
	free(buffer);
}

void fuzz_read_all(struct tensor_file *file)
{
	for (size_t i = 0; i < file->n_tensors; i++)
		read_tensor(file, &file->tensors[i]);
	file->close(file);
}
