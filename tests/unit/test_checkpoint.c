// SPDX-License-Identifier: GPL-2.0-only
/* Every form of a checkpoint directory gives the same tensors, and the same numbers. */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/half.h"
#include "helpers/checkpoint_writer.h"
#include "model/checkpoint.h"

/* More than three buffers of the reader, and no multiple of one. */
#define LARGE 200003

static const float small[] = { 1, -2.5f, 65504, 0x1p-24f, -0.0f, 1.0009765625f };
static float large[LARGE];

/* Not in the order of their names. */
static const struct test_tensor tensors[] = {
	{ "w.f32", CHECKPOINT_F32, 2, { 2, 3 }, small },
	{ "a.f16", CHECKPOINT_F16, 1, { 6 }, small },
	{ "m.bf16", CHECKPOINT_BF16, 1, { 3 }, small },
	{ "scalar", CHECKPOINT_F32, 0, { 0 }, small },
	{ "nothing", CHECKPOINT_F32, 2, { 3, 0 }, small },
	{ "large", CHECKPOINT_F32, 1, { LARGE }, large },
	{ "deep", CHECKPOINT_F16, 4, { 1, 2, 1, 3 }, small },
	{ "ids", CHECKPOINT_OTHER, 1, { 4 }, small },
};
#define N_TENSORS (sizeof(tensors) / sizeof(tensors[0]))

static int set_up(void **state)
{
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (float)i / 64 - 1000;
	*state = make_folder();
	return 0;
}

static int tear_down(void **state)
{
	remove_folder(*state);
	return 0;
}

static struct checkpoint *open_checkpoint(const char *folder)
{
	struct checkpoint *checkpoint;
	struct error err;

	assert_ok(checkpoint_open(folder, &checkpoint, &err), &err);
	return checkpoint;
}

static void assert_refused(const char *folder, int code, const char *word, const char *other)
{
	struct checkpoint *checkpoint;
	struct error err = { 0 };

	assert_int_equal(checkpoint_open(folder, &checkpoint, &err), code);
	assert_says(&err, word);
	assert_says(&err, other);
}

static void write_text(const char *folder, const char *name, const char *text)
{
	char *path = path_in(folder, name);

	write_file(path, text, strlen(text));
	free(path);
}

