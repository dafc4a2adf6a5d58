// SPDX-License-Identifier: GPL-2.0-only
/* GGUF headers of other programs, and of people who mean harm. */
#include "helpers/folder_test.h"

#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"
#include "model/gguf_verify.h"

static struct gguf *opened(const char *path)
{
	struct gguf *gguf = NULL;
	struct error err;

	assert_ok(gguf_open(path, &gguf, &err), &err);
	return gguf;
}

/* A header built byte by byte. */
struct raw {
	char bytes[1024];
	size_t length;
};

static void put(struct raw *raw, const void *data, size_t length)
{
	assert_true(length <= sizeof(raw->bytes) - raw->length);
	memcpy(raw->bytes + raw->length, data, length);
	raw->length += length;
}

static void put_u32(struct raw *raw, uint32_t value)
{
	put(raw, &value, sizeof(value));
}

static void put_u64(struct raw *raw, uint64_t value)
{
	put(raw, &value, sizeof(value));
}

static void put_string(struct raw *raw, const char *text)
{
	put_u64(raw, strlen(text));
	put(raw, text, strlen(text));
}

static struct raw head(uint64_t n_tensors, uint64_t n_values)
{
	struct raw raw = { .length = 0 };

	put(&raw, GGUF_MAGIC, 4);
	put_u32(&raw, GGUF_VERSION);
	put_u64(&raw, n_tensors);
	put_u64(&raw, n_values);
	return raw;
}

static void put_value_u32(struct raw *raw, const char *key, uint32_t value)
{
	put_string(raw, key);
	put_u32(raw, GGUF_UINT32);
	put_u32(raw, value);
}

static void put_tensor(struct raw *raw, const char *name, uint32_t type, uint32_t n_dims,
		       const uint64_t *dims, uint64_t offset)
{
	put_string(raw, name);
	put_u32(raw, n_dims);
	put(raw, dims, n_dims * sizeof(dims[0]));
	put_u32(raw, type);
	put_u64(raw, offset);
}

/* The end of the header and some data. */
static void put_data(struct raw *raw, size_t length)
{
	while (raw->length % 32)
		put(raw, "", 1);
	while (length--)
		put(raw, "", 1);
}

static void assert_refused(const struct folder *folder, const struct raw *raw, const char *word)
{
	struct error err = { 0 };
	struct gguf *gguf;

	write_file(folder->file, raw->bytes, raw->length);
	assert_refused_with(gguf_open(folder->file, &gguf, &err), &err, folder->file, word);
}

static void assert_accepted(const struct folder *folder, const struct raw *raw)
{
	write_file(folder->file, raw->bytes, raw->length);
	gguf_close(opened(folder->file));
}

static const uint64_t eight[] = { 8 };

static void reads_a_header_of_another_program(void **state)
{
	const struct folder *folder = *state;
	struct raw raw = head(2, 4);
	const char **strings;
	struct error err = { 0 };
	struct gguf *gguf;
	uint32_t *numbers;
	uint64_t wide;
	size_t count;

	put_string(&raw, "i8");
	put_u32(&raw, GGUF_INT8);
	put(&raw, "\x07", 1);
	put_string(&raw, "i8.negative");
	put_u32(&raw, GGUF_INT8);
	put(&raw, "\xff", 1);
	put_string(&raw, "u16s");
	put_u32(&raw, GGUF_ARRAY);
	put_u32(&raw, GGUF_UINT16);
	put_u64(&raw, 2);
	put(&raw, "\x01\x02\xff\xff", 4);
	put_string(&raw, "nul");
	put_u32(&raw, GGUF_ARRAY);
	put_u32(&raw, GGUF_STRING);
	put_u64(&raw, 1);
	put_u64(&raw, 2);
	put(&raw, "a\0", 2);
	put_tensor(&raw, "a", GGUF_TENSOR_F32, 1, eight, 0);
	put_tensor(&raw, "b", GGUF_TENSOR_F16, 0, eight, 32);
	put_data(&raw, 34);
	write_file(folder->file, raw.bytes, raw.length);
	gguf = opened(folder->file);
	assert_ok(gguf_get_u64(gguf, "i8", &wide, &err), &err);
	assert_int_equal(wide, 7);
	assert_ok(gguf_get_u32s(gguf, "u16s", &numbers, &count, &err), &err);
	assert_int_equal(count, 2);
	assert_int_equal(numbers[0], 0x201);
	assert_int_equal(numbers[1], 0xffff);
	free(numbers);
	assert_refused_with(gguf_get_u64(gguf, "i8.negative", &wide, &err), &err, folder->file,
			    "i8.neg");
	assert_refused_with(gguf_get_strings(gguf, "nul", &strings, &count, &err), &err,
			    folder->file, "NUL");
	assert_int_equal(gguf_find_tensor(gguf, "b")->size, 2);
	assert_refused_with(gguf_verify(gguf, NULL, &err), &err, folder->file, "no checksums");
	gguf_close(gguf);
}

