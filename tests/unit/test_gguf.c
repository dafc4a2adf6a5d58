// SPDX-License-Identifier: GPL-2.0-only
/* GGUF: what is written is read, and no bit changes unnoticed. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/gguf.h"
#include "model/gguf_verify.h"
#include "model/gguf_writer.h"

static const char *const words[] = { "", "two words", "\xc3\xa9t\xc3\xa9" };
static const int32_t integers[] = { 0, -7, 2147483647 };
static const float reals[] = { 1, -2.5f, 3, 4, 5, 6 };
static const uint16_t halves[] = { 0x3c00, 0x4000, 0x4200 };

/* Every kind of value, tensors that end inside and at the end of an aligned block. */
static void write_example(const char *path, uint32_t alignment)
{
	const uint64_t six[] = { 3, 2 }, three[] = { 3 }, wide[] = { 1, 1, 2, 2 };
	const int64_t longs[] = { 1, -1, 2, -2 };
	struct gguf_writer *writer;
	struct error err;
	size_t place;

	assert_ok(gguf_writer_create(path, alignment, &writer, &err), &err);
	gguf_writer_u32(writer, "a.u32", 4000000000u);
	place = gguf_writer_u64(writer, "a.u64", 1);
	gguf_writer_f32(writer, "a.f32", 0.5f);
	gguf_writer_bool(writer, "a.true", true);
	gguf_writer_bool(writer, "a.false", false);
	gguf_writer_string(writer, "a.string", "text");
	gguf_writer_strings(writer, "a.strings", words, 3);
	gguf_writer_strings(writer, "a.none", NULL, 0);
	gguf_writer_i32s(writer, "a.i32s", integers, 3);
	gguf_writer_tensor(writer, "reals", GGUF_TENSOR_F32, 2, six);
	gguf_writer_tensor(writer, "halves", GGUF_TENSOR_F16, 1, three);
	gguf_writer_tensor(writer, "longs", GGUF_TENSOR_I64, 4, wide);
	assert_string_equal(gguf_writer_expects(writer), "reals");
	assert_int_equal(gguf_writer_data(writer, reals, 5), 0);
	assert_int_equal(gguf_writer_data(writer, (const char *)reals + 5, sizeof(reals) - 5), 0);
	assert_string_equal(gguf_writer_expects(writer), "halves");
	gguf_writer_data(writer, halves, sizeof(halves));
	gguf_writer_data(writer, longs, sizeof(longs));
	assert_null(gguf_writer_expects(writer));
	gguf_writer_set_u64(writer, place, UINT64_MAX - 1);
	assert_ok(gguf_writer_commit(writer, &err), &err);
}

static struct gguf *opened(const char *path)
{
	struct gguf *gguf = NULL;
	struct error err;

	assert_ok(gguf_open(path, &gguf, &err), &err);
	return gguf;
}

static void reads_single_values(void **state)
{
	const struct folder *folder = *state;
	struct error err;
	struct gguf *gguf;
	const char *text;
	uint32_t narrow;
	uint64_t wide;
	float real;
	bool truth;

	write_example(folder->file, 32);
	gguf = opened(folder->file);
	assert_string_equal(gguf_path(gguf), folder->file);
	assert_ok(gguf_get_u32(gguf, "general.alignment", &narrow, &err), &err);
	assert_int_equal(narrow, 32);
	assert_ok(gguf_get_u32(gguf, "a.u32", &narrow, &err), &err);
	assert_true(narrow == 4000000000u);
	assert_ok(gguf_get_u64(gguf, "a.u32", &wide, &err), &err);
	assert_true(wide == 4000000000u);
	assert_ok(gguf_get_u64(gguf, "a.u64", &wide, &err), &err);
	assert_true(wide == UINT64_MAX - 1);
	assert_ok(gguf_get_f32(gguf, "a.f32", &real, &err), &err);
	assert_true(real == 0.5f);
	assert_ok(gguf_get_bool(gguf, "a.true", &truth, &err), &err);
	assert_true(truth);
	assert_ok(gguf_get_bool(gguf, "a.false", &truth, &err), &err);
	assert_false(truth);
	assert_ok(gguf_get_string(gguf, "a.string", &text, &err), &err);
	assert_string_equal(text, "text");
	assert_true(gguf_has(gguf, "a.none"));
	assert_false(gguf_has(gguf, "a.n"));
	gguf_close(gguf);
}

