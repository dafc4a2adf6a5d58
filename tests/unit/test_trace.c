// SPDX-License-Identifier: GPL-2.0-only
/* What is traced comes back; a trace that was changed in any bit, cut or made up is refused. */
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/random.h"
#include "placement/trace.h"
#include "placement/trace_format.h"

/* What was put into a trace: (n_chunks, n_layers) blocks. */
struct sample {
	struct trace_shape shape;
	uint32_t n_chunks;
	uint32_t chunk_tokens[4];
	uint64_t *fired[4][3];
	uint16_t *inputs[4][3];
};

static void fill_block(struct sample *sample, struct random_state *random, uint32_t chunk,
		       uint32_t layer)
{
	uint32_t n_tokens = sample->chunk_tokens[chunk];
	size_t words = bits_words(sample->shape.n_neurons);
	uint64_t *fired = calloc(n_tokens * words, sizeof(*fired));
	uint16_t *inputs = NULL;

	assert_non_null(fired);
	for (uint32_t t = 0; t < n_tokens; t++) {
		/* From nothing to everything. */
		double share = (double)random_below(random, 5) / 4;

		for (uint32_t i = 0; i < sample->shape.n_neurons; i++)
			if (random_unit(random) < share * share * share)
				bits_set(fired + t * words, i);
	}
	if (sample->shape.n_inputs) {
		inputs = calloc((size_t)n_tokens * sample->shape.n_inputs, sizeof(*inputs));
		assert_non_null(inputs);
		for (size_t i = 0; i < (size_t)n_tokens * sample->shape.n_inputs; i++)
			inputs[i] = (uint16_t)random_next(random);
	}
	sample->fired[chunk][layer] = fired;
	sample->inputs[chunk][layer] = inputs;
}

static void sample_init(struct sample *sample, uint64_t seed, uint32_t n_neurons, uint32_t n_inputs)
{
	struct random_state random;

	random_seed(&random, seed);
	memset(sample, 0, sizeof(*sample));
	sample->shape.n_layers = 1 + (uint32_t)random_below(&random, 3);
	sample->shape.n_neurons = n_neurons;
	sample->shape.n_inputs = n_inputs;
	sample->shape.model_id = random_next(&random);
	sample->n_chunks = 1 + (uint32_t)random_below(&random, 4);
	for (uint32_t chunk = 0; chunk < sample->n_chunks; chunk++) {
		sample->chunk_tokens[chunk] = 1 + (uint32_t)random_below(&random, 9);
		for (uint32_t layer = 0; layer < sample->shape.n_layers; layer++)
			fill_block(sample, &random, chunk, layer);
	}
}

static void sample_free(struct sample *sample)
{
	for (uint32_t chunk = 0; chunk < sample->n_chunks; chunk++)
		for (uint32_t layer = 0; layer < sample->shape.n_layers; layer++) {
			free(sample->fired[chunk][layer]);
			free(sample->inputs[chunk][layer]);
		}
}

static void write_sample(const struct sample *sample, const char *path)
{
	struct trace_writer *writer;
	struct error err;

	assert_ok(trace_writer_create(path, &sample->shape, &writer, &err), &err);
	for (uint32_t chunk = 0; chunk < sample->n_chunks; chunk++) {
		assert_ok(trace_writer_begin_chunk(writer, sample->chunk_tokens[chunk], &err),
			  &err);
		for (uint32_t layer = 0; layer < sample->shape.n_layers; layer++)
			assert_ok(trace_writer_layer(writer, layer, sample->fired[chunk][layer],
						     sample->inputs[chunk][layer], &err),
				  &err);
	}
	assert_int_equal(access(path, F_OK), -1);
	assert_ok(trace_writer_commit(writer, &err), &err);
}

