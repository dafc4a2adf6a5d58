// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/checkpoint_writer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/half.h"
#include "helpers/pickle_writer.h"
#include "helpers/test.h"

/* Indexed by enum checkpoint_dtype. */
static const struct {
	const char *safetensors;
	const char *storage;
	size_t size;
} dtypes[] = {
	[CHECKPOINT_F32] = { "F32", "FloatStorage", 4 },
	[CHECKPOINT_F16] = { "F16", "HalfStorage", 2 },
	[CHECKPOINT_BF16] = { "BF16", "BFloat16Storage", 2 },
	[CHECKPOINT_OTHER] = { "I64", "LongStorage", 8 },
};

uint64_t test_tensor_elements(const struct test_tensor *tensor)
{
	uint64_t n = 1;

	for (uint32_t i = 0; i < tensor->n_dims; i++)
		n *= tensor->dims[i];
	return n;
}

static void store(enum checkpoint_dtype dtype, float value, uint8_t *to)
{
	int64_t integer = (int64_t)value;
	uint32_t bits = f32_to_bits(value);
	uint16_t half = dtype == CHECKPOINT_F16 ? f32_to_f16(value) : (uint16_t)(bits >> 16);

	if (dtype == CHECKPOINT_OTHER)
		memcpy(to, &integer, sizeof(integer));
	else if (dtype == CHECKPOINT_F32)
		memcpy(to, &bits, sizeof(bits));
	else
		memcpy(to, &half, sizeof(half));
}

uint8_t *test_tensor_bytes(const struct test_tensor *tensor, size_t *length)
{
	size_t size = dtypes[tensor->dtype].size;
	uint64_t n = test_tensor_elements(tensor);
	uint8_t *bytes = malloc(n * size + 1);

	assert_non_null(bytes);
	for (uint64_t i = 0; i < n; i++)
		store(tensor->dtype, tensor->values[i], bytes + i * size);
	*length = n * size;
	return bytes;
}

void write_raw_safetensors(const char *path, const char *header, const void *data, size_t length)
{
	uint64_t header_length = strlen(header);
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(&header_length, sizeof(header_length), 1, file) != 1 ||
	    fwrite(header, 1, header_length, file) != header_length ||
	    fwrite(data, 1, length, file) != length || fclose(file))
		fail_msg("%s: %s", path, strerror(errno));
}

void write_safetensors(const char *path, const struct test_tensor *tensors, size_t n)
{
	json_t *header = json_pack("{s{ss}}", "__metadata__", "format", "pt");
	uint8_t *data = NULL;
	size_t end = 0;
	char *text;

	for (size_t i = 0; i < n; i++) {
		size_t length;
		uint8_t *bytes = test_tensor_bytes(&tensors[i], &length);
		json_t *shape = json_array();

		for (uint32_t d = 0; d < tensors[i].n_dims; d++)
			json_array_append_new(shape, json_integer((json_int_t)tensors[i].dims[d]));
		json_object_set_new(header, tensors[i].name,
				    json_pack("{ss so s[II]}", "dtype",
					      dtypes[tensors[i].dtype].safetensors, "shape", shape,
					      "data_offsets", (json_int_t)end,
					      (json_int_t)(end + length)));
		data = realloc(data, end + length + 1);
		assert_non_null(data);
		memcpy(data + end, bytes, length);
		end += length;
		free(bytes);
	}
	text = json_dumps(header, JSON_COMPACT);
	assert_non_null(text);
	write_raw_safetensors(path, text, data ? data : (uint8_t *)"", end);
	free(text);
	free(data);
	json_decref(header);
}

void write_zip(const char *path, const struct test_entry *entries, size_t n, bool deflate)
{
	zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);

	assert_non_null(archive);
	for (size_t i = 0; i < n; i++) {
		zip_source_t *source =
			zip_source_buffer(archive, entries[i].bytes, entries[i].length, 0);
		zip_int64_t at = zip_file_add(archive, entries[i].name, source, ZIP_FL_ENC_UTF_8);

		assert_true(at >= 0);
		assert_int_equal(zip_set_file_compression(archive, (zip_uint64_t)at,
							  deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE,
							  0),
				 0);
	}
	if (zip_close(archive) < 0)
		fail_msg("%s: %s", path, zip_strerror(archive));
}

/* The first tensor that has the same storage as number `i`; `i` itself if it is the first. */
static size_t storage_of(const struct test_tensor *tensors, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (tensors[k].values == tensors[i].values &&
		    tensors[k].dtype == tensors[i].dtype &&
		    test_tensor_elements(&tensors[k]) == test_tensor_elements(&tensors[i]))
			return k;
	return i;
}

