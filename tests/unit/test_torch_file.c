// SPDX-License-Identifier: GPL-2.0-only
/* torch.save()d archives: real ones, every way to store them, and what is refused. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helpers/checkpoint_writer.h"
#include "helpers/pickle_writer.h"
#include "model/torch_file.h"

static void assert_refused(const char *path, const char *word, const char *other)
{
	struct tensor_file *file;
	struct error err = { 0 };

	assert_refused_with(torch_file_open(path, &file, &err), &err, word, other);
	assert_says(&err, path);
}

static const struct file_tensor *find(const struct tensor_file *file, const char *name,
				      enum checkpoint_dtype dtype, uint64_t n_elements)
{
	const struct file_tensor *tensor = tensor_file_find(file, name);

	if (!tensor)
		fail_msg("%s is not there", name);
	assert_int_equal(tensor->tensor.dtype, dtype);
	assert_int_equal(tensor->tensor.n_elements, n_elements);
	return tensor;
}

static void read_tensor(struct tensor_file *file, const struct file_tensor *tensor, void *buffer,
			size_t length)
{
	struct error err;

	assert_ok(file->read(file, tensor, 0, buffer, length, &err), &err);
}

/* What tests/data/torch/make.py saved, and printed. */
static void reads_a_real_file(void **state)
{
	char *path = data_path("torch/state_dict.bin");
	float embed[24], head[24], wide[24], rows[8], scale;
	const struct file_tensor *tensor;
	struct tensor_file *file;
	uint16_t halves[5];
	struct error err;
	double sum = 0;

	(void)state;
	assert_ok(torch_file_open(path, &file, &err), &err);
	assert_int_equal(file->n_tensors, 8);
	tensor = find(file, "embed.weight", CHECKPOINT_F32, 24);
	assert_int_equal(tensor->tensor.n_dims, 2);
	assert_int_equal(tensor->tensor.dims[0], 6);
	read_tensor(file, tensor, embed, sizeof(embed));
	for (size_t i = 0; i < 24; i++)
		sum += (double)embed[i];
	assert_true(embed[0] == -1.5255959033966064f && embed[3] == -1.6094847917556763f);
	assert_true(sum > -2.9340165146 && sum < -2.9340165145);
	read_tensor(file, find(file, "head.weight", CHECKPOINT_F32, 24), head, sizeof(head));
	assert_memory_equal(embed, head, sizeof(head));
	read_tensor(file, find(file, "bias", CHECKPOINT_F16, 5), halves, 10);
	assert_int_equal(halves[0], 0xbc00);
	assert_int_equal(halves[3], 0x3800);
	read_tensor(file, find(file, "norm.weight", CHECKPOINT_BF16, 3), halves, 6);
	assert_int_equal(halves[1], 0xc020);
	read_tensor(file, find(file, "scale", CHECKPOINT_F32, 1), &scale, 4);
	assert_true(scale == 0.75f);
	find(file, "ids", CHECKPOINT_OTHER, 3);
	read_tensor(file, find(file, "wide", CHECKPOINT_F32, 24), wide, sizeof(wide));
	read_tensor(file, find(file, "wide.rows", CHECKPOINT_F32, 8), rows, sizeof(rows));
	assert_true(wide[23] == 2.875f);
	assert_memory_equal(wide + 8, rows, sizeof(rows));
	file->close(file);
	free(path);
}

static const float numbers[] = { 1, -2, 3.5f, 0.25f, -5, 6 };

static const struct test_tensor tensors[] = {
	{ "a", CHECKPOINT_F32, 2, { 2, 3 }, numbers },
	{ "b.tied", CHECKPOINT_F32, 1, { 6 }, numbers },
	{ "c", CHECKPOINT_F16, 1, { 4 }, numbers },
	{ "d", CHECKPOINT_BF16, 0, { 0 }, numbers },
	{ "e.empty", CHECKPOINT_F32, 2, { 0, 3 }, numbers },
	{ "f.ids", CHECKPOINT_OTHER, 1, { 2 }, numbers },
};
#define N_TENSORS (sizeof(tensors) / sizeof(tensors[0]))

