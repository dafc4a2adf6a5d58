// SPDX-License-Identifier: GPL-2.0-only
#include "synth/synth_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/bits.h"
#include "placement/trace.h"

struct generator {
	const struct synth_trace_options *options;
	struct synth_layer **layers; /* (n_layers) */
	uint64_t *fired; /* (TRACE_CHUNK_TOKENS, bits_words(n_ffn)) */
};

uint64_t synth_model_id(const struct model_shape *shape, uint64_t seed)
{
	return XXH3_64bits_withSeed(shape->name, strlen(shape->name), seed);
}

static void close_generator(struct generator *generator)
{
	for (uint32_t layer = 0; generator->layers && layer < generator->options->shape->n_layers;
	     layer++)
		synth_layer_free(generator->layers[layer]);
	free(generator->layers);
	free(generator->fired);
}

static int open_generator(const struct synth_trace_options *options, struct generator *generator,
			  struct error *err)
{
	const struct model_shape *shape = options->shape;
	struct random_state seeds;
	int ret = 0;

	*generator = (struct generator){
		.options = options,
		.layers = calloc(shape->n_layers, sizeof(*generator->layers)),
		.fired = malloc(TRACE_CHUNK_TOKENS * bits_words(shape->n_ffn) *
				sizeof(*generator->fired)),
	};
	if (!generator->layers || !generator->fired)
		ret = error_no_memory(err, "the layers of a trace");
	random_seed(&seeds, options->seed);
	for (uint32_t layer = 0; ret == 0 && layer < shape->n_layers; layer++) {
		const struct synth_parameters parameters = model_shape_layer(shape, layer);

		ret = synth_layer_create(shape->n_ffn, &parameters, options->independent,
					 random_next(&seeds), &generator->layers[layer], err);
		for (uint64_t token = 0; ret == 0 && token < options->skip; token++)
			synth_layer_next(generator->layers[layer], generator->fired);
	}
	if (ret < 0)
		close_generator(generator);
	return ret;
}

static int write_chunk(struct generator *generator, uint32_t n_tokens, struct trace_writer *writer,
		       struct error *err)
{
	const struct model_shape *shape = generator->options->shape;
	const size_t words = bits_words(shape->n_ffn);
	int ret = trace_writer_begin_chunk(writer, n_tokens, err);

	for (uint32_t layer = 0; ret == 0 && layer < shape->n_layers; layer++) {
		for (uint32_t token = 0; token < n_tokens; token++)
			synth_layer_next(generator->layers[layer],
					 generator->fired + token * words);
		ret = trace_writer_layer(writer, layer, generator->fired, NULL, err);
	}
	return ret;
}

/*
 * Chunks are cut so that there are unseen ones (trace_chunk_unseen()) in a short trace, too:
 * at least two for each that is kept away.
 */
static uint32_t chunk_tokens(uint64_t tokens)
{
	const uint64_t part = (tokens + 2 * TRACE_UNSEEN_EVERY - 1) / (2 * TRACE_UNSEEN_EVERY);

	return part < TRACE_CHUNK_TOKENS ? (uint32_t)part : TRACE_CHUNK_TOKENS;
}

static int write_chunks(struct generator *generator, struct trace_writer *writer,
			struct progress *progress, struct error *err)
{
	const uint64_t tokens = generator->options->tokens;
	const uint32_t most = chunk_tokens(tokens);
	int ret = 0;

	for (uint64_t done = 0; ret == 0 && done < tokens;) {
		const uint32_t n = tokens - done < most ? (uint32_t)(tokens - done) : most;

		ret = write_chunk(generator, n, writer, err);
		done += n;
		progress_report(progress, (double)done, (double)tokens);
	}
	return ret;
}

int synth_trace_write(const char *path, const struct synth_trace_options *options,
		      struct progress *progress, struct error *err)
{
	const struct model_shape *model = options->shape;
	const struct trace_shape shape = {
		.n_layers = model->n_layers,
		.n_neurons = model->n_ffn,
		.model_id = synth_model_id(model, options->seed),
	};
	struct generator generator;
	struct trace_writer *writer;
	int ret;

	if (!options->tokens)
		return error_set(err, -EINVAL, "a trace of no tokens");
	ret = open_generator(options, &generator, err);
	if (ret < 0)
		return ret;
	ret = trace_writer_create(path, &shape, &writer, err);
	if (ret == 0) {
		ret = write_chunks(&generator, writer, progress, err);
		if (ret == 0)
			ret = trace_writer_commit(writer, err);
		else
			trace_writer_abort(writer);
	}
	close_generator(&generator);
	return ret;
}