static void reads_arrays(void **state)
{
	const struct folder *folder = *state;
	const char **strings;
	struct error err = { 0 };
	struct gguf *gguf;
	uint32_t *numbers;
	size_t count;

	write_example(folder->file, 32);
	gguf = opened(folder->file);
	assert_ok(gguf_get_strings(gguf, "a.strings", &strings, &count, &err), &err);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(strings[i], words[i]);
	free(strings);
	assert_ok(gguf_get_strings(gguf, "a.none", &strings, &count, &err), &err);
	assert_int_equal(count, 0);
	free(strings);
	assert_int_equal(gguf_get_u32s(gguf, "a.i32s", &numbers, &count, &err), -EINVAL);
	assert_says(&err, "a.i32s");
	gguf_close(gguf);
}

static void assert_tensor(const struct gguf *gguf, const char *name, enum gguf_tensor_type type,
			  const void *data, size_t size)
{
	const struct gguf_tensor *tensor = gguf_find_tensor(gguf, name);
	char buffer[64];
	struct error err;

	assert_non_null(tensor);
	assert_int_equal(tensor->type, type);
	assert_int_equal(tensor->size, size);
	assert_ok(file_read_at(gguf_descriptor(gguf), buffer, size, tensor->offset,
			       gguf_path(gguf), &err), &err);
	assert_memory_equal(buffer, data, size);
}

static void reads_tensors(void **state)
{
	static const uint32_t alignments[] = { 8, 32, 4096, 16384 };
	const struct folder *folder = *state;

	for (size_t i = 0; i < 4; i++) {
		struct gguf *gguf;

		write_example(folder->file, alignments[i]);
		gguf = opened(folder->file);
		assert_int_equal(gguf_n_tensors(gguf), 4);
		for (size_t k = 0; k < 4; k++)
			assert_int_equal(gguf_tensor_at(gguf, k)->offset % alignments[i], 0);
		assert_tensor(gguf, "reals", GGUF_TENSOR_F32, reals, sizeof(reals));
		assert_tensor(gguf, "halves", GGUF_TENSOR_F16, halves, sizeof(halves));
		assert_int_equal(gguf_find_tensor(gguf, "reals")->dims[0], 3);
		assert_int_equal(gguf_find_tensor(gguf, "reals")->dims[1], 2);
		assert_int_equal(gguf_find_tensor(gguf, "longs")->dims[3], 2);
		assert_null(gguf_find_tensor(gguf, "real"));
		gguf_close(gguf);
	}
}

static void refuses_values_of_the_wrong_type(void **state)
{
	const struct folder *folder = *state;
	struct error err = { 0 };
	const char **strings, *text;
	struct gguf *gguf;
	uint32_t *numbers;
	uint32_t narrow;
	uint64_t wide;
	size_t count;
	float real;
	bool truth;

	write_example(folder->file, 32);
	gguf = opened(folder->file);
	assert_refused_with(gguf_get_u32(gguf, "b", &narrow, &err), &err, folder->file,
			    "b is missing");
	assert_refused_with(gguf_get_u32(gguf, "a.u64", &narrow, &err), &err, folder->file, "2^32");
	assert_refused_with(gguf_get_u64(gguf, "a.f32", &wide, &err), &err, folder->file, "a.f32");
	assert_refused_with(gguf_get_u64(gguf, "a.true", &wide, &err), &err, folder->file,
			    "a.true");
	assert_refused_with(gguf_get_u64(gguf, "a.i32s", &wide, &err), &err, folder->file,
			    "an array");
	assert_refused_with(gguf_get_f32(gguf, "a.u32", &real, &err), &err, folder->file, "a.u32");
	assert_refused_with(gguf_get_bool(gguf, "a.u32", &truth, &err), &err, folder->file,
			    "a.u32");
	assert_refused_with(gguf_get_string(gguf, "a.u32", &text, &err), &err, folder->file,
			    "a.u32");
	assert_refused_with(gguf_get_strings(gguf, "a.i32s", &strings, &count, &err), &err,
			    folder->file, "a.i32s");
	assert_refused_with(gguf_get_strings(gguf, "a.string", &strings, &count, &err), &err,
			    folder->file, "not an array");
	assert_refused_with(gguf_get_u32s(gguf, "a.strings", &numbers, &count, &err), &err,
			    folder->file, "a.strings");
	gguf_close(gguf);
}