static void remove_file(const char *folder, const char *name)
{
	char *path = path_in(folder, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

/* What the stored bytes stand for. */
static float stored_value(const struct test_tensor *tensor, uint64_t i)
{
	switch (tensor->dtype) {
	case CHECKPOINT_F16:
		return f16_to_f32(f32_to_f16(tensor->values[i]));
	case CHECKPOINT_BF16:
		return bf16_to_f32((uint16_t)(f32_to_bits(tensor->values[i]) >> 16));
	default:
		return tensor->values[i];
	}
}

static void assert_values(struct checkpoint *checkpoint, const struct test_tensor *expected)
{
	const struct checkpoint_tensor *tensor = checkpoint_find(checkpoint, expected->name);
	uint64_t n = test_tensor_elements(expected);
	float *values = malloc((n + 1) * sizeof(*values));
	uint16_t *halves = malloc((n + 1) * sizeof(*halves));
	struct error err = { 0 };

	assert_non_null(values);
	assert_non_null(halves);
	assert_ok(checkpoint_read_f32(checkpoint, tensor, 0, n, values, &err), &err);
	assert_ok(checkpoint_read_f16(checkpoint, tensor, 0, n, halves, &err), &err);
	for (uint64_t i = 0; i < n; i++) {
		float value = stored_value(expected, i);

		assert_int_equal(f32_to_bits(values[i]), f32_to_bits(value));
		assert_int_equal(halves[i], f32_to_f16(value));
	}
	free(values);
	free(halves);
}

static void assert_all(struct checkpoint *checkpoint)
{
	assert_int_equal(checkpoint_count(checkpoint), N_TENSORS);
	for (size_t i = 1; i < N_TENSORS; i++)
		assert_true(strcmp(checkpoint_at(checkpoint, i - 1)->name,
				   checkpoint_at(checkpoint, i)->name) < 0);
	for (size_t i = 0; i < N_TENSORS; i++) {
		const struct checkpoint_tensor *tensor =
			checkpoint_find(checkpoint, tensors[i].name);

		assert_non_null(tensor);
		assert_int_equal(tensor->dtype, tensors[i].dtype);
		assert_int_equal(tensor->n_dims, tensors[i].n_dims);
		assert_memory_equal(tensor->dims, tensors[i].dims,
				    tensor->n_dims * sizeof(tensor->dims[0]));
		assert_int_equal(tensor->n_elements, test_tensor_elements(&tensors[i]));
		assert_int_equal(access(tensor->file, R_OK), 0);
		if (tensor->dtype != CHECKPOINT_OTHER)
			assert_values(checkpoint, &tensors[i]);
	}
	assert_null(checkpoint_find(checkpoint, "w"));
	assert_null(checkpoint_find(checkpoint, "zzz"));
}

static void reads_every_form(void **state)
{
	(void)state;
	for (enum test_form form = 0; form < TEST_FORMS; form++) {
		char *folder = make_folder();
		struct checkpoint *checkpoint;

		write_checkpoint(folder, form, tensors, N_TENSORS);
		checkpoint = open_checkpoint(folder);
		assert_all(checkpoint);
		checkpoint_close(checkpoint);
		remove_folder(folder);
	}
}

/* The order of the forms; the file that wins need not be the best one. */
static void prefers_safetensors(void **state)
{
	struct checkpoint *checkpoint;

	write_checkpoint(*state, TEST_TORCH, tensors, N_TENSORS);
	write_checkpoint(*state, TEST_SAFETENSORS_SHARDS, tensors, N_TENSORS);
	checkpoint = open_checkpoint(*state);
	assert_non_null(strstr(checkpoint_at(checkpoint, 0)->file, ".safetensors"));
	checkpoint_close(checkpoint);
	write_text(*state, "model.safetensors", "not one");
	assert_refused(*state, -EINVAL, "model.safetensors", "too few");
}

static void reads_ranges(void **state)
{
	static const struct {
		uint64_t first, count;
	} ranges[] = { { 0, 1 },	 { 65535, 2 }, { 131000, 70 }, { 10, 100000 },
		       { LARGE - 1, 1 }, { LARGE, 0 }, { 5, 5 } };

	for (enum test_form form = 0; form < TEST_FORMS; form++) {
		const struct checkpoint_tensor *tensor;
		struct checkpoint *checkpoint;
		char *folder = path_in(*state, (const char *[]){ "a", "b", "c", "d" }[form]);
		float *values = malloc(LARGE * sizeof(*values));
		struct error err;

		assert_non_null(values);
		assert_int_equal(mkdir(folder, 0700), 0);
		write_checkpoint(folder, form, tensors, N_TENSORS);
		checkpoint = open_checkpoint(folder);
		tensor = checkpoint_find(checkpoint, "large");
		for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
			assert_ok(checkpoint_read_f32(checkpoint, tensor, ranges[i].first,
						      ranges[i].count, values, &err),
				  &err);
			assert_memory_equal(values, large + ranges[i].first,
					    ranges[i].count * sizeof(*values));
		}
		checkpoint_close(checkpoint);
		free(values);
		free(folder);
	}
}

static void refuses_wrong_requests(void **state)
{
	const struct checkpoint_tensor *tensor;
	struct checkpoint *checkpoint;
	struct error err = { 0 };
	float value;

	write_checkpoint(*state, TEST_SAFETENSORS, tensors, N_TENSORS);
	checkpoint = open_checkpoint(*state);
	tensor = checkpoint_find(checkpoint, "w.f32");
	assert_int_equal(checkpoint_read_f32(checkpoint, tensor, 6, 1, &value, &err), -EINVAL);
	assert_says(&err, "\"w.f32\" has 6 elements");
	assert_says(&err, "1 from number 6");
	assert_int_equal(checkpoint_read_f32(checkpoint, tensor, 7, 0, &value, &err), -EINVAL);
	assert_int_equal(checkpoint_read_f32(checkpoint, tensor, 2, UINT64_MAX, &value, &err),
			 -EINVAL);
	tensor = checkpoint_find(checkpoint, "ids");
	assert_int_equal(checkpoint_read_f32(checkpoint, tensor, 0, 1, &value, &err), -EINVAL);
	assert_says(&err, "\"ids\"");
	assert_says(&err, "cannot be read");
	checkpoint_close(checkpoint);
}

/* One tensor whose last value is `value`; what reading it as f16 says. */
static int read_last_as_f16(const char *folder, enum checkpoint_dtype dtype, float value,
			    struct error *err)
{
	float *values = calloc(LARGE, sizeof(*values));
	uint16_t *halves = malloc(LARGE * sizeof(*halves));
	const struct test_tensor tensor = { "x", dtype, 1, { LARGE }, values };
	struct checkpoint *checkpoint;
	int ret;

	assert_non_null(values);
	assert_non_null(halves);
	values[LARGE - 1] = value;
	write_checkpoint(folder, TEST_SAFETENSORS, &tensor, 1);
	checkpoint = open_checkpoint(folder);
	ret = checkpoint_read_f16(checkpoint, checkpoint_at(checkpoint, 0), 0, LARGE, halves, err);
	checkpoint_close(checkpoint);
	free(halves);
	free(values);
	return ret;
}

static void refuses_what_f16_cannot_hold(void **state)
{
	struct error err = { 0 };

	assert_ok(read_last_as_f16(*state, CHECKPOINT_F32, -65504, &err), &err);
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_F32, 65505, &err), -ERANGE);
	assert_says(&err, "\"x\": element 200002 is 65505");
	assert_says(&err, "float16");
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_F32, -INFINITY, &err), -ERANGE);
	assert_says(&err, "-inf");
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_F32, NAN, &err), -ERANGE);
	assert_says(&err, "nan");
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_F16, INFINITY, &err), -ERANGE);
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_F16, NAN, &err), -ERANGE);
	assert_ok(read_last_as_f16(*state, CHECKPOINT_BF16, 65280, &err), &err);
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_BF16, 65536, &err), -ERANGE);
	assert_int_equal(read_last_as_f16(*state, CHECKPOINT_BF16, NAN, &err), -ERANGE);
}