static void assert_tensors(const char *path)
{
	struct tensor_file *file;
	struct error err;

	assert_ok(torch_file_open(path, &file, &err), &err);
	assert_int_equal(file->n_tensors, N_TENSORS);
	for (size_t i = N_TENSORS; i-- > 0;) { /* backwards: every entry is opened anew */
		const struct file_tensor *tensor = find(file, tensors[i].name, tensors[i].dtype,
							test_tensor_elements(&tensors[i]));
		uint8_t bytes[64], *expected;
		size_t length;

		if (tensors[i].dtype == CHECKPOINT_OTHER || !tensor->tensor.n_elements)
			continue;
		expected = test_tensor_bytes(&tensors[i], &length);
		read_tensor(file, tensor, bytes, length);
		assert_memory_equal(bytes, expected, length);
		free(expected);
	}
	file->close(file);
}

static void reads_every_way_to_store(void **state)
{
	static const struct test_torch_options options[] = {
		{ 0 },
		{ .deflate = true },
		{ .folder = "pytorch_model" },
		{ .folder = "my model (1)", .parameters = true, .deflate = true },
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		write_torch_with(folder->file, tensors, N_TENSORS, &options[i]);
		assert_tensors(folder->file);
	}
}

/* Pieces in any order are the same bytes as the whole. */
static void reads_pieces_in_any_order(void **state)
{
	enum { COUNT = 30000 };
	struct folder *folder = *state;
	float *values = malloc(COUNT * sizeof(*values));
	const struct test_tensor tensor = { "x", CHECKPOINT_F32, 1, { COUNT }, values };
	static const size_t places[] = { 0, 10, 5, 29999, 12345, 12346, 12345, 0, 29000 };

	assert_non_null(values);
	for (size_t i = 0; i < COUNT; i++)
		values[i] = (float)i;
	for (int deflate = 0; deflate < 2; deflate++) {
		const struct test_torch_options options = { .deflate = deflate };
		struct tensor_file *file;
		struct error err;

		write_torch_with(folder->file, &tensor, 1, &options);
		assert_ok(torch_file_open(folder->file, &file, &err), &err);
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			float value;

			assert_ok(
				file->read(file, &file->tensors[0], places[i] * 4, &value, 4, &err),
				&err);
			assert_true(value == (float)places[i]);
		}
		file->close(file);
	}
	free(values);
}

/* Going on in another entry, behind where this one was left. */
static void tells_entries_apart(void **state)
{
	static const float others[] = { 10, 20, 30, 40, 50, 60 };
	const struct test_tensor two[] = { { "a", CHECKPOINT_F32, 1, { 6 }, numbers },
					   { "b", CHECKPOINT_F32, 1, { 6 }, others } };
	struct folder *folder = *state;
	struct tensor_file *file;
	struct error err;
	float value;

	write_torch(folder->file, two, 2);
	assert_ok(torch_file_open(folder->file, &file, &err), &err);
	for (size_t i = 0; i < 6; i++) {
		assert_ok(file->read(file, &file->tensors[0], i * 4, &value, 4, &err), &err);
		assert_true(value == numbers[i]);
		assert_ok(file->read(file, &file->tensors[1], i * 4, &value, 4, &err), &err);
		assert_true(value == others[i]);
	}
	file->close(file);
}

/* Change the one place where the file holds `from`. */
static void patch(const char *path, const void *from, const void *to, size_t length)
{
	size_t size;
	char *bytes = file_contents(path, &size);
	char *at = memmem(bytes, size, from, length);

	assert_non_null(at);
	memcpy(at, to, length);
	write_file(path, bytes, size);
	free(bytes);
}

