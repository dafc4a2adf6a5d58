// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing a trace. Blocks are encoded in memory, one at a time, and appended; the
 * index grows in memory (24 bytes per block) and is appended by the commit, which
 * then fills in the header. trace_format.h has the bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/file.h"
#include "placement/trace.h"
#include "placement/trace_format.h"

struct buffer {
	uint8_t *bytes;
	size_t used;
	size_t room;
};

struct trace_writer {
	struct output_file *file;
	char *path;
	struct trace_shape shape;
	uint64_t n_tokens;
	uint32_t n_chunks;
	uint32_t chunk_tokens; /* of the current chunk */
	uint32_t next_layer;   /* n_layers: no chunk is under way */
	bool failed;	       /* what was written is not a whole trace any more */
	struct buffer block;   /* the block being encoded */
	struct buffer index;
};

/* Make room for `more` bytes; what is there stays. */
static int buffer_reserve(struct buffer *buffer, size_t more, const char *path, struct error *err)
{
	size_t room = buffer->room ? buffer->room : 4096;
	uint8_t *bytes;

	if (buffer->room - buffer->used >= more)
		return 0;
	while (room - buffer->used < more)
		room *= 2;
	bytes = realloc(buffer->bytes, room);
	if (!bytes)
		return error_no_memory(err, path);
	buffer->bytes = bytes;
	buffer->room = room;
	return 0;
}

/* There must be room. */
static void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	memcpy(buffer->bytes + buffer->used, data, length);
	buffer->used += length;
}

static void buffer_append_leb128(struct buffer *buffer, size_t value)
{
	for (; value >= 0x80; value >>= 7)
		buffer->bytes[buffer->used++] = (uint8_t)(value | 0x80);
	buffer->bytes[buffer->used++] = (uint8_t)value;
}

static void writer_free(struct trace_writer *writer)
{
	output_file_abort(writer->file);
	free(writer->block.bytes);
	free(writer->index.bytes);
	free(writer->path);
	free(writer);
}

static int check_shape(const char *path, const struct trace_shape *shape, struct error *err)
{
	if (shape->n_layers == 0 || shape->n_layers > TRACE_MAX_LAYERS)
		return error_set(err, -EINVAL, "%s: cannot trace %u layers (1 to %u)", path,
				 shape->n_layers, TRACE_MAX_LAYERS);
	if (shape->n_neurons == 0 || shape->n_neurons > TRACE_MAX_NEURONS)
		return error_set(err, -EINVAL, "%s: cannot trace %u neurons per layer (1 to %u)",
				 path, shape->n_neurons, TRACE_MAX_NEURONS);
	if (shape->n_inputs > TRACE_MAX_INPUTS)
		return error_set(err, -EINVAL, "%s: cannot trace inputs of length %u (up to %u)",
				 path, shape->n_inputs, TRACE_MAX_INPUTS);
	return 0;
}

int trace_writer_create(const char *path, const struct trace_shape *shape,
			struct trace_writer **result, struct error *err)
{
	struct trace_writer *writer;
	int ret;

	ret = check_shape(path, shape, err);
	if (ret < 0)
		return ret;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_no_memory(err, path);
	writer->shape = *shape;
	writer->next_layer = shape->n_layers;
	writer->path = strdup(path);
	if (!writer->path) {
		ret = error_no_memory(err, path);
		goto fail;
	}
	ret = output_file_create(path, &writer->file, err);
	if (ret < 0)
		goto fail;
	ret = output_file_pad_to(writer->file, sizeof(struct trace_header), err);
	if (ret < 0)
		goto fail;
	*result = writer;
	return 0;
fail:
	writer_free(writer);
	return ret;
}

int trace_writer_begin_chunk(struct trace_writer *writer, uint32_t n_tokens, struct error *err)
{
	uint64_t stored_tokens = n_tokens;
	int ret;

	if (writer->next_layer != writer->shape.n_layers)
		return error_set(err, -EINVAL, "%s: layer %u of chunk %u is missing", writer->path,
				 writer->next_layer, writer->n_chunks - 1);
	if (n_tokens == 0 || n_tokens > TRACE_CHUNK_TOKENS)
		return error_set(err, -EINVAL, "%s: a chunk cannot have %u tokens (1 to %u)",
				 writer->path, n_tokens, TRACE_CHUNK_TOKENS);
	if (writer->n_chunks == UINT32_MAX)
		return error_set(err, -EFBIG, "%s: more chunks than a trace can have",
				 writer->path);
	ret = buffer_reserve(&writer->index, trace_index_entry_bytes(writer->shape.n_layers),
			     writer->path, err);
	if (ret < 0)
		return ret;
	buffer_append(&writer->index, &stored_tokens, sizeof(stored_tokens));
	writer->chunk_tokens = n_tokens;
	writer->n_tokens += n_tokens;
	writer->n_chunks++;
	writer->next_layer = 0;
	return 0;
}