static void assert_block(const struct trace *trace, const struct sample *sample, uint32_t chunk,
			 uint32_t layer)
{
	size_t fired_bytes = sample->chunk_tokens[chunk] * bits_words(sample->shape.n_neurons) *
			     sizeof(uint64_t);
	size_t input_bytes =
		(size_t)sample->chunk_tokens[chunk] * sample->shape.n_inputs * sizeof(uint16_t);
	uint64_t *fired = malloc(fired_bytes);
	uint16_t *inputs = input_bytes ? malloc(input_bytes) : NULL;
	struct error err;

	memset(fired, 0xff, fired_bytes);
	assert_ok(trace_read_layer(trace, chunk, layer, fired, NULL, &err), &err);
	assert_memory_equal(fired, sample->fired[chunk][layer], fired_bytes);
	assert_ok(trace_read_layer(trace, chunk, layer, NULL, inputs, &err), &err);
	if (inputs)
		assert_memory_equal(inputs, sample->inputs[chunk][layer], input_bytes);
	memset(fired, 0xff, fired_bytes);
	assert_ok(trace_read_layer(trace, chunk, layer, fired, inputs, &err), &err);
	assert_memory_equal(fired, sample->fired[chunk][layer], fired_bytes);
	free(fired);
	free(inputs);
}

static void assert_trace(const char *path, const struct sample *sample)
{
	struct trace *trace;
	struct error err;
	uint64_t n_tokens = 0;

	assert_ok(trace_open(path, &trace, &err), &err);
	assert_memory_equal(trace_get_shape(trace), &sample->shape, sizeof(sample->shape));
	assert_int_equal(trace_chunks(trace), sample->n_chunks);
	for (uint32_t chunk = 0; chunk < sample->n_chunks; chunk++) {
		assert_int_equal(trace_chunk_tokens(trace, chunk), sample->chunk_tokens[chunk]);
		n_tokens += sample->chunk_tokens[chunk];
		for (uint32_t layer = 0; layer < sample->shape.n_layers; layer++)
			assert_block(trace, sample, chunk, layer);
	}
	assert_int_equal(trace_tokens(trace), n_tokens);
	assert_true(trace_read_layer(trace, sample->n_chunks, 0, NULL, NULL, &err) < 0);
	assert_true(trace_read_layer(trace, 0, sample->shape.n_layers, NULL, NULL, &err) < 0);
	if (!sample->shape.n_inputs) {
		uint16_t input;

		assert_true(trace_read_layer(trace, 0, 0, NULL, &input, &err) < 0);
	}
	trace_close(trace);
}

static void what_is_written_is_read(void **state)
{
	static const uint32_t sizes[] = { 1, 63, 64, 65, 127, 130, 300, 20000 };
	char *folder = make_folder();
	char *path = path_in(folder, "a.trace");

	(void)state;
	for (uint64_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sample sample;

		sample_init(&sample, i, sizes[i / 2], i % 2 ? 0 : 1 + (uint32_t)i);
		write_sample(&sample, path);
		assert_trace(path, &sample);
		sample_free(&sample);
		unlink(path);
	}
	free(path);
	remove_folder(folder);
}

/* Open, and read every block; the first error, if any. */
static int read_all(const char *path, struct error *err)
{
	struct trace *trace;
	int ret = trace_open(path, &trace, err);

	if (ret < 0)
		return ret;
	for (uint32_t chunk = 0; ret == 0 && chunk < trace_chunks(trace); chunk++)
		for (uint32_t layer = 0; ret == 0 && layer < trace_get_shape(trace)->n_layers;
		     layer++) {
			size_t words = bits_words(trace_get_shape(trace)->n_neurons);
			uint64_t *fired =
				malloc(trace_chunk_tokens(trace, chunk) * words * sizeof(*fired));

			ret = trace_read_layer(trace, chunk, layer, fired, NULL, err);
			free(fired);
		}
	trace_close(trace);
	return ret;
}

