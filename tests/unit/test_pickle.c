// SPDX-License-Identifier: GPL-2.0-only
/* The pickle machine describes tensors, and refuses by name whatever it need not know. */
#include "helpers/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/pickle_writer.h"
#include "model/pickle.h"

/* One for all tests: each starts it anew. */
static int set_up(void **state)
{
	*state = malloc(sizeof(struct pickle_writer));
	assert_non_null(*state);
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* The pickle is copied to a block of its own size, so that ASan sees reads beyond it. */
static int read_pickle(const struct pickle_writer *pickle, struct pickle_tensor **tensors,
		       size_t *n, struct error *err)
{
	uint8_t *copy = malloc(pickle->length + 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, pickle->bytes, pickle->length);
	ret = pickle_read_state_dict(copy, pickle->length, "x.bin", tensors, n, err);
	for (size_t i = 0; ret == 0 && i < *n; i++) { /* strings that outlive the copy */
		(*tensors)[i].name =
			(const char *)pickle->bytes + ((*tensors)[i].name - (const char *)copy);
		(*tensors)[i].storage =
			(const char *)pickle->bytes + ((*tensors)[i].storage - (const char *)copy);
	}
	free(copy);
	return ret;
}

static void assert_refused(const struct pickle_writer *pickle, const char *word, const char *other)
{
	struct error err = { 0 };
	struct pickle_tensor *tensors;
	size_t n;

	assert_int_equal(read_pickle(pickle, &tensors, &n, &err), -EINVAL);
	assert_memory_equal(err.message, "x.bin: data.pkl, offset ", 24);
	assert_says(&err, word);
	assert_says(&err, other);
}

/* A dictionary whose only member is the view. */
static void one_tensor(struct pickle_writer *pickle, const struct pickle_view *view)
{
	pickle_start(pickle);
	pickle_byte(pickle, '}');
	pickle_text(pickle, "x");
	pickle_view(pickle, view);
	pickle_bytes(pickle, "s.", 2);
}

static const struct pickle_view matrix = {
	.type = "FloatStorage",
	.key = "7",
	.storage_elements = 20,
	.first_element = 8,
	.n_dims = 2,
	.sizes = (const int64_t[]){ 4, 3 },
};

static void assert_matrix(const struct pickle_tensor *tensor, const char *name)
{
	assert_int_equal(tensor->name_length, strlen(name));
	assert_memory_equal(tensor->name, name, strlen(name));
	assert_int_equal(tensor->tensor.dtype, CHECKPOINT_F32);
	assert_int_equal(tensor->tensor.n_dims, 2);
	assert_int_equal(tensor->tensor.dims[0], 4);
	assert_int_equal(tensor->tensor.dims[1], 3);
	assert_int_equal(tensor->tensor.n_elements, 12);
	assert_int_equal(tensor->element_size, 4);
	assert_int_equal(tensor->storage_elements, 20);
	assert_int_equal(tensor->first_element, 8);
	assert_int_equal(tensor->storage_length, 1);
	assert_memory_equal(tensor->storage, "7", 1);
	assert_true(tensor->contiguous);
}

/* Both ways to set items, a tied tensor by memo, and members that are no tensors. */
static void reads_members_in_order(void **state)
{
	struct pickle_writer *pickle = *state;
	struct pickle_tensor *tensors;
	struct error err;
	size_t n;

	pickle_start(pickle);
	pickle_ordered_dict(pickle);
	pickle_bytes(pickle, "q\0", 2); /* memo 0 */
	pickle_text(pickle, "b");
	pickle_view(pickle, &matrix);
	pickle_bytes(pickle, "r\1\0\0\0s(", 7); /* memo 1, SETITEM, MARK */
	pickle_text(pickle, "a");
	pickle_bytes(pickle, "h\1", 2);
	pickle_text(pickle, "step");
	pickle_integer(pickle, -3);
	pickle_text(pickle, "rate");
	pickle_bytes(pickle, "G\0\0\0\0\0\0\0\0", 9);
	pickle_text(pickle, "none");
	pickle_bytes(pickle, "Nu", 2);
	/* Attributes, as nn.Module.state_dict() leaves them. */
	pickle_byte(pickle, '}');
	pickle_text(pickle, "_metadata");
	pickle_bytes(pickle, "h\0sb.", 5);
	assert_ok(read_pickle(pickle, &tensors, &n, &err), &err);
	assert_int_equal(n, 2);
	assert_matrix(&tensors[0], "b");
	assert_matrix(&tensors[1], "a");
	free(tensors);
}

/* Protocol 4's own opcodes: frame, short texts, memoize, stack global. */
static void reads_protocol_4(void **state)
{
	struct pickle_writer *pickle = *state;
	struct pickle_tensor *tensors;
	struct error err;
	size_t n;

	pickle_start(pickle);
	pickle->bytes[1] = 4;
	pickle_bytes(pickle, "\x95\1\2\3\4\5\6\7\x08", 9);
	pickle_bytes(pickle,
		     "\x8c\x0b"
		     "collections\x94\x8c\x0bOrderedDict\x94\x93)R",
		     31);
	pickle_bytes(pickle, "\x8c\1w", 3);
	pickle_view(pickle, &matrix);
	pickle_bytes(pickle, "s.", 2);
	assert_ok(read_pickle(pickle, &tensors, &n, &err), &err);
	assert_int_equal(n, 1);
	assert_matrix(&tensors[0], "w");
	free(tensors);
}

static void reads_the_real_pickle(void **state)
{
	char *path = data_path("torch/data.pkl");
	struct pickle_writer *pickle = *state;
	FILE *file = fopen(path, "rb");
	struct pickle_tensor *tensors;
	struct error err;
	size_t n;

	assert_non_null(file);
	pickle->length = fread(pickle->bytes, 1, sizeof(pickle->bytes), file);
	fclose(file);
	assert_ok(read_pickle(pickle, &tensors, &n, &err), &err);
	assert_int_equal(n, 8);
	free(tensors);
	/* However little is missing, the rest is refused. */
	while (pickle->length--)
		assert_refused(pickle, "", "");
	free(path);
}

static void tells_contiguous_from_strided(void **state)
{
	static const struct {
		int64_t sizes[3], strides[3];
		bool contiguous;
	} cases[] = {
		{ { 2, 3, 4 }, { 12, 4, 1 }, true }, { { 2, 3, 4 }, { 12, 4, 2 }, false },
		{ { 2, 3, 4 }, { 1, 2, 6 }, false }, { { 1, 3, 4 }, { 99, 4, 1 }, true },
		{ { 3, 1, 4 }, { 4, 77, 1 }, true }, { { 2, 3, 1 }, { 3, 1, 55 }, true },
		{ { 2, 0, 4 }, { 9, 9, 9 }, true },  { { 2, 3, 4 }, { 0, 0, 0 }, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pickle_view view = { .type = "HalfStorage",
					    .key = "0",
					    .storage_elements = 24,
					    .n_dims = 3,
					    .sizes = cases[i].sizes,
					    .strides = cases[i].strides };
		struct pickle_tensor *tensors;
		struct error err;
		size_t n;

		one_tensor(*state, &view);
		assert_ok(read_pickle(*state, &tensors, &n, &err), &err);
		assert_int_equal(tensors[0].contiguous, cases[i].contiguous);
		assert_int_equal(tensors[0].tensor.dtype, CHECKPOINT_F16);
		free(tensors);
	}
}

static void refuses_foreign_globals(void **state)
{
	struct pickle_writer *pickle = *state;

	pickle_start(pickle);
	pickle_global(pickle, "os", "system");
	pickle_text(pickle, "true");
	pickle_bytes(pickle, "\x85R.", 3);
	assert_refused(pickle, "offset 2:", "\"os.system\"");
	pickle_start(pickle);
	pickle_text(pickle, "builtins");
	pickle_text(pickle, "eval");
	pickle_bytes(pickle, "\x93.", 2);
	assert_refused(pickle, "\"builtins.eval\"", "");
	/* Known modules do not open the door to their other members. */
	pickle_start(pickle);
	pickle_global(pickle, "torch", "load");
	assert_refused(pickle, "\"torch.load\"", "");
	/* A storage type can be named, not called. */
	pickle_start(pickle);
	pickle_global(pickle, "torch", "FloatStorage");
	pickle_bytes(pickle, ")R.", 3);
	assert_refused(pickle, "cannot be called", "");
}

static void refuses_foreign_opcodes(void **state)
{
	static const uint8_t known[] =
		"().GJKMNQRXbchjqrstu}\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";
	struct pickle_writer *pickle = *state;

	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		char number[16];

		if (opcode && memchr(known, (int)opcode, sizeof(known) - 1))
			continue;
		snprintf(number, sizeof(number), "opcode 0x%02x ", opcode);
		pickle_start(pickle);
		pickle_bytes(pickle, "N", 1);
		pickle_byte(pickle, (uint8_t)opcode);
		assert_refused(pickle, "offset 3:", number);
	}
	pickle_start(pickle);
	pickle->bytes[1] = 5;
	assert_refused(pickle, "offset 0:", "protocol 2, 3 or 4");
}

/* Opcodes without what they work on. */
static void refuses_broken_stacks(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *word;
	} cases[] = {
		{ "", 0, "ends early" },
		{ "N", 1, "ends early" },
		{ "J\1\2", 3, "ends early" },
		{ "X\xff\xff\xff\xff"
		  "a",
		  6, "ends early" },
		{ "ctorch\n", 7, "ends early" },
		{ ".", 1, "0 values" },
		{ "NN.", 3, "2 values" },
		{ "N.", 2, "no dictionary" },
		{ "}(.", 3, "1 values" },
		{ "}.", 2, "no tensors" },
		{ "t", 1, "needs a mark" },
		{ "u", 1, "needs a mark" },
		{ "\x85", 1, "needs 1 values" },
		{ "N\x86", 2, "needs 2 values" },
		{ "N(\x85", 3, "needs 1 values" },
		{ "R", 1, "needs 2 values" },
		{ "NNR", 3, "cannot be called" },
		{ "}N(R", 4, "needs 2 values" },
		{ "NNNs", 4, "item for something else" },
		{ "}Ns", 3, "needs 3 values" },
		{ "}(Nu", 4, "key without a value" },
		{ "(NNu", 4, "needs 3 values" },
		{ "NNb", 3, "attributes" },
		{ "h\0", 2, "memo entry 0" },
		{ "Nq\1", 3, "memo entry 1" },
		{ "q\0", 2, "needs 1 values" },
		{ "Nr\xff\xff\xff\xff", 6, "memo entry 4294967295" },
		{ "NQ", 2, "persistent id" },
		{ "\x8a\x09", 2, "integer of 9 bytes" },
		{ "NN\x93", 3, "no text" },
		{ "ccollections\nOrderedDict\nN\x85R", 28, "OrderedDict with arguments" },
	};
	struct pickle_writer *pickle = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pickle_start(pickle);
		pickle_bytes(pickle, cases[i].bytes, cases[i].length);
		assert_refused(pickle, cases[i].word, "");
	}
}