/* The last byte of the data is read long before the archive ends, and still checked. */
static void finds_damage_by_the_checksum(void **state)
{
	const struct test_tensor tensor = { "x.weight", CHECKPOINT_F32, 1, { 6 }, numbers };
	struct folder *folder = *state;
	float damaged[6], values[6];
	struct tensor_file *file;
	struct error err;

	memcpy(damaged, numbers, sizeof(damaged));
	damaged[2] = 4;
	write_torch(folder->file, &tensor, 1);
	patch(folder->file, numbers, damaged, sizeof(damaged));
	assert_ok(torch_file_open(folder->file, &file, &err), &err);
	assert_int_equal(file->read(file, &file->tensors[0], 0, values, sizeof(values), &err),
			 -EIO);
	assert_says(&err, folder->file);
	assert_says(&err, "x.weight");
	assert_says(&err, "checksum");
	/* In pieces: the last one finds it, even after a part was left out. */
	assert_ok(file->read(file, &file->tensors[0], 0, values, 8, &err), &err);
	assert_int_equal(file->read(file, &file->tensors[0], 20, values, 4, &err), -EIO);
	file->close(file);
	write_torch(folder->file, &tensor, 1);
	patch(folder->file, "_rebuild_tensor_v2", "_rebuild_tensor_v3", 18);
	assert_refused(folder->file, "data.pkl", "checksum");
}

static void refuses_other_formats(void **state)
{
	struct folder *folder = *state;
	char tar[600] = "data";

	write_file(folder->file, "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.", 15);
	assert_refused(folder->file, "before 1.6", "torch.save() it again");
	memcpy(tar + 257, "ustar", 5);
	write_file(folder->file, tar, sizeof(tar));
	assert_refused(folder->file, "before 1.6", "torch.save() it again");
	write_file(folder->file, "", 0);
	assert_refused(folder->file, "not a torch.save()d file", "no zip");
	write_file(folder->file, "GGUF, perhaps", 13);
	assert_refused(folder->file, "not a torch.save()d file", "no zip");
	write_file(folder->file, "PK\3\4 but no more", 16);
	assert_refused(folder->file, "zip archive", "cut short");
	unlink(folder->file);
	assert_refused(folder->file, "cannot open", "");
}

/* An archive of a pickle and one storage of 12 floats, and perhaps a third entry. */
static void write_archive(const struct folder *folder, const struct pickle_writer *pickle,
			  const struct test_entry *third, size_t data)
{
	static const float zeros[16];
	struct test_entry entries[3] = {
		{ "top/data.pkl", pickle->bytes, pickle->length },
		{ "top/data/0", zeros, data },
	};

	if (third)
		entries[2] = *third;
	write_zip(folder->file, entries, third ? 3 : 2, false);
}

static void pickle_one(struct pickle_writer *pickle, const char *name,
		       const struct pickle_view *view)
{
	pickle_start(pickle);
	pickle_byte(pickle, '}');
	pickle_text(pickle, name);
	pickle_view(pickle, view);
	pickle_bytes(pickle, "s.", 2);
}

static const struct pickle_view matrix = {
	.type = "FloatStorage",
	.key = "0",
	.storage_elements = 12,
	.n_dims = 2,
	.sizes = (const int64_t[]){ 4, 3 },
};

static void refuses_views_that_do_not_fit(void **state)
{
	struct folder *folder = *state;
	struct pickle_writer pickle;
	struct pickle_view view = matrix;

	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 44);
	assert_refused(folder->file, "\"w\"", "44 bytes");
	write_archive(folder, &pickle, NULL, 52);
	assert_refused(folder->file, "\"w\"", "52 bytes");
	view.first_element = 1;
	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "\"w\"", "more than the 12 of its storage");
	view.first_element = INT64_MAX;
	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "\"w\"", "more than the 12 of its storage");
	view = matrix;
	view.storage_elements = INT64_MAX / 2 + 13; /* times 4 it is 48 again in 64 bits */
	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "\"w\"", "48 bytes");
	view = matrix;
	view.strides = (const int64_t[]){ 1, 4 };
	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "\"w\"", "not contiguous");
	view = matrix;
	view.key = "1";
	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "\"w\"", "top/data/1 is missing");
}

