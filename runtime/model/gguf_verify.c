// SPDX-License-Identifier: GPL-2.0-only
#include "model/gguf_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"

#define BUFFER_SIZE (1024 * 1024)

int gguf_load_checksums(const struct gguf *gguf, uint64_t **result, struct error *err)
{
	const char *path = gguf_path(gguf);
	size_t n_tensors = gguf_n_tensors(gguf);
	const struct gguf_tensor *tensor;
	uint64_t header_length, *checksums;
	const void *header;
	int ret;

	tensor = n_tensors ? gguf_tensor_at(gguf, n_tensors - 1) : NULL;
	if (!tensor || strcmp(tensor->name, GGUF_CHECKSUMS) || tensor->type != GGUF_TENSOR_I64 ||
	    tensor->dims[0] != n_tensors + 1 || tensor->size != (n_tensors + 1) * sizeof(uint64_t))
		return error_set(err, -EINVAL, "%s: has no checksums: colink did not write it",
				 path);
	if (tensor->offset + tensor->size != gguf_file_size(gguf))
		return error_set(err, -EINVAL, "%s: %" PRIu64 " bytes follow the last tensor", path,
				 gguf_file_size(gguf) - tensor->offset - tensor->size);
	checksums = malloc(tensor->size);
	if (!checksums)
		return error_no_memory(err, path);
	ret = file_read_at(gguf_descriptor(gguf), checksums, tensor->size, tensor->offset, path,
			   err);
	if (ret < 0)
		goto fail;
	ret = -EBADMSG;
	if (XXH3_64bits(checksums, n_tensors * sizeof(*checksums)) != checksums[n_tensors]) {
		error_set(err, ret, "%s: damaged: the list of checksums at offset %" PRIu64
			  " does not match its own", path, tensor->offset);
		goto fail;
	}
	header = gguf_header(gguf, &header_length);
	if (XXH3_64bits(header, header_length) != checksums[0]) {
		error_set(err, ret, "%s: damaged: the header (bytes 0 to %" PRIu64
			  ") does not match its checksum", path, header_length);
		goto fail;
	}
	memmove(checksums, checksums + 1, (n_tensors - 1) * sizeof(*checksums));
	*result = checksums;
	return 0;
fail:
	free(checksums);
	return ret;
}

/* Where the next tensor starts; checksums cover the padding up to there. */
static uint64_t end_with_padding(const struct gguf *gguf, size_t i)
{
	return gguf_tensor_at(gguf, i + 1)->offset;
}

/* Hash a range through a fixed buffer, keeping the first `keep` bytes in `data`. */
static int hash_range(const struct gguf *gguf, uint64_t offset, uint64_t length, char *data,
		      uint64_t keep, XXH3_state_t *hash, char *buffer, struct error *err)
{
	XXH3_64bits_reset(hash);
	for (uint64_t done = 0; done < length;) {
		bool into_data = data && done < keep;
		uint64_t limit = into_data ? keep - done : length - done;
		size_t part = limit < BUFFER_SIZE ? limit : BUFFER_SIZE;
		char *to = into_data ? data + done : buffer;
		int ret = file_read_at(gguf_descriptor(gguf), to, part, offset + done,
				       gguf_path(gguf), err);

		if (ret < 0)
			return ret;
		XXH3_64bits_update(hash, to, part);
		done += part;
	}
	return 0;
}

int gguf_verify_tensor(const struct gguf *gguf, const uint64_t *checksums, size_t i, void *data,
		       struct error *err)
{
	const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
	uint64_t end = end_with_padding(gguf, i);
	XXH3_state_t *hash = XXH3_createState();
	char *buffer = malloc(BUFFER_SIZE);
	int ret;

	if (!hash || !buffer) {
		ret = error_no_memory(err, gguf_path(gguf));
		goto out;
	}
	ret = hash_range(gguf, tensor->offset, end - tensor->offset, data, tensor->size, hash,
			 buffer, err);
	if (ret == 0 && XXH3_64bits_digest(hash) != checksums[i])
		ret = error_set(
			err, -EBADMSG,
			"%s: damaged: tensor %s (bytes %" PRIu64 " to %" PRIu64
			") does not match its checksum; make the file again or copy it anew",
			gguf_path(gguf), tensor->name, tensor->offset, end);
out:
	free(buffer);
	XXH3_freeState(hash);
	return ret;
}

int gguf_verify(const struct gguf *gguf, struct progress *progress, struct error *err)
{
	uint64_t *checksums;
	int ret;

	ret = gguf_load_checksums(gguf, &checksums, err);
	if (ret < 0)
		return ret;
	/* All of it is wanted, from front to back. */
	posix_fadvise(gguf_descriptor(gguf), 0, 0, POSIX_FADV_SEQUENTIAL);
	for (size_t i = 0; i + 1 < gguf_n_tensors(gguf) && ret == 0; i++) {
		ret = gguf_verify_tensor(gguf, checksums, i, NULL, err);
		progress_report(progress, (double)end_with_padding(gguf, i),
				(double)gguf_file_size(gguf));
	}
	free(checksums);
	return ret;
}
