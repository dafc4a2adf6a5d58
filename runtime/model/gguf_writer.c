// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header is built in memory and goes to disk twice: as soon as the table is
 * complete, so that data can follow it, and again at the end, when keys that
 * depend on the data are known. Its checksum is taken from the final bytes.
 */
#include "model/gguf_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"

/* Where the counts stand in the header: magic, version, then these. */
#define N_TENSORS_POSITION 8
#define N_VALUES_POSITION 16

struct written_tensor {
	char *name;
	uint64_t size;
	uint64_t offset_position; /* in the header: of its u64 offset */
	uint64_t checksum; /* of data and padding, once complete */
};

struct gguf_writer {
	struct output_file *file;
	struct error error; /* the first one; code 0 while all is well */
	uint32_t alignment;

	char *header;
	size_t header_length;
	size_t header_room;
	uint64_t n_values;

	struct written_tensor *tensors;
	size_t n_tensors;
	size_t tensors_room;

	bool data_begun;
	size_t current; /* tensor whose data comes next */
	uint64_t current_written;
	XXH3_state_t *hash; /* of the current tensor */
};

static bool failed(const struct gguf_writer *writer)
{
	return writer->error.code < 0;
}

static void append(struct gguf_writer *writer, const void *data, size_t length)
{
	if (failed(writer))
		return;
	if (length > writer->header_room - writer->header_length) {
		size_t room = (writer->header_room + length) * 2;
		char *larger = realloc(writer->header, room);

		if (!larger) {
			error_no_memory(&writer->error, "the header of a GGUF file");
			return;
		}
		writer->header = larger;
		writer->header_room = room;
	}
	memcpy(writer->header + writer->header_length, data, length);
	writer->header_length += length;
}

static void append_u32(struct gguf_writer *writer, uint32_t value)
{
	append(writer, &value, sizeof(value));
}

static void append_u64(struct gguf_writer *writer, uint64_t value)
{
	append(writer, &value, sizeof(value));
}

static void append_string(struct gguf_writer *writer, const char *text)
{
	append_u64(writer, strlen(text));
	append(writer, text, strlen(text));
}

static void begin_value(struct gguf_writer *writer, const char *key, uint32_t type)
{
	append_string(writer, key);
	append_u32(writer, type);
	writer->n_values++;
}

int gguf_writer_create(const char *path, uint32_t alignment, struct gguf_writer **result,
		       struct error *err)
{
	struct gguf_writer *writer = calloc(1, sizeof(*writer));
	int ret;

	if (!writer)
		return error_no_memory(err, path);
	writer->alignment = alignment;
	writer->hash = XXH3_createState();
	if (!writer->hash) {
		free(writer);
		return error_no_memory(err, path);
	}
	ret = output_file_create(path, &writer->file, err);
	if (ret < 0) {
		XXH3_freeState(writer->hash);
		free(writer);
		return ret;
	}
	append(writer, GGUF_MAGIC, 4);
	append_u32(writer, GGUF_VERSION);
	append_u64(writer, 0); /* tensors and values: counted at the end */
	append_u64(writer, 0);
	gguf_writer_u32(writer, "general.alignment", alignment);
	*result = writer;
	return 0;
}

void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value)
{
	begin_value(writer, key, GGUF_UINT32);
	append_u32(writer, value);
}

size_t gguf_writer_u64(struct gguf_writer *writer, const char *key, uint64_t value)
{
	size_t place;

	begin_value(writer, key, GGUF_UINT64);
	place = writer->header_length;
	append_u64(writer, value);
	return place;
}

void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value)
{
	begin_value(writer, key, GGUF_FLOAT32);
	append(writer, &value, sizeof(value));
}

void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value)
{
	uint8_t byte = value;

	begin_value(writer, key, GGUF_BOOL);
	append(writer, &byte, 1);
}

void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value)
{
	begin_value(writer, key, GGUF_STRING);
	append_string(writer, value);
}

