// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/repair.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "helpers/test.h"
#include "model/gguf_verify.h"

/* Of what is in the file's bytes; `last` is the tensor of checksums. */
static void put_checksums(const struct gguf *gguf, const struct gguf_tensor *last, char *bytes)
{
	size_t n = gguf_n_tensors(gguf);
	uint64_t *checksums = malloc(last->size), header_length;

	assert_non_null(checksums);
	assert_int_equal(last->size, (n + 1) * sizeof(*checksums));
	gguf_header(gguf, &header_length);
	checksums[0] = XXH3_64bits(bytes, header_length);
	for (size_t i = 0; i + 1 < n; i++) {
		uint64_t from = gguf_tensor_at(gguf, i)->offset;

		checksums[i + 1] = XXH3_64bits(bytes + from,
					       gguf_tensor_at(gguf, i + 1)->offset - from);
	}
	checksums[n] = XXH3_64bits(checksums, n * sizeof(*checksums));
	memcpy(bytes + last->offset, checksums, last->size);
	free(checksums);
}

void change_and_repair(const char *path, uint64_t offset, const void *changed, size_t length)
{
	struct gguf *gguf;
	struct error err;
	size_t size;
	char *bytes = file_contents(path, &size);

	assert_true(offset + length <= size);
	memcpy(bytes + offset, changed, length);
	write_file(path, bytes, size);
	assert_ok(gguf_open(path, &gguf, &err), &err);
	put_checksums(gguf, gguf_tensor_at(gguf, gguf_n_tensors(gguf) - 1), bytes);
	gguf_close(gguf);
	write_file(path, bytes, size);
	free(bytes);
}