/* As f32 everything is passed on, NaN too. */
static void passes_everything_on_as_f32(void **state)
{
	static const float odd[] = { NAN, INFINITY, -INFINITY, 1e30f };

	for (enum checkpoint_dtype dtype = CHECKPOINT_F32; dtype <= CHECKPOINT_BF16; dtype++) {
		const struct test_tensor tensor = { "x", dtype, 1, { 4 }, odd };
		struct checkpoint *checkpoint;
		struct error err;
		float values[4];

		write_checkpoint(*state, TEST_SAFETENSORS, &tensor, 1);
		checkpoint = open_checkpoint(*state);
		assert_ok(checkpoint_read_f32(checkpoint, checkpoint_at(checkpoint, 0), 0, 4,
					      values, &err),
			  &err);
		assert_true(isnan(values[0]) && values[1] == INFINITY && values[2] == -INFINITY);
		assert_true(dtype == CHECKPOINT_F16 ? isinf(values[3]) : values[3] > 9e29f);
		checkpoint_close(checkpoint);
	}
}

static void says_what_was_looked_for(void **state)
{
	char *missing = path_in(*state, "missing");

	assert_refused(*state, -ENOENT, "model.safetensors, model.safetensors.index.json",
		       "pytorch_model.bin nor pytorch_model.bin.index.json");
	assert_refused(missing, -ENOENT, missing, "No such file");
	write_text(*state, "missing", "");
	assert_refused(missing, -ENOTDIR, missing, "not a directory");
	free(missing);
}