static void refuses_other_arguments(void **state)
{
	struct pickle_view view = matrix;
	struct pickle_writer *pickle = *state;

	pickle_start(pickle);
	pickle_global(pickle, "torch._utils", "_rebuild_tensor_v2");
	pickle_bytes(pickle, ")R.", 3);
	assert_refused(pickle, "_rebuild_tensor_v2 with other arguments", "");
	pickle_start(pickle);
	pickle_global(pickle, "torch._utils", "_rebuild_parameter");
	pickle_bytes(pickle, "NNN\x87R.", 6);
	assert_refused(pickle, "_rebuild_parameter without a tensor", "");
	view.storage_elements = -1;
	one_tensor(pickle, &view);
	assert_refused(pickle, "persistent id", "");
	view = matrix;
	view.first_element = -1;
	one_tensor(pickle, &view);
	assert_refused(pickle, "_rebuild_tensor_v2 with other arguments", "");
	view = matrix;
	view.sizes = (const int64_t[]){ 4, -3 };
	one_tensor(pickle, &view);
	assert_refused(pickle, "no size", "");
	view.sizes = (const int64_t[]){ INT64_MAX, INT64_MAX };
	view.strides = (const int64_t[]){ 1, 1 };
	one_tensor(pickle, &view);
	assert_refused(pickle, "too many elements", "");
	/* Not a storage type where one belongs. */
	pickle_start(pickle);
	pickle_byte(pickle, '(');
	pickle_text(pickle, "storage");
	pickle_global(pickle, "collections", "OrderedDict");
	pickle_text(pickle, "0");
	pickle_text(pickle, "cpu");
	pickle_bytes(pickle, "K\1tQ.", 5);
	assert_refused(pickle, "persistent id", "");
}

