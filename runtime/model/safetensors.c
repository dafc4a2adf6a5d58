// SPDX-License-Identifier: GPL-2.0-only
/*
 * safetensors: 8 bytes header length (little endian), the header, the data.
 *
 * The header is a JSON object, tensor name -> {"dtype", "shape", "data_offsets":
 * [begin, end)}, offsets counted from the end of the header, and possibly
 * "__metadata__", which is of no use here. The tensors must cover the data
 * section exactly: no overlap, no hole, nothing behind the last one. That is the
 * format's own rule, and it leaves no place for bytes that two readers could see
 * differently.
 *
 * Source: the format description in the safetensors project's README.
 */
#include "model/safetensors.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

/* The reference implementation's limit. */
#define HEADER_LIMIT 100000000
#define LENGTH_SIZE 8

struct safetensors {
	struct tensor_file base; /* first: close() and read() get a pointer to it */
	int fd;
	uint64_t data_start; /* where the header ends, from the start of the file */
	uint64_t data_size;
};

/* Bytes of an element by the header's name for its type; the first three are readable. */
static const struct {
	const char *name;
	enum checkpoint_dtype dtype;
	uint32_t size;
} dtypes[] = {
	{ "F32", CHECKPOINT_F32, 4 },	    { "F16", CHECKPOINT_F16, 2 },
	{ "BF16", CHECKPOINT_BF16, 2 },	    { "BOOL", CHECKPOINT_OTHER, 1 },
	{ "C64", CHECKPOINT_OTHER, 8 },	    { "F64", CHECKPOINT_OTHER, 8 },
	{ "F8_E4M3", CHECKPOINT_OTHER, 1 }, { "F8_E5M2", CHECKPOINT_OTHER, 1 },
	{ "I16", CHECKPOINT_OTHER, 2 },	    { "I32", CHECKPOINT_OTHER, 4 },
	{ "I64", CHECKPOINT_OTHER, 8 },	    { "I8", CHECKPOINT_OTHER, 1 },
	{ "U16", CHECKPOINT_OTHER, 2 },	    { "U32", CHECKPOINT_OTHER, 4 },
	{ "U64", CHECKPOINT_OTHER, 8 },	    { "U8", CHECKPOINT_OTHER, 1 },
};

static int safetensors_read(struct tensor_file *file, const struct file_tensor *tensor,
			    uint64_t offset, void *buffer, size_t length, struct error *err)
{
	struct safetensors *st = (struct safetensors *)file;

	return file_read_at(st->fd, buffer, length, st->data_start + tensor->offset + offset,
			    file->path, err);
}

static void safetensors_close(struct tensor_file *file)
{
	struct safetensors *st = (struct safetensors *)file;

	close(st->fd);
	tensor_file_release(file);
	free(st);
}

/* Refuse a tensor of this file. */
static int refuse(const struct file_tensor *tensor, struct error *err, const char *why)
{
	return error_set(err, -EINVAL, "%s: tensor \"%s\": %s", tensor->tensor.file,
			 tensor->tensor.name, why);
}

static int parse_shape(struct file_tensor *tensor, const json_t *shape, struct error *err)
{
	if (!json_is_array(shape))
		return refuse(tensor, err, "\"shape\" is missing or not an array");
	for (size_t i = 0; i < json_array_size(shape); i++) {
		const json_t *dim = json_array_get(shape, i);

		if (!json_is_integer(dim) || json_integer_value(dim) < 0)
			return refuse(tensor, err, "\"shape\" holds something else than sizes");
		if (checkpoint_tensor_add_dim(&tensor->tensor, (uint64_t)json_integer_value(dim)) <
		    0)
			return refuse(tensor, err, "\"shape\" has too many elements to count");
	}
	return 0;
}

