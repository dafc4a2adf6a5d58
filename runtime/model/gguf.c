// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GGUF reader. The header has no length of its own, so a prefix of the file
 * is read and parsed; when the parser runs off its end the prefix is doubled and
 * parsing starts over. Keys and strings are copied into one arena, NUL-terminated:
 * on disk each has an 8-byte length in front, so the prefix's size always suffices.
 */
#define _GNU_SOURCE
#include "model/gguf_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define FIRST_PREFIX (256 * 1024)
#define MAX_HEADER (UINT64_C(1) << 30)
#define MIN_ALIGNMENT 8u
#define MAX_ALIGNMENT (1u << 24)
/* Smallest encodings, to bound counts by the bytes that are there. */
#define MIN_VALUE_BYTES (8 + 4 + 1)
#define MIN_TENSOR_BYTES (8 + 4 + 4 + 8)

/* Parsing position; -EAGAIN means that the prefix was too short. */
struct cursor {
	const struct gguf *gguf;
	uint64_t position;
	struct error *err;
};

static int malformed(const struct cursor *cursor, const char *what)
{
	return error_set(cursor->err, -EINVAL, "%s: not a valid GGUF file: %s at offset %" PRIu64,
			 cursor->gguf->path, what, cursor->position);
}

static int skip_bytes(struct cursor *cursor, uint64_t length)
{
	if (length > cursor->gguf->file_size - cursor->position)
		return malformed(cursor, "something reaches beyond the end of the file");
	if (length > cursor->gguf->header_room - cursor->position)
		return -EAGAIN;
	cursor->position += length;
	return 0;
}

static int read_bytes(struct cursor *cursor, void *out, uint64_t length)
{
	uint64_t from = cursor->position;
	int ret = skip_bytes(cursor, length);

	if (ret < 0)
		return ret;
	memcpy(out, cursor->gguf->header + from, length);
	return 0;
}

static int read_string(struct cursor *cursor, struct gguf *gguf, const char **string)
{
	uint64_t length, from;
	char *copy;
	int ret;

	ret = read_bytes(cursor, &length, sizeof(length));
	if (ret < 0)
		return ret;
	from = cursor->position;
	ret = skip_bytes(cursor, length);
	if (ret < 0)
		return ret;
	if (memchr(gguf->header + from, '\0', length))
		return malformed(cursor, "a string with a NUL byte ends");
	copy = gguf->arena + gguf->arena_used;
	memcpy(copy, gguf->header + from, length);
	copy[length] = '\0';
	gguf->arena_used += length + 1;
	*string = copy;
	return 0;
}

size_t gguf_tensor_type_size(uint32_t type)
{
	switch (type) {
	case GGUF_TENSOR_F32:
	case GGUF_TENSOR_I32:
		return 4;
	case GGUF_TENSOR_F16:
		return 2;
	case GGUF_TENSOR_I64:
		return 8;
	default:
		return 0;
	}
}

static int skip_strings(struct cursor *cursor, uint64_t count)
{
	int ret = 0;

	for (uint64_t i = 0; i < count && ret == 0; i++) {
		uint64_t length;

		ret = read_bytes(cursor, &length, sizeof(length));
		if (ret == 0)
			ret = skip_bytes(cursor, length);
	}
	return ret;
}

static int read_array_value(struct cursor *cursor, struct gguf_value *value)
{
	uint64_t bytes;
	int ret;

	ret = read_bytes(cursor, &value->type, sizeof(value->type));
	if (ret == 0)
		ret = read_bytes(cursor, &value->count, sizeof(value->count));
	if (ret < 0)
		return ret;
	value->is_array = true;
	value->position = cursor->position;
	if (value->type == GGUF_STRING)
		return skip_strings(cursor, value->count);
	if (!gguf_value_type_size(value->type))
		return malformed(cursor, "an array of an unknown type");
	if (__builtin_mul_overflow(value->count, gguf_value_type_size(value->type), &bytes))
		return malformed(cursor, "an array that is too long");
	return skip_bytes(cursor, bytes);
}

static int read_value(struct cursor *cursor, struct gguf *gguf, struct gguf_value *value)
{
	int ret;

	ret = read_string(cursor, gguf, &value->key);
	if (ret == 0)
		ret = read_bytes(cursor, &value->type, sizeof(value->type));
	if (ret < 0)
		return ret;
	if (value->type == GGUF_ARRAY)
		return read_array_value(cursor, value);
	value->count = 1;
	value->position = cursor->position;
	if (value->type == GGUF_STRING)
		return read_string(cursor, gguf, &value->string);
	if (!gguf_value_type_size(value->type))
		return malformed(cursor, "a value of an unknown type");
	return skip_bytes(cursor, gguf_value_type_size(value->type));
}