/* The storage's size is `opcodes`; *storage_elements gets what it means, or it is refused. */
static bool storage_size(struct pickle_writer *pickle, const char *opcodes, size_t length,
			 uint64_t *storage_elements)
{
	struct pickle_tensor *tensors;
	struct error err;
	size_t n;

	pickle_start(pickle);
	pickle_bytes(pickle, "}\x8c\1x", 4);
	pickle_global(pickle, "torch._utils", "_rebuild_tensor_v2");
	pickle_bytes(pickle, "((", 2);
	pickle_text(pickle, "storage");
	pickle_global(pickle, "torch", "FloatStorage");
	pickle_text(pickle, "0");
	pickle_text(pickle, "cpu");
	pickle_bytes(pickle, opcodes, length);
	pickle_bytes(pickle, "tQK\0))NNtRs.", 12);
	if (read_pickle(pickle, &tensors, &n, &err) < 0)
		return false;
	*storage_elements = tensors[0].storage_elements;
	free(tensors);
	return true;
}

static void knows_signed_from_unsigned(void **state)
{
	uint64_t size;

	assert_true(storage_size(*state, "K\xff", 2, &size) && size == 255);
	assert_true(storage_size(*state, "M\xfe\xff", 3, &size) && size == 65534);
	assert_true(storage_size(*state, "J\1\0\0\x7f", 5, &size) && size == 0x7f000001);
	assert_false(storage_size(*state, "J\xff\xff\xff\xff", 5, &size));
	assert_true(storage_size(*state, "\x8a\2\1\1", 4, &size) && size == 257);
	assert_true(storage_size(*state, "\x8a\0", 2, &size) && size == 0);
	assert_false(storage_size(*state, "\x8a\1\xff", 3, &size));
	assert_false(storage_size(*state, "\x8a\x08\0\0\0\0\0\0\0\x80", 10, &size));
}