/* With a message that names the file and contains `part`. */
static void assert_refused(const char *path, const char *part)
{
	struct error err = { 0 };

	assert_int_equal(read_all(path, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_ptr_equal(strstr(err.message, path), err.message);
	assert_says(&err, part);
}

/* A trace as bytes, to be changed, and where to put it. */
struct image {
	char *folder;
	char *path;
	uint8_t *bytes;
	size_t length;
};

static void image_init(struct image *image, uint32_t n_inputs)
{
	struct sample sample;

	sample_init(&sample, 4, 20, n_inputs);
	image->folder = make_folder();
	image->path = path_in(image->folder, "b.trace");
	write_sample(&sample, image->path);
	image->bytes = (uint8_t *)file_contents(image->path, &image->length);
	assert_true(sample.shape.n_layers > 1 && sample.n_chunks > 1);
	sample_free(&sample);
}

static void image_free(struct image *image)
{
	free(image->bytes);
	free(image->path);
	remove_folder(image->folder);
}

static void get_parts(const struct image *image, struct trace_header *header,
		      struct trace_block *block)
{
	memcpy(header, image->bytes, sizeof(*header));
	memcpy(block, image->bytes + header->index_offset + sizeof(uint64_t), sizeof(*block));
}

/* On opening, unless the flip is in a block. */
static void every_flip_is_refused(void **state)
{
	struct image image;
	struct trace_header header;
	struct trace_block block;
	struct error err;
	int fd;

	(void)state;
	image_init(&image, 3);
	assert_ok(read_all(image.path, &err), &err);
	get_parts(&image, &header, &block);
	fd = open(image.path, O_WRONLY);
	for (size_t bit = 0; bit < 8 * image.length; bit++) {
		uint8_t flipped = image.bytes[bit / 8] ^ (uint8_t)(1 << bit % 8);

		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)bit / 8), 1);
		assert_refused(image.path, "");
		if (bit / 8 < sizeof(header) || bit / 8 >= header.index_offset) {
			struct trace *trace;

			assert_int_equal(trace_open(image.path, &trace, &err), -EINVAL);
		}
		assert_int_equal(pwrite(fd, &image.bytes[bit / 8], 1, (off_t)bit / 8), 1);
	}
	close(fd);
	assert_ok(read_all(image.path, &err), &err);
	image_free(&image);
}

/* Already on opening. */
static void every_truncation_is_refused(void **state)
{
	struct image image;
	struct trace *trace;
	struct error err;

	(void)state;
	image_init(&image, 0);
	for (size_t length = image.length; length-- > 0;) {
		assert_int_equal(truncate(image.path, (off_t)length), 0);
		assert_int_equal(trace_open(image.path, &trace, &err), -EINVAL);
	}
	image.bytes = realloc(image.bytes, image.length + 1);
	image.bytes[image.length] = 0;
	write_file(image.path, image.bytes, image.length + 1);
	assert_refused(image.path, "truncated?");
	image_free(&image);
}

/* Make all checksums right, so that only the numbers themselves are wrong. */
static void seal(struct image *image, struct trace_header *header, struct trace_block *block)
{
	uint8_t *index = image->bytes + header->index_offset;

	/* The first block of the first chunk. */
	block->checksum = XXH3_64bits(image->bytes + sizeof(*header), block->length);
	memcpy(index + sizeof(uint64_t), block, sizeof(*block));
	header->index_checksum = XXH3_64bits(index, image->length - header->index_offset);
	header->header_checksum = XXH3_64bits(header, TRACE_HEADER_CHECKED_BYTES);
	memcpy(image->bytes, header, sizeof(*header));
	write_file(image->path, image->bytes, image->length);
}

/* Write the header with a right checksum and expect a message. */
static void assert_header_refused(struct image *image, struct trace_header header, const char *part)
{
	header.header_checksum = XXH3_64bits(&header, TRACE_HEADER_CHECKED_BYTES);
	memcpy(image->bytes, &header, sizeof(header));
	write_file(image->path, image->bytes, image->length);
	assert_refused(image->path, part);
}