static void the_same_calls_give_the_same_bytes(void **state)
{
	const struct folder *folder = *state;
	size_t length, other_length;
	char *one, *other;

	write_example(folder->file, 32);
	one = file_contents(folder->file, &length);
	write_example(folder->file, 32);
	other = file_contents(folder->file, &other_length);
	assert_int_equal(length, other_length);
	assert_memory_equal(one, other, length);
	free(one);
	free(other);
}

/* Open and verify, as a user would who wants to know. */
static int check(const char *path, struct error *err)
{
	struct gguf *gguf;
	int ret = gguf_open(path, &gguf, err);

	if (ret < 0)
		return ret;
	ret = gguf_verify(gguf, NULL, err);
	gguf_close(gguf);
	return ret;
}

static void verify_finds_every_flipped_bit(void **state)
{
	const struct folder *folder = *state;
	struct error err;
	size_t length;
	char *bytes;
	int fd;

	write_example(folder->file, 8);
	assert_ok(check(folder->file, &err), &err);
	bytes = file_contents(folder->file, &length);
	fd = open(folder->file, O_WRONLY);
	assert_true(fd >= 0);
	for (size_t i = 0; i < 8 * length; i++) {
		char flipped = bytes[i / 8] ^ (char)(1 << i % 8);

		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)(i / 8)), 1);
		memset(&err, 0, sizeof(err));
		if (check(folder->file, &err) == 0)
			fail_msg("bit %zu of byte %zu may change unnoticed", i % 8, i / 8);
		assert_says(&err, folder->file);
		assert_int_equal(pwrite(fd, &bytes[i / 8], 1, (off_t)(i / 8)), 1);
	}
	close(fd);
	assert_ok(check(folder->file, &err), &err);
	free(bytes);
}

static void verify_names_what_is_damaged(void **state)
{
	const struct folder *folder = *state;
	uint64_t *checksums = NULL;
	struct error err = { 0 };
	struct gguf *gguf;
	size_t length;
	char *bytes, data[24];

	write_example(folder->file, 32);
	bytes = file_contents(folder->file, &length);
	gguf = opened(folder->file);
	bytes[gguf_find_tensor(gguf, "halves")->offset + 1] ^= 4;
	write_file(folder->file, bytes, length);
	assert_refused_with(gguf_verify(gguf, NULL, &err), &err, folder->file, "tensor halves");
	assert_int_equal(err.code, -EBADMSG);
	assert_ok(gguf_load_checksums(gguf, &checksums, &err), &err);
	assert_ok(gguf_verify_tensor(gguf, checksums, 0, data, &err), &err);
	assert_memory_equal(data, reals, sizeof(reals));
	free(checksums);
	bytes[length - 9] ^= 1;
	write_file(folder->file, bytes, length);
	assert_refused_with(gguf_verify(gguf, NULL, &err), &err, folder->file, "list of checksums");
	gguf_close(gguf);
	free(bytes);
}

static void every_truncation_is_refused(void **state)
{
	const struct folder *folder = *state;
	struct error err = { 0 };
	size_t length;
	char *bytes;

	write_example(folder->file, 32);
	bytes = file_contents(folder->file, &length);
	for (size_t n = length; n-- > 0;) {
		assert_int_equal(truncate(folder->file, (off_t)n), 0);
		if (check(folder->file, &err) == 0)
			fail_msg("accepted when cut to %zu of %zu bytes", n, length);
		assert_says(&err, folder->file);
	}
	write_file(folder->file, bytes, length);
	assert_int_equal(truncate(folder->file, (off_t)length + 1), 0);
	assert_refused_with(check(folder->file, &err), &err, folder->file, "1 bytes follow");
	free(bytes);
}