static void pickle_tensor(struct pickle_writer *pickle, const struct test_tensor *tensor,
			  size_t storage, bool parameter)
{
	int64_t sizes[CHECKPOINT_MAX_DIMS];
	char key[32];
	struct pickle_view view = {
		.type = dtypes[tensor->dtype].storage,
		.key = key,
		.storage_elements = (int64_t)test_tensor_elements(tensor),
		.n_dims = tensor->n_dims,
		.sizes = sizes,
	};

	for (uint32_t i = 0; i < tensor->n_dims; i++)
		sizes[i] = (int64_t)tensor->dims[i];
	snprintf(key, sizeof(key), "%zu", storage);
	pickle_text(pickle, tensor->name);
	if (parameter)
		pickle_global(pickle, "torch._utils", "_rebuild_parameter");
	pickle_view(pickle, &view);
	if (parameter) {
		pickle_byte(pickle, 0x88); /* requires_grad: True */
		pickle_ordered_dict(pickle);
		pickle_bytes(pickle, "\x87R", 2); /* TUPLE3, REDUCE */
	}
}

/* An entry FOLDER/name; name and bytes belong to it. */
static struct test_entry entry_in(const char *folder, const char *name, const void *bytes,
				  size_t length)
{
	struct test_entry entry = { .bytes = bytes, .length = length };

	entry.name = path_in(folder, name);
	return entry;
}

void write_torch_with(const char *path, const struct test_tensor *tensors, size_t n,
		      const struct test_torch_options *options)
{
	const char *folder = options->folder ? options->folder : "archive";
	struct pickle_writer *pickle = malloc(sizeof(*pickle));
	struct test_entry *entries = calloc(n + 2, sizeof(*entries));
	size_t n_entries = 0;

	assert_non_null(pickle);
	assert_non_null(entries);
	pickle_start(pickle);
	pickle_ordered_dict(pickle);
	pickle_byte(pickle, '(');
	for (size_t i = 0; i < n; i++)
		pickle_tensor(pickle, &tensors[i], storage_of(tensors, i), options->parameters);
	pickle_bytes(pickle, "u.", 2);
	entries[n_entries++] = entry_in(folder, "data.pkl", pickle->bytes, pickle->length);
	for (size_t i = 0; i < n; i++) {
		char name[32];
		size_t length;
		uint8_t *bytes;

		if (storage_of(tensors, i) != i)
			continue;
		snprintf(name, sizeof(name), "data/%zu", i);
		bytes = test_tensor_bytes(&tensors[i], &length);
		entries[n_entries++] = entry_in(folder, name, bytes, length);
	}
	entries[n_entries++] = entry_in(folder, "version", "3\n", 2);
	write_zip(path, entries, n_entries, options->deflate);
	for (size_t i = 0; i < n_entries; i++) {
		if (i && i < n_entries - 1)
			free((void *)entries[i].bytes);
		free((char *)entries[i].name);
	}
	free(entries);
	free(pickle);
}

void write_torch(const char *path, const struct test_tensor *tensors, size_t n)
{
	const struct test_torch_options plain = { 0 };

	write_torch_with(path, tensors, n, &plain);
}

void write_index(const char *path, const struct test_shard *shards, size_t n)
{
	json_t *map = json_object();
	json_t *index = json_pack("{s{} so}", "metadata", "weight_map", map);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < shards[i].n; k++)
			json_object_set_new(map, shards[i].tensors[k].name,
					    json_string(shards[i].file));
	if (json_dump_file(index, path, JSON_INDENT(2)) < 0)
		fail_msg("%s: cannot write", path);
	json_decref(index);
}

static void write_in(const char *folder, const char *name, bool torch,
		     const struct test_tensor *tensors, size_t n)
{
	char *path = path_in(folder, name);

	if (torch)
		write_torch(path, tensors, n);
	else
		write_safetensors(path, tensors, n);
	free(path);
}

void write_checkpoint(const char *folder, enum test_form form, const struct test_tensor *tensors,
		      size_t n)
{
	bool torch = form == TEST_TORCH || form == TEST_TORCH_SHARDS;
	struct test_shard shards[2] = {
		{ torch ? "pytorch_model-00001-of-00002.bin" : "model-00001-of-00002.safetensors",
		  tensors, n / 2 },
		{ torch ? "pytorch_model-00002-of-00002.bin" : "model-00002-of-00002.safetensors",
		  tensors + n / 2, n - n / 2 },
	};
	char *index;

	if (form == TEST_SAFETENSORS || form == TEST_TORCH) {
		write_in(folder, torch ? "pytorch_model.bin" : "model.safetensors", torch, tensors,
			 n);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		write_in(folder, shards[i].file, torch, shards[i].tensors, shards[i].n);
	index = path_in(folder,
			torch ? "pytorch_model.bin.index.json" : "model.safetensors.index.json");
	write_index(index, shards, 2);
	free(index);
}