static void refuses_missing_shards(void **state)
{
	write_checkpoint(*state, TEST_SAFETENSORS_SHARDS, tensors, N_TENSORS);
	remove_file(*state, "model-00002-of-00002.safetensors");
	assert_refused(*state, -ENOENT, "model.safetensors.index.json",
		       "model-00002-of-00002.safetensors");
	remove_file(*state, "model.safetensors.index.json");
	write_checkpoint(*state, TEST_TORCH_SHARDS, tensors, N_TENSORS);
	remove_file(*state, "pytorch_model-00001-of-00002.bin");
	assert_refused(*state, -ENOENT, "pytorch_model.bin.index.json",
		       "pytorch_model-00001-of-00002.bin");
}

static void refuses_broken_indexes(void **state)
{
	static const struct {
		const char *index, *word, *other;
	} cases[] = {
		{ "{", "index.json", "not valid JSON" },
		{ "{}", "index.json", "\"weight_map\"" },
		{ "{\"weight_map\":[]}", "index.json", "\"weight_map\"" },
		{ "{\"weight_map\":{}}", "index.json", "no tensors" },
		{ "{\"weight_map\":{\"a\":1}}", "\"a\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\"\"}}", "\"a\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\"..\"}}", "\"..\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\".\"}}", "\".\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\"../x\"}}", "\"../x\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "\"/etc/passwd\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\"sub/x\"}}", "\"sub/x\"", "not the name" },
		{ "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "index.json", "duplicate" },
		{ "{\"weight_map\":{\"v\":\"shard\"}}", "\"v\"", "not in shard" },
	};
	const struct test_tensor tensor = { "w", CHECKPOINT_F32, 1, { 6 }, small };
	char *shard = path_in(*state, "shard");

	write_safetensors(shard, &tensor, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_text(*state, "model.safetensors.index.json", cases[i].index);
		assert_refused(*state, -EINVAL, cases[i].word, cases[i].other);
	}
	free(shard);
}

/* The index decides which tensors there are, and whose copy counts. */
static void follows_the_index(void **state)
{
	static const float one[] = { 1 }, two[] = { 2 };
	const struct test_tensor first[] = { { "w", CHECKPOINT_F32, 1, { 1 }, one },
					     { "extra", CHECKPOINT_F32, 1, { 1 }, one } };
	const struct test_tensor second = { "w", CHECKPOINT_F32, 1, { 1 }, two };
	char *a = path_in(*state, "a.safetensors"), *b = path_in(*state, "b.safetensors");
	struct checkpoint *checkpoint;
	struct error err;
	float value;

	write_safetensors(a, first, 2);
	write_safetensors(b, &second, 1);
	write_text(*state, "model.safetensors.index.json",
		   "{\"metadata\":{},\"weight_map\":{\"w\":\"b.safetensors\"}}");
	checkpoint = open_checkpoint(*state);
	assert_int_equal(checkpoint_count(checkpoint), 1);
	assert_string_equal(checkpoint_at(checkpoint, 0)->file, b);
	assert_ok(checkpoint_read_f32(checkpoint, checkpoint_at(checkpoint, 0), 0, 1, &value, &err),
		  &err);
	assert_true(value == 2);
	checkpoint_close(checkpoint);
	free(a);
	free(b);
}

static void refuses_a_checkpoint_without_tensors(void **state)
{
	char *path = path_in(*state, "model.safetensors");

	write_safetensors(path, NULL, 0);
	assert_refused(*state, -EINVAL, path, "no tensors");
	free(path);
	checkpoint_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(follows_the_index, set_up, tear_down),
		cmocka_unit_test_setup_teardown(passes_everything_on_as_f32, set_up, tear_down),
		cmocka_unit_test_setup_teardown(prefers_safetensors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reads_every_form, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reads_ranges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_a_checkpoint_without_tensors, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(refuses_broken_indexes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_missing_shards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_f16_cannot_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_wrong_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_what_was_looked_for, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
