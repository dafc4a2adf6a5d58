// SPDX-License-Identifier: GPL-2.0-only
/* Headers that contradict themselves or the file are refused, and the message says why. */
#include "helpers/folder_test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helpers/checkpoint_writer.h"
#include "model/safetensors.h"

/* Opening must fail, with a message that names the file and holds both words. */
static void assert_refused(const char *path, const char *word, const char *other)
{
	struct tensor_file *file;
	struct error err = { 0 };

	assert_refused_with(safetensors_open(path, &file, &err), &err, word, other);
	assert_says(&err, path);
}

static void refuse_header(void **state, const char *header, size_t data, const char *word,
			  const char *other)
{
	struct folder *folder = *state;
	static const uint8_t zeros[64];

	write_raw_safetensors(folder->file, header, zeros, data);
	assert_refused(folder->file, word, other);
}

static void reads_a_hand_written_file(void **state)
{
	char *path = data_path("safetensors/tiny.safetensors");
	const struct file_tensor *tensor;
	struct tensor_file *file;
	struct error err;
	float values[2];
	uint16_t half;

	(void)state;
	assert_ok(safetensors_open(path, &file, &err), &err);
	assert_int_equal(file->n_tensors, 4);
	tensor = tensor_file_find(file, "a.weight");
	assert_non_null(tensor);
	assert_string_equal(tensor->tensor.file, path);
	assert_int_equal(tensor->tensor.dtype, CHECKPOINT_F32);
	assert_int_equal(tensor->tensor.n_dims, 2);
	assert_int_equal(tensor->tensor.dims[0], 2);
	assert_int_equal(tensor->tensor.dims[1], 3);
	assert_ok(file->read(file, tensor, 12, values, sizeof(values), &err), &err);
	assert_true(values[0] == -4 && values[1] == 5.5f);
	tensor = tensor_file_find(file, "c");
	assert_int_equal(tensor->tensor.dtype, CHECKPOINT_BF16);
	assert_int_equal(tensor->tensor.n_dims, 0);
	assert_int_equal(tensor->tensor.n_elements, 1);
	assert_ok(file->read(file, tensor, 0, &half, sizeof(half), &err), &err);
	assert_int_equal(half, 0x3f80);
	assert_int_equal(tensor_file_find(file, "b")->tensor.dtype, CHECKPOINT_F16);
	assert_int_equal(tensor_file_find(file, "ids")->tensor.dtype, CHECKPOINT_OTHER);
	assert_null(tensor_file_find(file, "__metadata__"));
	file->close(file);
	free(path);
}

/* The demo model is a real checkpoint. */
static void opens_the_demo_model(void **state)
{
	char *path = data_path("demo-model/model.safetensors");
	const struct file_tensor *tensor;
	struct tensor_file *file;
	struct error err;

	(void)state;
	assert_ok(safetensors_open(path, &file, &err), &err);
	tensor = tensor_file_find(file, "model.decoder.layers.5.fc1.weight");
	assert_non_null(tensor);
	assert_int_equal(tensor->tensor.dtype, CHECKPOINT_F16);
	assert_int_equal(tensor->tensor.dims[0], 2048);
	assert_int_equal(tensor->tensor.dims[1], 256);
	for (size_t i = 1; i < file->n_tensors; i++)
		assert_true(strcmp(file->tensors[i - 1].tensor.name, file->tensors[i].tensor.name) <
			    0);
	file->close(file);
	free(path);
}

static void lists_unreadable_tensors(void **state)
{
	static const char header[] =
		"{\"five\":{\"dtype\":\"F32\",\"shape\":[1,2,1,2,3],\"data_offsets\":[0,48]},"
		"\"new\":{\"dtype\":\"F4_X\",\"shape\":[9],\"data_offsets\":[48,53]},"
		"\"none\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[53,53]}}  ";
	struct folder *folder = *state;
	const struct file_tensor *five;
	struct tensor_file *file;
	uint8_t data[53] = { 0 };
	struct error err;

	write_raw_safetensors(folder->file, header, data, sizeof(data));
	assert_ok(safetensors_open(folder->file, &file, &err), &err);
	five = tensor_file_find(file, "five");
	assert_int_equal(five->tensor.dtype, CHECKPOINT_OTHER);
	assert_int_equal(five->tensor.n_dims, 4);
	assert_int_equal(five->tensor.dims[3], 6);
	assert_int_equal(five->tensor.n_elements, 12);
	assert_int_equal(tensor_file_find(file, "new")->tensor.dtype, CHECKPOINT_OTHER);
	assert_int_equal(tensor_file_find(file, "none")->tensor.n_elements, 0);
	file->close(file);
}

