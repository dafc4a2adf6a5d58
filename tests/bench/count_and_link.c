// SPDX-License-Identifier: GPL-2.0-only
/*
 * count_and_link SHAPE TOKENS [LAYERS [THREADS]]: how long placing takes, layer by layer of
 * synthetic activations of a shape (Documentation/synthetic.rst): of all its layers, or of so
 * many that are spread over it. The tokens of a layer are in a trace without a name, in
 * TMPDIR or /tmp, which is made anew for each layer. Prints one JSON object; seconds are of
 * all layers together:
 *
 *   decode	reading the trace, by all threads, and nothing else
 *   count	counting pairs of tokens that are in memory
 *   search	linking
 *   total	what `colink place` does: counting from the trace, then linking
 *   total_cpu	the same of all threads, which other programs disturb less
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"
#include "placement/coactivation.h"
#include "placement/count_kernels.h"
#include "placement/order.h"
#include "synth/shape.h"

#define CHUNK_TOKENS 512
#define SEED 1

struct seconds {
	double decode, count, search, total, total_cpu;
};

struct bench {
	const struct model_shape *shape;
	uint32_t n_tokens, n_layers;
	struct thread_pool *pool;
	char *path; /* of the trace */
	struct seconds seconds;
};

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int draw_chunk(struct synth_layer *layer, struct trace_writer *writer, uint32_t n_tokens,
		      size_t words, uint64_t *fired, struct error *err)
{
	int ret = trace_writer_begin_chunk(writer, n_tokens, err);

	for (uint32_t token = 0; token < n_tokens; token++)
		synth_layer_next(layer, fired + token * words);
	return ret < 0 ? ret : trace_writer_layer(writer, 0, fired, NULL, err);
}

static int draw_trace(const struct bench *bench, struct synth_layer *layer, struct error *err)
{
	const struct trace_shape shape = { .n_layers = 1, .n_neurons = bench->shape->n_ffn };
	size_t words = bits_words(shape.n_neurons);
	uint64_t *fired = malloc(CHUNK_TOKENS * words * sizeof(*fired));
	struct trace_writer *writer;
	int ret = fired ? 0 : error_no_memory(err, "tokens");

	if (ret == 0)
		ret = trace_writer_create(bench->path, &shape, &writer, err);
	if (ret == 0) {
		for (uint32_t t = 0; ret == 0 && t < bench->n_tokens; t += CHUNK_TOKENS) {
			uint32_t rest = bench->n_tokens - t;

			ret = draw_chunk(layer, writer, rest < CHUNK_TOKENS ? rest : CHUNK_TOKENS,
					 words, fired, err);
		}
		if (ret == 0)
			ret = trace_writer_commit(writer, err);
		else
			trace_writer_abort(writer);
	}
	free(fired);
	return ret;
}

struct decoding {
	const struct trace *trace;
	size_t words;
};

static void decode(void *arg, size_t begin, size_t end)
{
	const struct decoding *decoding = arg;
	uint64_t *fired = malloc(CHUNK_TOKENS * decoding->words * sizeof(*fired));
	struct error err;

	for (size_t chunk = begin; chunk < end; chunk++)
		if (!fired || trace_read_layer(decoding->trace, (uint32_t)chunk, 0, fired, NULL,
					       &err) < 0)
			abort();
	free(fired);
}

static int time_apart(struct bench *bench, const struct trace *trace, struct error *err)
{
	struct decoding decoding = { trace, bits_words(bench->shape->n_ffn) };
	struct coactivation coactivation;
	struct activity activity;
	double start = clock_ms();
	int ret;

	thread_pool_run(bench->pool, trace_chunks(trace), 1, decode, &decoding);
	bench->seconds.decode += (clock_ms() - start) / 1000;
	ret = activity_load(trace, 0, ACTIVITY_ALL, &activity, err);
	if (ret < 0)
		return ret;
	start = clock_ms();
	ret = coactivation_count(&activity, bench->pool, &coactivation, err);
	bench->seconds.count += (clock_ms() - start) / 1000;
	activity_free(&activity);
	if (ret == 0)
		coactivation_free(&coactivation);
	return ret;
}