static void made_up_headers_are_refused(void **state)
{
	struct image image;
	struct trace_header good, bad;
	struct trace_block block;

	(void)state;
	image_init(&image, 3);
	get_parts(&image, &good, &block);
#define ASSERT_REFUSED_WITH(field, value, part)           \
	do {                                              \
		bad = good;                               \
		bad.field = (value);                      \
		assert_header_refused(&image, bad, part); \
	} while (0)
	ASSERT_REFUSED_WITH(magic[0], 'C', "not a trace");
	ASSERT_REFUSED_WITH(version, 2, "version 2");
	ASSERT_REFUSED_WITH(n_layers, 0, "no model has 0 layers");
	ASSERT_REFUSED_WITH(n_layers, UINT32_MAX, "no model has");
	ASSERT_REFUSED_WITH(n_neurons, 0, "no model has");
	ASSERT_REFUSED_WITH(n_neurons, TRACE_MAX_NEURONS + 1, "no model has");
	ASSERT_REFUSED_WITH(n_inputs, UINT32_MAX, "no model has");
	ASSERT_REFUSED_WITH(n_inputs, TRACE_MAX_INPUTS, "no block has");
	ASSERT_REFUSED_WITH(n_layers, good.n_layers + 1, "the index at");
	ASSERT_REFUSED_WITH(n_chunks, 0, "the index at");
	ASSERT_REFUSED_WITH(n_chunks, good.n_chunks + (UINT64_C(1) << 32), "the index at");
	ASSERT_REFUSED_WITH(n_chunks, UINT64_MAX, "the index at");
	ASSERT_REFUSED_WITH(n_tokens, good.n_tokens + 1, "contradict");
	ASSERT_REFUSED_WITH(index_offset, 0, "is said to start");
	ASSERT_REFUSED_WITH(index_offset, UINT64_MAX, "is said to start");
	ASSERT_REFUSED_WITH(index_offset, image.length, "the index at");
#undef ASSERT_REFUSED_WITH
	image_free(&image);
}

static void made_up_indices_are_refused(void **state)
{
	static const struct {
		int64_t offset; /* added to what is there */
		int64_t length;
		int64_t tokens;
		const char *part;
	} changes[] = {
		{ 1, 0, 0, "no block has" },
		{ 0, 1, 0, "no block has" },
		{ 0, -1, 0, "no block has" },
		{ 0, INT64_MAX, 0, "no block has" },
		{ -72, 0, 0, "no block has" },
		{ 0, 0, 100, "no block has" },
		{ 0, 0, TRACE_CHUNK_TOKENS, "cannot have" },
		{ 0, 0, INT64_MAX, "cannot have" },
	};

	(void)state;
	for (size_t c = 0; c < sizeof(changes) / sizeof(changes[0]); c++) {
		struct image image;
		struct trace_header header;
		struct trace_block block;
		uint64_t length, tokens;

		image_init(&image, 0);
		get_parts(&image, &header, &block);
		memcpy(&tokens, image.bytes + header.index_offset, sizeof(tokens));
		tokens += (uint64_t)changes[c].tokens;
		memcpy(image.bytes + header.index_offset, &tokens, sizeof(tokens));
		length = block.length;
		block.offset += (uint64_t)changes[c].offset;
		seal(&image, &header, &block);
		block.length = length + (uint64_t)changes[c].length;
		memcpy(image.bytes + header.index_offset + sizeof(uint64_t), &block, sizeof(block));
		header.index_checksum = XXH3_64bits(image.bytes + header.index_offset,
						    image.length - header.index_offset);
		assert_header_refused(&image, header, changes[c].part);
		image_free(&image);
	}
}