static void refuses_nested_dictionaries(void **state)
{
	struct pickle_writer *pickle = *state;

	pickle_start(pickle);
	pickle_byte(pickle, '}');
	pickle_text(pickle, "model");
	pickle_byte(pickle, '}');
	pickle_text(pickle, "x");
	pickle_view(pickle, &matrix);
	pickle_bytes(pickle, "ss.", 3);
	assert_refused(pickle, "under \"model\"", "torch.save()");
	pickle_start(pickle);
	pickle_bytes(pickle, "}K\1", 3);
	pickle_view(pickle, &matrix);
	pickle_bytes(pickle, "s.", 2);
	assert_refused(pickle, "name is no text", "");
	pickle_start(pickle);
	pickle_bytes(pickle, "}\x8c\3a\0b", 6);
	pickle_view(pickle, &matrix);
	pickle_bytes(pickle, "s.", 2);
	assert_refused(pickle, "NUL", "");
}

/* Limits hold long before memory becomes short. */
static void bounds_stack_and_marks(void **state)
{
	struct pickle_tensor *tensors;
	size_t n, length = 70 * 1024;
	uint8_t *bytes = malloc(length);
	struct error err;

	(void)state;
	assert_non_null(bytes);
	memset(bytes, 'N', length);
	memcpy(bytes, "\x80\2", 2);
	assert_int_equal(pickle_read_state_dict(bytes, length, "x", &tensors, &n, &err), -EINVAL);
	assert_says(&err, "more than 65536 values on the stack");
	memset(bytes + 2, '(', length - 2);
	assert_int_equal(pickle_read_state_dict(bytes, length, "x", &tensors, &n, &err), -EINVAL);
	assert_says(&err, "more than 65536 marks");
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_stack_and_marks),
		cmocka_unit_test(knows_signed_from_unsigned),
		cmocka_unit_test(reads_members_in_order),
		cmocka_unit_test(reads_protocol_4),
		cmocka_unit_test(reads_the_real_pickle),
		cmocka_unit_test(refuses_broken_stacks),
		cmocka_unit_test(refuses_foreign_globals),
		cmocka_unit_test(refuses_foreign_opcodes),
		cmocka_unit_test(refuses_nested_dictionaries),
		cmocka_unit_test(refuses_other_arguments),
		cmocka_unit_test(tells_contiguous_from_strided),
	};

	return cmocka_run_group_tests_name("pickle", tests, set_up, tear_down);
}