void gguf_writer_strings(struct gguf_writer *writer, const char *key, const char *const *values,
			 size_t count)
{
	begin_value(writer, key, GGUF_ARRAY);
	append_u32(writer, GGUF_STRING);
	append_u64(writer, count);
	for (size_t i = 0; i < count; i++)
		append_string(writer, values[i]);
}

void gguf_writer_i32s(struct gguf_writer *writer, const char *key, const int32_t *values,
		      size_t count)
{
	begin_value(writer, key, GGUF_ARRAY);
	append_u32(writer, GGUF_INT32);
	append_u64(writer, count);
	append(writer, values, count * sizeof(values[0]));
}

static struct written_tensor *add_tensor(struct gguf_writer *writer, const char *name)
{
	struct written_tensor *tensor;

	if (failed(writer))
		return NULL;
	if (writer->n_tensors == writer->tensors_room) {
		size_t room = writer->tensors_room * 2 + 64;
		struct written_tensor *larger = realloc(writer->tensors, room * sizeof(*larger));

		if (!larger) {
			error_no_memory(&writer->error, "the table of a GGUF file");
			return NULL;
		}
		writer->tensors = larger;
		writer->tensors_room = room;
	}
	tensor = &writer->tensors[writer->n_tensors];
	tensor->name = strdup(name);
	if (!tensor->name) {
		error_no_memory(&writer->error, name);
		return NULL;
	}
	writer->n_tensors++;
	return tensor;
}

void gguf_writer_tensor(struct gguf_writer *writer, const char *name, enum gguf_tensor_type type,
			uint32_t n_dims, const uint64_t *dims)
{
	struct written_tensor *tensor = add_tensor(writer, name);

	if (!tensor)
		return;
	append_string(writer, name);
	append_u32(writer, n_dims);
	append(writer, dims, n_dims * sizeof(dims[0]));
	append_u32(writer, type);
	tensor->offset_position = writer->header_length;
	append_u64(writer, 0);
	tensor->size = gguf_tensor_type_size(type);
	for (uint32_t i = 0; i < n_dims; i++)
		if (__builtin_mul_overflow(tensor->size, dims[i], &tensor->size))
			error_set(&writer->error, -EOVERFLOW, "tensor %s is larger than any file",
				  name);
	/* Data decides when a tensor is complete; without any, this one never would be. */
	if (!tensor->size && !failed(writer))
		error_set(&writer->error, -EINVAL, "tensor %s is empty", name);
}

static uint64_t aligned(const struct gguf_writer *writer, uint64_t offset)
{
	return offset + -offset % writer->alignment;
}

/* The table is complete: close it with the checksums, fix offsets and counts, write it. */
static void begin_data(struct gguf_writer *writer)
{
	static const char zero;
	uint64_t n_checksums = writer->n_tensors + 2, offset = 0, n_tensors;

	writer->data_begun = true;
	gguf_writer_tensor(writer, GGUF_CHECKSUMS, GGUF_TENSOR_I64, 1, &n_checksums);
	while (writer->header_length % writer->alignment && !failed(writer))
		append(writer, &zero, 1);
	if (failed(writer))
		return;
	n_tensors = writer->n_tensors;
	memcpy(writer->header + N_TENSORS_POSITION, &n_tensors, sizeof(n_tensors));
	memcpy(writer->header + N_VALUES_POSITION, &writer->n_values, sizeof(writer->n_values));
	for (size_t i = 0; i < writer->n_tensors; i++) {
		struct written_tensor *tensor = &writer->tensors[i];

		memcpy(writer->header + tensor->offset_position, &offset, sizeof(offset));
		offset = aligned(writer, offset + tensor->size);
	}
	output_file_write(writer->file, writer->header, writer->header_length, &writer->error);
	XXH3_64bits_reset(writer->hash);
}