static struct gguf_writer *writer_of(const char *path)
{
	struct gguf_writer *writer = NULL;
	struct error err;

	assert_ok(gguf_writer_create(path, 32, &writer, &err), &err);
	return writer;
}

static void the_writer_wants_exactly_the_data(void **state)
{
	const struct folder *folder = *state;
	const uint64_t three[] = { 3 }, none[] = { 0 }, huge[] = { UINT64_MAX / 2 + 1, 2 };
	struct gguf_writer *writer = writer_of(folder->file);
	struct error err = { 0 };

	gguf_writer_tensor(writer, "halves", GGUF_TENSOR_F16, 1, three);
	assert_int_equal(gguf_writer_data(writer, halves, 4), 0);
	assert_true(gguf_writer_commit(writer, &err) < 0);
	assert_says(&err, "halves is missing");
	writer = writer_of(folder->file);
	gguf_writer_tensor(writer, "halves", GGUF_TENSOR_F16, 1, three);
	gguf_writer_data(writer, halves, 6);
	assert_true(gguf_writer_data(writer, halves, 1) < 0);
	assert_true(gguf_writer_status(writer) < 0);
	assert_true(gguf_writer_commit(writer, &err) < 0);
	assert_says(&err, "more data");
	writer = writer_of(folder->file);
	gguf_writer_tensor(writer, "void", GGUF_TENSOR_F16, 1, none);
	assert_true(gguf_writer_commit(writer, &err) < 0);
	assert_says(&err, "void is empty");
	writer = writer_of(folder->file);
	gguf_writer_tensor(writer, "all", GGUF_TENSOR_F16, 2, huge);
	assert_true(gguf_writer_commit(writer, &err) < 0);
	assert_says(&err, "all is larger");
	gguf_writer_abort(writer_of(folder->file));
	gguf_writer_abort(NULL);
	/* Nothing is left: the folder is empty, or it could not be removed. */
	assert_int_equal(rmdir(folder->path), 0);
	assert_int_equal(mkdir(folder->path, 0700), 0);
}

static void a_file_without_tensors_can_be_verified(void **state)
{
	const struct folder *folder = *state;
	struct error err;

	assert_ok(gguf_writer_commit(writer_of(folder->file), &err), &err);
	assert_ok(check(folder->file, &err), &err);
}

/* A header that does not fit the first read of it. */
static void reads_a_large_header(void **state)
{
	const struct folder *folder = *state;
	enum { N = 100000 };
	const char **many = malloc(N * sizeof(*many)), **found;
	struct gguf_writer *writer = writer_of(folder->file);
	struct error err;
	struct gguf *gguf;
	size_t count;

	for (size_t i = 0; i < N; i++)
		many[i] = words[i % 3];
	gguf_writer_strings(writer, "many", many, N);
	gguf_writer_string(writer, "last", "end");
	assert_ok(gguf_writer_commit(writer, &err), &err);
	gguf = opened(folder->file);
	assert_ok(gguf_get_strings(gguf, "many", &found, &count, &err), &err);
	assert_int_equal(count, N);
	for (size_t i = 0; i < N; i++)
		assert_string_equal(found[i], many[i]);
	assert_true(gguf_has(gguf, "last"));
	assert_ok(gguf_verify(gguf, NULL, &err), &err);
	gguf_close(gguf);
	free(found);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(reads_single_values),
		folder_test(reads_arrays),
		folder_test(reads_tensors),
		folder_test(refuses_values_of_the_wrong_type),
		folder_test(the_same_calls_give_the_same_bytes),
		folder_test(verify_finds_every_flipped_bit),
		folder_test(verify_names_what_is_damaged),
		folder_test(every_truncation_is_refused),
		folder_test(the_writer_wants_exactly_the_data),
		folder_test(a_file_without_tensors_can_be_verified),
		folder_test(reads_a_large_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