static void refuses_what_is_no_gguf(void **state)
{
	const struct folder *folder = *state;
	struct raw raw = head(0, 0);

	put_data(&raw, 0);
	assert_accepted(folder, &raw);
	raw.bytes[4] = 2;
	assert_refused(folder, &raw, "version 2");
	raw.bytes[0] = 'g';
	assert_refused(folder, &raw, "not a GGUF file");
	raw.length = 0;
	assert_refused(folder, &raw, "beyond the end");
}

static void refuses_huge_counts(void **state)
{
	const struct folder *folder = *state;
	static const uint64_t counts[] = { 100, 1u << 31, UINT64_MAX / 13, UINT64_MAX };

	for (size_t i = 0; i < 4; i++) {
		struct raw raw = head(counts[i], 0);

		put_data(&raw, 64);
		assert_refused(folder, &raw, "more values or tensors");
		raw = head(0, counts[i]);
		put_data(&raw, 64);
		assert_refused(folder, &raw, "more values or tensors");
	}
}

static void refuses_huge_lengths(void **state)
{
	const struct folder *folder = *state;
	static const uint64_t lengths[] = { 200, UINT32_MAX, UINT64_MAX / 4 + 1, UINT64_MAX - 7,
					    UINT64_MAX };

	for (size_t i = 0; i < 5; i++) {
		struct raw raw = head(0, 1);

		put_u64(&raw, lengths[i]);
		put_data(&raw, 64);
		assert_refused(folder, &raw, "beyond the end");
		raw = head(0, 1);
		put_string(&raw, "key");
		put_u32(&raw, GGUF_STRING);
		put_u64(&raw, lengths[i]);
		put_data(&raw, 64);
		assert_refused(folder, &raw, "beyond the end");
		for (uint32_t type = GGUF_UINT32; type <= GGUF_STRING; type += 2) {
			raw = head(0, 1);
			put_string(&raw, "key");
			put_u32(&raw, GGUF_ARRAY);
			put_u32(&raw, type);
			put_u64(&raw, lengths[i]);
			put_data(&raw, 0);
			assert_refused(folder, &raw,
				       i < 2 || type == GGUF_STRING ? "beyond the end"
								    : "at offset");
		}
	}
}

static void refuses_unknown_types(void **state)
{
	const struct folder *folder = *state;
	struct raw raw = head(0, 1);

	put_string(&raw, "key");
	put_u32(&raw, 13);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "unknown type");
	raw = head(0, 1);
	put_string(&raw, "key");
	put_u32(&raw, GGUF_ARRAY);
	put_u32(&raw, GGUF_ARRAY);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "array of an unknown type");
	raw = head(1, 0);
	put_tensor(&raw, "quantized", 2, 1, eight, 0);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "quantized: type 2 is not supported");
}

static void refuses_names_that_are_there_twice(void **state)
{
	const struct folder *folder = *state;
	struct raw raw = head(0, 3);

	put_value_u32(&raw, "one", 1);
	put_value_u32(&raw, "two", 1);
	put_value_u32(&raw, "one", 1);
	put_data(&raw, 0);
	assert_refused(folder, &raw, "key one is there twice");
	raw = head(2, 0);
	put_tensor(&raw, "same", GGUF_TENSOR_F32, 1, eight, 0);
	put_tensor(&raw, "same", GGUF_TENSOR_F32, 1, eight, 32);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "tensor same is there twice");
	raw = head(0, 1);
	put_u64(&raw, 3);
	put(&raw, "a\0b", 3);
	put_u32(&raw, GGUF_UINT32);
	put_u32(&raw, 1);
	put_data(&raw, 0);
	assert_refused(folder, &raw, "NUL");
}