/* Lengths that overflow, and only together add up to the right end. */
static void overflowing_lengths_are_refused(void **state)
{
	struct image image;
	struct trace_header header;
	struct trace_block blocks[2];
	uint8_t *first;

	(void)state;
	image_init(&image, 0);
	get_parts(&image, &header, &blocks[0]);
	first = image.bytes + header.index_offset + sizeof(uint64_t);
	memcpy(blocks, first, sizeof(blocks));
	blocks[0].length += UINT64_C(1) << 63;
	blocks[1].offset += UINT64_C(1) << 63;
	blocks[1].length += UINT64_C(1) << 63;
	memcpy(first, blocks, sizeof(blocks));
	header.index_checksum =
		XXH3_64bits(image.bytes + header.index_offset, image.length - header.index_offset);
	assert_header_refused(&image, header, "no block has");
	image_free(&image);
}

/* A trace of one token and 20 neurons whose only block is made up. */
static int read_made_up_block(const uint8_t *block, size_t length, struct error *err)
{
	const struct trace_shape shape = { .n_layers = 1, .n_neurons = 20 };
	const uint64_t everything = 0xfffff;
	char *folder = make_folder();
	struct image image = { .path = path_in(folder, "c.trace") };
	struct trace_writer *writer;
	struct trace_header header;
	struct trace_block entry;
	int ret;

	assert_ok(trace_writer_create(image.path, &shape, &writer, err), err);
	assert_ok(trace_writer_begin_chunk(writer, 1, err), err);
	assert_ok(trace_writer_layer(writer, 0, &everything, NULL, err), err);
	assert_ok(trace_writer_commit(writer, err), err);
	image.bytes = (uint8_t *)file_contents(image.path, &image.length);
	get_parts(&image, &header, &entry);
	assert_true(length <= entry.length);
	memcpy(image.bytes + sizeof(header), block, length);
	memmove(image.bytes + sizeof(header) + length, image.bytes + header.index_offset,
		image.length - header.index_offset);
	image.length -= entry.length - length;
	header.index_offset -= entry.length - length;
	entry.length = length;
	seal(&image, &header, &entry);
	ret = read_all(image.path, err);
	free(image.bytes);
	free(image.path);
	remove_folder(folder);
	return ret;
}

static void made_up_blocks_are_refused(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t length;
		bool good;
	} blocks[] = {
		{ { 0 }, 1, true },
		{ { 2, 0, 18 }, 3, true },
		{ { 2, 0, 19 }, 3, false }, /* neuron 20 */
		{ { 1, 20 }, 2, false },
		{ { 1, 0x94, 0 }, 3, false }, /* 20 with a needless byte */
		{ { 1, 0x80, 0 }, 3, false },
		{ { 1, 0xff, 0xff, 0x7f }, 4, false },
		{ { 1, 0xff, 0xff, 0xff, 0xff, 0x0f }, 6, false },
		{ { 2, 0 }, 2, false }, /* one missing */
		{ { 1 }, 1, false },
		{ { 1, 0x80 }, 2, false }, /* half a number */
		{ { 0xff, 0xff, 0x7f }, 3, false },
		{ { 1, 3, 0 }, 3, false }, /* one too many */
	};

	(void)state;
	for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
		struct error err = { 0 };
		int ret = read_made_up_block(blocks[b].bytes, blocks[b].length, &err);

		if (blocks[b].good) {
			assert_ok(ret, &err);
			continue;
		}
		assert_int_equal(ret, -EINVAL);
		assert_says(&err, "chunk 0, layer 0");
	}
}