/* The current tensor is complete: pad it, keep its checksum, go on to the next. */
static void end_tensor(struct gguf_writer *writer)
{
	static const char zeros[4096];
	uint64_t end = output_file_size(writer->file);
	uint64_t padding = aligned(writer, end) - end;

	for (uint64_t left = padding; left;) {
		size_t part = left < sizeof(zeros) ? left : sizeof(zeros);

		XXH3_64bits_update(writer->hash, zeros, part);
		left -= part;
	}
	output_file_pad_to(writer->file, end + padding, &writer->error);
	writer->tensors[writer->current].checksum = XXH3_64bits_digest(writer->hash);
	XXH3_64bits_reset(writer->hash);
	writer->current++;
	writer->current_written = 0;
}

int gguf_writer_data(struct gguf_writer *writer, const void *data, size_t length)
{
	const char *from = data;

	if (!writer->data_begun && !failed(writer))
		begin_data(writer);
	while (length && !failed(writer)) {
		struct written_tensor *tensor = &writer->tensors[writer->current];
		uint64_t missing = tensor->size - writer->current_written;
		size_t part = length < missing ? length : missing;

		if (writer->current + 1 >= writer->n_tensors)
			return error_set(&writer->error, -EINVAL, "more data than tensors");
		output_file_write(writer->file, from, part, &writer->error);
		XXH3_64bits_update(writer->hash, from, part);
		writer->current_written += part;
		from += part;
		length -= part;
		if (part == missing && !failed(writer))
			end_tensor(writer);
	}
	return writer->error.code;
}

const char *gguf_writer_expects(const struct gguf_writer *writer)
{
	if (writer->current + writer->data_begun >= writer->n_tensors)
		return NULL;
	return writer->tensors[writer->current].name;
}

void gguf_writer_set_u64(struct gguf_writer *writer, size_t place, uint64_t value)
{
	if (!failed(writer))
		memcpy(writer->header + place, &value, sizeof(value));
}

uint64_t gguf_writer_data_hash(const struct gguf_writer *writer)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < writer->current; i++)
		hash = XXH3_64bits_withSeed(&writer->tensors[i].checksum, sizeof(uint64_t), hash);
	return hash;
}

int gguf_writer_status(const struct gguf_writer *writer)
{
	return writer->error.code;
}

/* The header's, each tensor's in table order, and one of these checksums themselves. */
static void write_checksums(struct gguf_writer *writer)
{
	size_t n = writer->n_tensors + 1;
	uint64_t *checksums = malloc(n * sizeof(*checksums));

	if (!checksums) {
		error_no_memory(&writer->error, "checksums");
		return;
	}
	checksums[0] = XXH3_64bits(writer->header, writer->header_length);
	for (size_t i = 0; i + 1 < writer->n_tensors; i++)
		checksums[i + 1] = writer->tensors[i].checksum;
	checksums[n - 1] = XXH3_64bits(checksums, (n - 1) * sizeof(*checksums));
	output_file_write(writer->file, checksums, n * sizeof(*checksums), &writer->error);
	free(checksums);
}

static void writer_free(struct gguf_writer *writer)
{
	for (size_t i = 0; i < writer->n_tensors; i++)
		free(writer->tensors[i].name);
	free(writer->tensors);
	free(writer->header);
	XXH3_freeState(writer->hash);
	free(writer);
}

int gguf_writer_commit(struct gguf_writer *writer, struct error *err)
{
	int ret;

	if (!writer->data_begun && !failed(writer))
		begin_data(writer);
	if (!failed(writer) && writer->current + 1 != writer->n_tensors)
		error_set(&writer->error, -EINVAL, "data of tensor %s is missing",
			  writer->tensors[writer->current].name);
	if (!failed(writer))
		write_checksums(writer);
	if (!failed(writer))
		output_file_rewrite(writer->file, 0, writer->header, writer->header_length,
				    &writer->error);
	if (failed(writer)) {
		ret = error_set(err, writer->error.code, "%s", writer->error.message);
		output_file_abort(writer->file);
	} else {
		ret = output_file_commit(writer->file, err);
	}
	writer_free(writer);
	return ret;
}

void gguf_writer_abort(struct gguf_writer *writer)
{
	if (!writer)
		return;
	output_file_abort(writer->file);
	writer_free(writer);
}