static int tensor_error(const struct cursor *cursor, const struct gguf_tensor *tensor,
			const char *what)
{
	return error_set(cursor->err, -EINVAL, "%s: tensor %s: %s", cursor->gguf->path,
			 tensor->name, what);
}

/* Offsets are relative to the data section here; place_tensors() makes them absolute. */
static int read_tensor(struct cursor *cursor, struct gguf *gguf, struct gguf_tensor *tensor)
{
	uint32_t type;
	int ret;

	ret = read_string(cursor, gguf, &tensor->name);
	if (ret == 0)
		ret = read_bytes(cursor, &tensor->n_dims, sizeof(tensor->n_dims));
	if (ret < 0)
		return ret;
	if (tensor->n_dims > GGUF_MAX_DIMS)
		return tensor_error(cursor, tensor, "has more than 4 dimensions");
	ret = read_bytes(cursor, tensor->dims, tensor->n_dims * sizeof(tensor->dims[0]));
	if (ret == 0)
		ret = read_bytes(cursor, &type, sizeof(type));
	if (ret == 0)
		ret = read_bytes(cursor, &tensor->offset, sizeof(tensor->offset));
	if (ret < 0)
		return ret;
	tensor->type = type;
	tensor->size = gguf_tensor_type_size(type);
	if (!tensor->size)
		return error_set(cursor->err, -EINVAL,
				 "%s: tensor %s: type %" PRIu32 " is not supported (F32, F16, I32 "
				 "and I64 are)", gguf->path, tensor->name, type);
	for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
		if (i >= tensor->n_dims)
			tensor->dims[i] = 1;
		if (__builtin_mul_overflow(tensor->size, tensor->dims[i], &tensor->size))
			return tensor_error(cursor, tensor, "is larger than any file");
	}
	return 0;
}

static int check_alignment(struct cursor *cursor, struct gguf *gguf)
{
	uint32_t alignment = GGUF_DEFAULT_ALIGNMENT;
	int ret;

	if (gguf_has(gguf, "general.alignment")) {
		ret = gguf_get_u32(gguf, "general.alignment", &alignment, cursor->err);
		if (ret < 0)
			return ret;
	}
	if (alignment < MIN_ALIGNMENT || alignment > MAX_ALIGNMENT || alignment & (alignment - 1))
		return error_set(cursor->err, -EINVAL,
				 "%s: not a valid GGUF file: general.alignment "
				 "%" PRIu32 " is not a power of two from %u to %u",
				 gguf->path, alignment, MIN_ALIGNMENT, MAX_ALIGNMENT);
	gguf->alignment = alignment;
	return 0;
}

/* Tensors lie one after the other in table order, each start aligned, no byte left over. */
static int place_tensors(struct cursor *cursor, struct gguf *gguf)
{
	uint64_t room = gguf->file_size - gguf->header_size;
	uint64_t expected = 0;

	for (uint64_t i = 0; i < gguf->n_tensors; i++) {
		struct gguf_tensor *tensor = &gguf->tensors[i];
		uint64_t padding;

		if (tensor->offset != expected)
			return tensor_error(cursor, tensor, "does not follow the one before it");
		if (tensor->size > room || tensor->offset > room - tensor->size)
			return error_set(cursor->err, -EINVAL,
					 "%s: tensor %s reaches beyond the end of the file: it is "
					 "truncated; copy or make it again",
					 gguf->path, tensor->name);
		expected = tensor->offset + tensor->size;
		padding = -expected % gguf->alignment;
		expected += padding;
		tensor->offset += gguf->header_size;
	}
	return 0;
}