/* The range within the data section; the length is the caller's to check. */
static int parse_range(const struct safetensors *st, struct file_tensor *tensor,
		       const json_t *offsets, uint64_t *length, struct error *err)
{
	const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);

	if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
	    json_integer_value(begin) < 0)
		return refuse(tensor, err, "\"data_offsets\" is not [begin, end]");
	if (json_integer_value(begin) > json_integer_value(end))
		return refuse(tensor, err, "\"data_offsets\" ends before it begins");
	if ((uint64_t)json_integer_value(end) > st->data_size)
		return error_set(err, -EINVAL,
				 "%s: tensor \"%s\" ends at byte %llu of the data, which has %llu; "
				 "the file is cut short or damaged, fetch it again",
				 tensor->tensor.file, tensor->tensor.name,
				 (unsigned long long)json_integer_value(end),
				 (unsigned long long)st->data_size);
	tensor->offset = (uint64_t)json_integer_value(begin);
	*length = (uint64_t)json_integer_value(end) - tensor->offset;
	return 0;
}

/* *size is 0 for a type not known here, whose length cannot be checked. */
static int parse_dtype(struct file_tensor *tensor, const json_t *dtype, uint64_t *size,
		       struct error *err)
{
	if (!json_is_string(dtype))
		return refuse(tensor, err, "\"dtype\" is missing or not a string");
	tensor->tensor.dtype = CHECKPOINT_OTHER;
	*size = 0;
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
		if (strcmp(json_string_value(dtype), dtypes[i].name))
			continue;
		tensor->tensor.dtype = dtypes[i].dtype;
		*size = dtypes[i].size;
	}
	return 0;
}

/* `*end` gets the first byte after the tensor's. */
static int parse_tensor(struct safetensors *st, const char *name, const json_t *member,
			uint64_t *end, struct error *err)
{
	struct file_tensor *tensor = tensor_file_add(&st->base, name, strlen(name));
	uint64_t size = 0, length = 0, expected;
	int ret;

	if (!tensor)
		return error_no_memory(err, st->base.path);
	if (!json_is_object(member))
		return refuse(tensor, err, "not described by an object");
	ret = parse_dtype(tensor, json_object_get(member, "dtype"), &size, err);
	if (ret < 0)
		return ret;
	ret = parse_shape(tensor, json_object_get(member, "shape"), err);
	if (ret < 0)
		return ret;
	ret = parse_range(st, tensor, json_object_get(member, "data_offsets"), &length, err);
	if (ret < 0)
		return ret;
	if (__builtin_mul_overflow(tensor->tensor.n_elements, size, &expected))
		return refuse(tensor, err, "\"shape\" has too many elements to count");
	if (size && length != expected)
		return error_set(err, -EINVAL,
				 "%s: tensor \"%s\": its shape needs %llu bytes, it has %llu",
				 st->base.path, name, (unsigned long long)expected,
				 (unsigned long long)length);
	*end = tensor->offset + length;
	return 0;
}

struct range {
	uint64_t begin, end;
	const char *name;
};

static int compare_ranges(const void *a, const void *b)
{
	const struct range *left = a, *right = b;

	if (left->begin != right->begin)
		return left->begin < right->begin ? -1 : 1;
	if (left->end != right->end)
		return left->end < right->end ? -1 : 1;
	return 0;
}

/* The ranges, in order, have to cover the data section exactly. */
static int check_coverage(const struct safetensors *st, struct range *ranges, struct error *err)
{
	size_t n = st->base.n_tensors;
	uint64_t covered = 0;

	if (n)
		qsort(ranges, n, sizeof(*ranges), compare_ranges);
	for (size_t i = 0; i < n; i++) {
		if (ranges[i].begin < covered)
			return error_set(err, -EINVAL, "%s: tensors \"%s\" and \"%s\" overlap",
					 st->base.path, ranges[i - 1].name, ranges[i].name);
		if (ranges[i].begin > covered)
			return error_set(
				err, -EINVAL,
				"%s: a hole of %llu bytes in the data before tensor \"%s\"",
				st->base.path, (unsigned long long)(ranges[i].begin - covered),
				ranges[i].name);
		covered = ranges[i].end;
	}
	if (covered != st->data_size)
		return error_set(err, -EINVAL, "%s: %llu bytes behind the last tensor",
				 st->base.path, (unsigned long long)(st->data_size - covered));
	return 0;
}