static void refuses_strange_alignments(void **state)
{
	const struct folder *folder = *state;
	static const uint32_t bad[] = { 0, 1, 4, 24, 33, 1u << 25, 1u << 31, UINT32_MAX };

	for (size_t i = 0; i < 8; i++) {
		struct raw raw = head(0, 1);

		put_value_u32(&raw, "general.alignment", bad[i]);
		put_data(&raw, 64);
		assert_refused(folder, &raw, "general.alignment");
	}
	{
		struct raw raw = head(0, 1);

		put_string(&raw, "general.alignment");
		put_u32(&raw, GGUF_STRING);
		put_string(&raw, "32");
		put_data(&raw, 64);
		assert_refused(folder, &raw, "general.alignment");
	}
}

static void refuses_impossible_tensors(void **state)
{
	const struct folder *folder = *state;
	static const uint64_t huge[] = { 1u << 31, 1u << 31, 1, 1 };
	static const uint64_t wrapping[] = { UINT64_MAX / 4 + 2, 4, 1, 1 };
	static const uint64_t five[] = { 1, 1, 1, 1, 1 };
	struct raw raw = head(1, 0);

	put_tensor(&raw, "t", GGUF_TENSOR_F32, 5, five, 0);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "t: has more than 4 dimensions");
	raw = head(1, 0);
	put_tensor(&raw, "t", GGUF_TENSOR_F32, 1, eight, 0);
	memcpy(raw.bytes + 24 + 8 + 1, "\xff\xff\xff\xff", 4);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "t: has more than 4 dimensions");
	raw = head(1, 0);
	put_tensor(&raw, "t", GGUF_TENSOR_F32, 4, huge, 0);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "t: is larger than any file");
	raw = head(1, 0);
	put_tensor(&raw, "t", GGUF_TENSOR_F32, 2, wrapping, 0);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "larger than any file");
	raw = head(1, 0);
	put_tensor(&raw, "t", GGUF_TENSOR_F32, 2, huge, 0);
	put_data(&raw, 64);
	assert_refused(folder, &raw, "larger than any file");
}

static void refuses_misplaced_tensors(void **state)
{
	const struct folder *folder = *state;
	static const uint64_t nine[] = { 9 };
	/* Of the second tensor: overlapping, unaligned, with a gap, wrapping around. */
	static const uint64_t offsets[] = { 0, 16, 31, 33, 64, UINT64_MAX - 31, UINT64_MAX };
	struct raw raw;

	for (size_t i = 0; i < 7; i++) {
		raw = head(2, 0);
		put_tensor(&raw, "a", GGUF_TENSOR_F32, 1, eight, 0);
		put_tensor(&raw, "b", GGUF_TENSOR_F32, 1, eight, offsets[i]);
		put_data(&raw, 128);
		assert_refused(folder, &raw, "tensor b: does not follow");
	}
	raw = head(1, 0);
	put_tensor(&raw, "a", GGUF_TENSOR_F32, 1, eight, 32);
	put_data(&raw, 128);
	assert_refused(folder, &raw, "tensor a: does not follow");
	raw = head(1, 0);
	put_tensor(&raw, "a", GGUF_TENSOR_F32, 1, nine, 0);
	put_data(&raw, 35);
	assert_refused(folder, &raw, "tensor a reaches beyond the end");
	raw.length++;
	assert_accepted(folder, &raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(reads_a_header_of_another_program),
		folder_test(refuses_what_is_no_gguf),
		folder_test(refuses_huge_counts),
		folder_test(refuses_huge_lengths),
		folder_test(refuses_unknown_types),
		folder_test(refuses_names_that_are_there_twice),
		folder_test(refuses_strange_alignments),
		folder_test(refuses_impossible_tensors),
		folder_test(refuses_misplaced_tensors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