/* More dimensions than four are listed, with the inner ones as one. */
static void lists_five_dimensions(void **state)
{
	const struct pickle_view view = { .type = "FloatStorage",
					  .key = "0",
					  .storage_elements = 12,
					  .n_dims = 5,
					  .sizes = (const int64_t[]){ 1, 2, 1, 2, 3 } };
	struct folder *folder = *state;
	struct pickle_writer pickle;
	const struct file_tensor *tensor;
	struct tensor_file *file;
	struct error err;

	pickle_one(&pickle, "w", &view);
	write_archive(folder, &pickle, NULL, 48);
	assert_ok(torch_file_open(folder->file, &file, &err), &err);
	tensor = find(file, "w", CHECKPOINT_OTHER, 12);
	assert_int_equal(tensor->tensor.n_dims, 4);
	assert_int_equal(tensor->tensor.dims[3], 6);
	file->close(file);
}

static void heeds_the_byte_order(void **state)
{
	const struct test_entry little = { "top/byteorder", "little", 6 };
	const struct test_entry big = { "top/byteorder", "big", 3 };
	struct folder *folder = *state;
	struct pickle_writer pickle;
	struct tensor_file *file;
	struct error err;

	pickle_one(&pickle, "w", &matrix);
	write_archive(folder, &pickle, &little, 48);
	assert_ok(torch_file_open(folder->file, &file, &err), &err);
	file->close(file);
	write_archive(folder, &pickle, &big, 48);
	assert_refused(folder->file, "\"big\"", "\"little\"");
}

static void refuses_other_archives(void **state)
{
	const struct test_entry deep = { "a/b/data.pkl", "N.", 2 };
	const struct test_entry second = { "other/data.pkl", "N.", 2 };
	const struct test_entry empty = { "x/data.pkl", "", 0 };
	struct folder *folder = *state;
	struct pickle_writer pickle;

	write_zip(folder->file, &deep, 1, false);
	assert_refused(folder->file, "no data.pkl", "");
	write_zip(folder->file, &empty, 1, false);
	assert_refused(folder->file, "data.pkl has 0 bytes", "");
	pickle_one(&pickle, "w", &matrix);
	write_archive(folder, &pickle, &second, 48);
	assert_refused(folder->file, "top/data.pkl", "other/data.pkl");
	/* Some other pickle than a state dict. */
	pickle_start(&pickle);
	pickle_global(&pickle, "posix", "system");
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "data.pkl, offset 2", "\"posix.system\"");
}

/* One name, two tensors: two readers could take two different ones. */
static void refuses_a_name_twice(void **state)
{
	struct folder *folder = *state;
	struct pickle_writer pickle;

	pickle_start(&pickle);
	pickle_byte(&pickle, '}');
	for (int i = 0; i < 2; i++) {
		pickle_text(&pickle, "w");
		pickle_view(&pickle, &matrix);
		pickle_byte(&pickle, 's');
	}
	pickle_byte(&pickle, '.');
	write_archive(folder, &pickle, NULL, 48);
	assert_refused(folder->file, "\"w\"", "twice");
}

/* A pickle that unpacks to more than any state dict needs is not unpacked. */
static void refuses_a_huge_pickle(void **state)
{
	struct folder *folder = *state;
	size_t length = 17 * 1024 * 1024;
	struct test_entry entry = { "x/data.pkl", calloc(1, length), length };

	assert_non_null(entry.bytes);
	write_zip(folder->file, &entry, 1, true);
	assert_refused(folder->file, "data.pkl has 17825792 bytes", "");
	free((void *)entry.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(finds_damage_by_the_checksum),
		folder_test(heeds_the_byte_order),
		folder_test(lists_five_dimensions),
		cmocka_unit_test(reads_a_real_file),
		folder_test(reads_every_way_to_store),
		folder_test(reads_pieces_in_any_order),
		folder_test(refuses_a_huge_pickle),
		folder_test(refuses_a_name_twice),
		folder_test(refuses_other_archives),
		folder_test(refuses_other_formats),
		folder_test(refuses_views_that_do_not_fit),
		folder_test(tells_entries_apart),
	};

	return cmocka_run_group_tests_name("torch_file", tests, NULL, NULL);
}