static void refuses_bad_lengths(void **state)
{
	struct folder *folder = *state;
	uint64_t length = 100000001;

	write_file(folder->file, "1234567", 7);
	assert_refused(folder->file, "7 bytes", "too few");
	write_file(folder->file, &length, sizeof(length));
	assert_refused(folder->file, "100000001", "is this a safetensors file?");
	length = 100;
	write_file(folder->file, &length, sizeof(length));
	assert_refused(folder->file, "header of 100 bytes", "cut short");
	unlink(folder->file);
	assert_refused(folder->file, "cannot open", "No such file");
	assert_refused(folder->path, "not a regular file", "");
}

static void refuses_bad_json(void **state)
{
	refuse_header(state, "", 0, "not valid JSON", "");
	refuse_header(state, "[]", 0, "not a JSON object", "");
	refuse_header(state, "{\"a\":", 0, "not valid JSON", "");
	refuse_header(state,
		      "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
		      "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}",
		      2, "duplicate", "\"a\"");
}

static void refuses_bad_members(void **state)
{
	refuse_header(state, "{\"a\":3}", 0, "\"a\"", "object");
	refuse_header(state, "{\"a\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0, "\"a\"",
		      "\"dtype\"");
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,0]}}", 0, "\"a\"",
		      "\"shape\"");
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0,
		      "\"shape\"", "sizes");
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,0]}}",
		      0, "\"shape\"", "sizes");
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "\"a\"",
		      "\"data_offsets\"");
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}",
		      4, "\"a\"", "\"data_offsets\"");
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4,
		      "\"a\"", "\"data_offsets\"");
}

static void refuses_shapes_that_do_not_fit(void **state)
{
	refuse_header(state, "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
		      "needs 12 bytes", "has 8");
	refuse_header(state,
		      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],"
		      "\"data_offsets\":[0,0]}}",
		      0, "\"a\"", "too many elements");
	/* 2^62 elements of 4 bytes: the count fits, the bytes do not. */
	refuse_header(state,
		      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],"
		      "\"data_offsets\":[0,0]}}",
		      0, "\"a\"", "too many elements");
	/* Folding the inner dimensions must not overflow unseen behind a zero. */
	refuse_header(state,
		      "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,1,1,4294967296,4294967296],"
		      "\"data_offsets\":[0,0]}}",
		      0, "\"a\"", "too many elements");
}

static void refuses_ranges_that_do_not_fit(void **state)
{
	refuse_header(state, "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,0]}}", 8,
		      "\"a\"", "ends before it begins");
	refuse_header(state, "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 7,
		      "ends at byte 8", "cut short");
	refuse_header(state,
		      "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
		      "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
		      7, "\"a\" and \"b\"", "overlap");
	refuse_header(state,
		      "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
		      "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[5,8]}}",
		      8, "hole of 1 byte", "\"b\"");
	refuse_header(state, "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", 5,
		      "hole of 1 byte", "\"a\"");
	refuse_header(state, "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 6,
		      "2 bytes behind the last tensor", "");
	refuse_header(state, "{}", 1, "1 bytes behind the last tensor", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(lists_unreadable_tensors),
		cmocka_unit_test(opens_the_demo_model),
		cmocka_unit_test(reads_a_hand_written_file),
		folder_test(refuses_bad_json),
		folder_test(refuses_bad_lengths),
		folder_test(refuses_bad_members),
		folder_test(refuses_ranges_that_do_not_fit),
		folder_test(refuses_shapes_that_do_not_fit),
	};

	return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