static int read_table(struct cursor *cursor, struct gguf *gguf)
{
	struct {
		char magic[4];
		uint32_t version;
		uint64_t n_tensors;
		uint64_t n_values;
	} head;
	uint64_t largest;
	int ret;

	ret = read_bytes(cursor, &head, sizeof(head));
	if (ret < 0)
		return ret;
	if (memcmp(head.magic, GGUF_MAGIC, sizeof(head.magic)))
		return error_set(
			cursor->err, -EINVAL,
			"%s: not a GGUF file (a checkpoint is imported with 'colink import')",
			gguf->path);
	if (head.version != GGUF_VERSION)
		return error_set(cursor->err, -EINVAL, "%s: GGUF version %" PRIu32
				 ", only version %d is supported", gguf->path, head.version,
				 GGUF_VERSION);
	largest = gguf->file_size < MAX_HEADER ? gguf->file_size : MAX_HEADER;
	if (head.n_values > largest / MIN_VALUE_BYTES ||
	    head.n_tensors > largest / MIN_TENSOR_BYTES)
		return malformed(cursor, "more values or tensors than a header can hold");
	gguf->values = calloc(head.n_values + 1, sizeof(gguf->values[0]));
	gguf->tensors = calloc(head.n_tensors + 1, sizeof(gguf->tensors[0]));
	if (!gguf->values || !gguf->tensors)
		return error_no_memory(cursor->err, gguf->path);
	for (; gguf->n_values < head.n_values; gguf->n_values++) {
		ret = read_value(cursor, gguf, &gguf->values[gguf->n_values]);
		if (ret < 0)
			return ret;
	}
	ret = check_alignment(cursor, gguf);
	if (ret < 0)
		return ret;
	for (; gguf->n_tensors < head.n_tensors; gguf->n_tensors++) {
		ret = read_tensor(cursor, gguf, &gguf->tensors[gguf->n_tensors]);
		if (ret < 0)
			return ret;
	}
	ret = skip_bytes(cursor, -cursor->position % gguf->alignment);
	if (ret < 0)
		return ret;
	gguf->header_size = cursor->position;
	ret = gguf_check_names(gguf, cursor->err);
	return ret < 0 ? ret : place_tensors(cursor, gguf);
}

static void forget_table(struct gguf *gguf)
{
	free(gguf->values);
	free(gguf->tensors);
	free(gguf->header);
	free(gguf->arena);
	gguf->values = NULL;
	gguf->tensors = NULL;
	gguf->header = NULL;
	gguf->arena = NULL;
	gguf->arena_used = 0;
	gguf->n_values = 0;
	gguf->n_tensors = 0;
}

static int read_header(struct gguf *gguf, struct error *err)
{
	uint64_t room = FIRST_PREFIX;
	int ret;

	do {
		struct cursor cursor = { .gguf = gguf, .err = err };

		forget_table(gguf);
		gguf->header_room = room < gguf->file_size ? room : gguf->file_size;
		gguf->header = malloc(gguf->header_room + 1);
		gguf->arena = malloc(gguf->header_room + 1);
		if (!gguf->header || !gguf->arena)
			return error_no_memory(err, gguf->path);
		ret = file_read_at(gguf->fd, gguf->header, gguf->header_room, 0, gguf->path, err);
		if (ret < 0)
			return ret;
		ret = read_table(&cursor, gguf);
		room *= 2;
	} while (ret == -EAGAIN && room <= MAX_HEADER);
	if (ret == -EAGAIN)
		return error_set(err, -EFBIG, "%s: the header is larger than 1 GiB", gguf->path);
	return ret;
}

int gguf_open(const char *path, struct gguf **result, struct error *err)
{
	struct gguf *gguf = calloc(1, sizeof(*gguf));
	int ret;

	if (!gguf)
		return error_no_memory(err, path);
	gguf->fd = -1;
	gguf->path = strdup(path);
	if (!gguf->path) {
		ret = error_no_memory(err, path);
		goto fail;
	}
	gguf->fd = file_open_read(path, &gguf->file_size, err);
	if (gguf->fd < 0) {
		ret = gguf->fd;
		goto fail;
	}
	/*
	 * Readahead behind the header and each tensor would bring megabytes of bundles
	 * that may never be wanted. Tensors are read in large pieces, so little is lost.
	 */
	posix_fadvise(gguf->fd, 0, 0, POSIX_FADV_RANDOM);
	ret = read_header(gguf, err);
	if (ret < 0)
		goto fail;
	*result = gguf;
	return 0;
fail:
	gguf_close(gguf);
	return ret;
}

void gguf_close(struct gguf *gguf)
{
	if (!gguf)
		return;
	forget_table(gguf);
	if (gguf->fd >= 0)
		close(gguf->fd);
	free(gguf->path);
	free(gguf);
}

const char *gguf_path(const struct gguf *gguf)
{
	return gguf->path;
}

int gguf_descriptor(const struct gguf *gguf)
{
	return gguf->fd;
}

uint64_t gguf_file_size(const struct gguf *gguf)
{
	return gguf->file_size;
}

const void *gguf_header(const struct gguf *gguf, uint64_t *length)
{
	*length = gguf->header_size;
	return gguf->header;
}

size_t gguf_n_tensors(const struct gguf *gguf)
{
	return gguf->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t i)
{
	return &gguf->tensors[i];
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name)
{
	for (uint64_t i = 0; i < gguf->n_tensors; i++)
		if (!strcmp(gguf->tensors[i].name, name))
			return &gguf->tensors[i];
	return NULL;
}