static int parse_header(struct safetensors *st, const char *path, json_t *header, struct error *err)
{
	struct range *ranges;
	const char *name;
	json_t *member;
	int ret;

	ret = tensor_file_init(&st->base, path, json_object_size(header), err);
	if (ret < 0)
		return ret;
	ranges = calloc(json_object_size(header) + 1, sizeof(*ranges));
	if (!ranges) {
		ret = error_no_memory(err, path);
		goto release;
	}
	json_object_foreach(header, name, member) {
		struct range *range = &ranges[st->base.n_tensors];

		if (!strcmp(name, "__metadata__"))
			continue;
		ret = parse_tensor(st, name, member, &range->end, err);
		if (ret < 0)
			goto release;
		range->begin = st->base.tensors[st->base.n_tensors - 1].offset;
		range->name = name;
	}
	ret = check_coverage(st, ranges, err);
	if (ret < 0)
		goto release;
	ret = tensor_file_sort(&st->base, err);
release:
	if (ret < 0)
		tensor_file_release(&st->base);
	free(ranges);
	return ret;
}

/* Where the data starts, and its size, from the first eight bytes. */
static int locate_data(struct safetensors *st, const char *path, uint64_t file_size,
		       struct error *err)
{
	uint8_t bytes[LENGTH_SIZE];
	uint64_t length = 0;
	int ret;

	if (file_size < LENGTH_SIZE)
		return error_set(err, -EINVAL, "%s: %llu bytes are too few for a safetensors file",
				 path, (unsigned long long)file_size);
	ret = file_read_at(st->fd, bytes, sizeof(bytes), 0, path, err);
	if (ret < 0)
		return ret;
	for (int i = LENGTH_SIZE - 1; i >= 0; i--)
		length = length << 8 | bytes[i];
	if (length > HEADER_LIMIT)
		return error_set(err, -EINVAL,
				 "%s: header of %llu bytes (at most %d are allowed); "
				 "is this a safetensors file?",
				 path, (unsigned long long)length, HEADER_LIMIT);
	if (length > file_size - LENGTH_SIZE)
		return error_set(err, -EINVAL,
				 "%s: header of %llu bytes in a file of %llu; the file is cut "
				 "short or damaged, fetch it again",
				 path, (unsigned long long)length, (unsigned long long)file_size);
	st->data_start = LENGTH_SIZE + length;
	st->data_size = file_size - st->data_start;
	return 0;
}

static int load_header(struct safetensors *st, const char *path, struct error *err)
{
	size_t length = st->data_start - LENGTH_SIZE;
	char *text = malloc(length + 1);
	json_t *header;
	int ret;

	if (!text)
		return error_no_memory(err, path);
	ret = file_read_at(st->fd, text, length, LENGTH_SIZE, path, err);
	if (ret == 0)
		ret = json_parse_object(text, length, path, &header, err);
	free(text);
	if (ret < 0)
		return ret;
	ret = parse_header(st, path, header, err);
	json_decref(header);
	return ret;
}

int safetensors_open(const char *path, struct tensor_file **file, struct error *err)
{
	struct safetensors *st = calloc(1, sizeof(*st));
	uint64_t size;
	int ret;

	if (!st)
		return error_no_memory(err, path);
	ret = file_open_read(path, &size, err);
	if (ret < 0)
		goto free_file;
	st->fd = ret;
	ret = locate_data(st, path, size, err);
	if (ret < 0)
		goto close_file;
	ret = load_header(st, path, err);
	if (ret < 0)
		goto close_file;
	st->base.read = safetensors_read;
	st->base.close = safetensors_close;
	*file = &st->base;
	return 0;
close_file:
	close(st->fd);
free_file:
	free(st);
	return ret;
}