static int time_together(struct bench *bench, const struct trace *trace, struct error *err)
{
	uint32_t *order = malloc(bench->shape->n_ffn * sizeof(*order));
	struct coactivation coactivation;
	double start = clock_ms(), cpu_start = cpu_ms(), counted;
	int ret = order ? 0 : error_no_memory(err, "an order");

	if (ret == 0)
		ret = coactivation_count_trace(trace, 0, ACTIVITY_ALL, bench->pool, &coactivation,
					       err);
	if (ret == 0) {
		counted = clock_ms();
		ret = order_linked(&coactivation, order, err);
		bench->seconds.search += (clock_ms() - counted) / 1000;
		coactivation_free(&coactivation);
	}
	bench->seconds.total += (clock_ms() - start) / 1000;
	bench->seconds.total_cpu += (cpu_ms() - cpu_start) / 1000;
	free(order);
	return ret;
}

static int time_layer(struct bench *bench, uint32_t index, struct error *err)
{
	struct synth_parameters parameters = model_shape_layer(bench->shape, index);
	struct synth_layer *layer;
	struct trace *trace;
	int ret = synth_layer_create(bench->shape->n_ffn, &parameters, false, SEED + index, &layer,
				     err);

	if (ret < 0)
		return ret;
	ret = draw_trace(bench, layer, err);
	synth_layer_free(layer);
	if (ret == 0)
		ret = trace_open(bench->path, &trace, err);
	if (ret < 0)
		return ret;
	unlink(bench->path);
	ret = time_apart(bench, trace, err);
	if (ret == 0)
		ret = time_together(bench, trace, err);
	trace_close(trace);
	return ret;
}

static void print(const struct bench *bench)
{
	printf("{ \"shape\": \"%s\", \"neurons\": %u, \"tokens\": %u, \"layers\": %u, "
	       "\"threads\": %u, \"kernel\": \"%s\", \"seed\": %d,\n"
	       "  \"seconds\": { \"decode\": %.3f, \"count\": %.3f, \"search\": %.3f, "
	       "\"total\": %.3f, \"total_cpu\": %.3f } }\n",
	       bench->shape->name, bench->shape->n_ffn, bench->n_tokens, bench->n_layers,
	       thread_pool_size(bench->pool), count_kernel_best()->name, SEED,
	       bench->seconds.decode, bench->seconds.count, bench->seconds.search,
	       bench->seconds.total, bench->seconds.total_cpu);
}

static int run(struct bench *bench, unsigned int threads, struct error *err)
{
	const char *folder = getenv("TMPDIR");
	int ret;

	if (asprintf(&bench->path, "%s/count_and_link-%d.trace", folder ? folder : "/tmp",
		     (int)getpid()) < 0)
		return error_no_memory(err, "a name");
	ret = thread_pool_create(threads, &bench->pool, err);
	for (uint32_t layer = 0; ret == 0 && layer < bench->n_layers; layer++)
		ret = time_layer(bench, (2 * layer + 1) * bench->shape->n_layers /
						(2 * bench->n_layers), err);
	if (ret == 0)
		print(bench);
	thread_pool_destroy(bench->pool);
	free(bench->path);
	return ret;
}

int main(int argc, char **argv)
{
	struct bench bench = { .shape = argc >= 3 ? model_shape_find(argv[1]) : NULL };
	struct error err = { 0 };
	int ret;

	if (!bench.shape || argc > 5 || atoi(argv[2]) < 1) {
		fprintf(stderr, "usage: count_and_link SHAPE TOKENS [LAYERS [THREADS]]\n");
		return 2;
	}
	bench.n_tokens = (uint32_t)atoi(argv[2]);
	bench.n_layers = argc > 3 ? (uint32_t)atoi(argv[3]) : bench.shape->n_layers;
	ret = run(&bench, argc > 4 ? (unsigned int)atoi(argv[4]) : 0, &err);
	if (ret < 0)
		fprintf(stderr, "count_and_link: %s\n", err.message);
	return ret < 0;
}