static void a_wrong_call_is_refused(void **state)
{
	const struct trace_shape shape = { .n_layers = 2, .n_neurons = 70, .n_inputs = 1 };
	const struct trace_shape bad[] = {
		{ .n_layers = 0, .n_neurons = 1 },
		{ .n_layers = 1, .n_neurons = 0 },
		{ .n_layers = 1, .n_neurons = TRACE_MAX_NEURONS + 1 },
		{ .n_layers = 1, .n_neurons = 1, .n_inputs = TRACE_MAX_INPUTS + 1 },
	};
	const uint64_t fired[2] = { 1, 1 };
	const uint64_t stray[2] = { 1, 1 << 6 };
	const uint16_t input = 7;
	char *folder = make_folder();
	char *path = path_in(folder, "d.trace");
	struct trace_writer *writer;
	struct error err;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(trace_writer_create(path, &bad[i], &writer, &err), -EINVAL);
	assert_ok(trace_writer_create(path, &shape, &writer, &err), &err);
	assert_int_equal(trace_writer_layer(writer, 0, fired, &input, &err), -EINVAL);
	assert_int_equal(trace_writer_begin_chunk(writer, 0, &err), -EINVAL);
	assert_int_equal(trace_writer_begin_chunk(writer, TRACE_CHUNK_TOKENS + 1, &err), -EINVAL);
	assert_ok(trace_writer_begin_chunk(writer, 1, &err), &err);
	assert_int_equal(trace_writer_begin_chunk(writer, 1, &err), -EINVAL);
	assert_int_equal(trace_writer_layer(writer, 1, fired, &input, &err), -EINVAL);
	assert_int_equal(trace_writer_layer(writer, 0, fired, NULL, &err), -EINVAL);
	assert_int_equal(trace_writer_layer(writer, 0, stray, &input, &err), -EINVAL);
	assert_ok(trace_writer_layer(writer, 0, fired, &input, &err), &err);
	assert_int_equal(trace_writer_layer(writer, 0, fired, &input, &err), -EINVAL);
	/* Layer 1 is missing. */
	assert_int_equal(trace_writer_commit(writer, &err), -EINVAL);
	assert_ok(trace_writer_create(path, &shape, &writer, &err), &err);
	/* No token. */
	assert_int_equal(trace_writer_commit(writer, &err), -EINVAL);
	assert_ok(trace_writer_create(path, &shape, &writer, &err), &err);
	trace_writer_abort(writer);
	/* None of this left a file, not even a temporary one: the folder is empty. */
	free(path);
	assert_int_equal(rmdir(folder), 0);
	free(folder);
}

static void unseen_chunks_are_spread(void **state)
{
	static const uint32_t counts[] = { 1, 2, 3, 5, 9, 10, 11, 20, 57 };
	const struct trace_shape shape = { .n_layers = 1, .n_neurons = 1 };
	const uint64_t fired = 1;
	char *folder = make_folder();
	char *path = path_in(folder, "e.trace");

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t n_chunks = counts[i];
		struct trace_writer *writer;
		struct trace *trace;
		struct error err;
		uint32_t n_unseen = 0;

		assert_ok(trace_writer_create(path, &shape, &writer, &err), &err);
		for (uint32_t chunk = 0; chunk < n_chunks; chunk++) {
			assert_ok(trace_writer_begin_chunk(writer, 1, &err), &err);
			assert_ok(trace_writer_layer(writer, 0, &fired, NULL, &err), &err);
		}
		assert_ok(trace_writer_commit(writer, &err), &err);
		assert_ok(trace_open(path, &trace, &err), &err);
		for (uint32_t chunk = 0; chunk < n_chunks; chunk++)
			n_unseen += trace_chunk_unseen(trace, chunk);
		if (n_chunks <= TRACE_UNSEEN_EVERY)
			assert_int_equal(n_unseen, n_chunks > 1);
		else
			assert_in_range(n_unseen, n_chunks / TRACE_UNSEEN_EVERY,
					n_chunks / TRACE_UNSEEN_EVERY + 1);
		trace_close(trace);
	}
	free(path);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_call_is_refused),
		cmocka_unit_test(every_flip_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(made_up_blocks_are_refused),
		cmocka_unit_test(made_up_headers_are_refused),
		cmocka_unit_test(made_up_indices_are_refused),
		cmocka_unit_test(overflowing_lengths_are_refused),
		cmocka_unit_test(unseen_chunks_are_spread),
		cmocka_unit_test(what_is_written_is_read),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