static int encode_token(struct trace_writer *writer, const uint64_t *fired, struct error *err)
{
	size_t n = writer->shape.n_neurons;
	size_t count = bits_count(fired, bits_words(n));
	size_t after_last = 0;
	int ret;

	if (n % 64 && fired[n / 64] >> (n % 64))
		return error_set(err, -EINVAL, "%s: a neuron at or above %zu has fired",
				 writer->path, n);
	ret = buffer_reserve(&writer->block, (1 + count) * TRACE_LEB128_BYTES, writer->path, err);
	if (ret < 0)
		return ret;
	buffer_append_leb128(&writer->block, count);
	for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1)) {
		buffer_append_leb128(&writer->block, i - after_last);
		after_last = i + 1;
	}
	return 0;
}

static int encode_block(struct trace_writer *writer, const uint64_t *fired, const uint16_t *inputs,
			struct error *err)
{
	size_t words = bits_words(writer->shape.n_neurons);
	size_t input_bytes =
		(size_t)writer->chunk_tokens * writer->shape.n_inputs * sizeof(*inputs);
	int ret;

	writer->block.used = 0;
	for (uint32_t t = 0; t < writer->chunk_tokens; t++) {
		ret = encode_token(writer, fired + t * words, err);
		if (ret < 0)
			return ret;
	}
	if (!input_bytes)
		return 0;
	ret = buffer_reserve(&writer->block, input_bytes, writer->path, err);
	if (ret < 0)
		return ret;
	buffer_append(&writer->block, inputs, input_bytes);
	return 0;
}

int trace_writer_layer(struct trace_writer *writer, uint32_t layer, const uint64_t *fired,
		       const uint16_t *inputs, struct error *err)
{
	struct trace_block block;
	int ret;

	if (layer != writer->next_layer || layer == writer->shape.n_layers)
		return error_set(err, -EINVAL, "%s: layer %u is written out of order", writer->path,
				 layer);
	if (!inputs != !writer->shape.n_inputs)
		return error_set(err, -EINVAL, "%s: layer %u has %s input vectors", writer->path,
				 layer, inputs ? "unexpected" : "no");
	ret = encode_block(writer, fired, inputs, err);
	if (ret < 0)
		return ret;
	block.offset = output_file_size(writer->file);
	block.length = writer->block.used;
	block.checksum = XXH3_64bits(writer->block.bytes, writer->block.used);
	ret = output_file_write(writer->file, writer->block.bytes, writer->block.used, err);
	if (ret < 0) {
		writer->failed = true;
		return ret;
	}
	/* trace_writer_begin_chunk() made room for all layers. */
	buffer_append(&writer->index, &block, sizeof(block));
	writer->next_layer++;
	return 0;
}

static int write_index_and_header(struct trace_writer *writer, struct error *err)
{
	struct trace_header header = {
		.version = TRACE_VERSION,
		.n_layers = writer->shape.n_layers,
		.n_neurons = writer->shape.n_neurons,
		.n_inputs = writer->shape.n_inputs,
		.model_id = writer->shape.model_id,
		.n_tokens = writer->n_tokens,
		.n_chunks = writer->n_chunks,
		.index_offset = output_file_size(writer->file),
		.index_checksum = XXH3_64bits(writer->index.bytes, writer->index.used),
	};
	int ret;

	memcpy(header.magic, TRACE_MAGIC, sizeof(header.magic));
	header.header_checksum = XXH3_64bits(&header, TRACE_HEADER_CHECKED_BYTES);
	ret = output_file_write(writer->file, writer->index.bytes, writer->index.used, err);
	if (ret < 0)
		return ret;
	return output_file_rewrite(writer->file, 0, &header, sizeof(header), err);
}

int trace_writer_commit(struct trace_writer *writer, struct error *err)
{
	struct output_file *file;
	int ret;

	if (writer->failed)
		ret = error_set(err, -EIO, "%s: an earlier write failed", writer->path);
	else if (writer->n_chunks == 0)
		ret = error_set(err, -EINVAL, "%s: a trace without tokens is of no use",
				writer->path);
	else if (writer->next_layer != writer->shape.n_layers)
		ret = error_set(err, -EINVAL, "%s: layer %u of the last chunk is missing",
				writer->path, writer->next_layer);
	else
		ret = write_index_and_header(writer, err);
	if (ret < 0)
		goto out;
	file = writer->file;
	writer->file = NULL;
	ret = output_file_commit(file, err);
out:
	writer_free(writer);
	return ret;
}

void trace_writer_abort(struct trace_writer *writer)
{
	if (writer)
		writer_free(writer);
}
