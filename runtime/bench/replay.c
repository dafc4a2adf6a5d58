// SPDX-License-Identifier: GPL-2.0-only
/* Follow one token: replay_token() -> attention() -> request() -> consume(). */
#include "bench/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/clock.h"

/* The smallest page there is: a word of each is a word of every larger one. */
#define PAGE_BYTES 4096

struct replaying {
	const struct replay *replay;
	struct bundle_store *store;
	uint32_t token; /* of the slots */
	struct replay_result *result;
};

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* As long as computing would take, by the CPU's clock: who is not on a CPU computes nothing. */
static void spin(uint64_t ns)
{
	uint64_t begin;

	if (!ns)
		return;
	begin = cpu_ns();
	while (cpu_ns() - begin < ns)
		;
}

/* A permutation of 64 bits in which each depends on all (the end of splitmix64). */
static uint64_t mixed(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/* Up to eight bytes; of a bundle that is smaller, all. */
static uint64_t word_at(const struct replay *replay, const uint8_t *bundle, uint32_t offset)
{
	uint32_t left = replay->stride - offset;
	uint64_t word = 0;

	memcpy(&word, bundle + offset, left < sizeof(word) ? left : sizeof(word));
	return word;
}

/* `key` says whose bundle it is. */
static uint64_t bundle_sum(const struct replay *replay, const uint8_t *bundle, uint64_t key)
{
	uint32_t last = replay->stride > sizeof(uint64_t) ? replay->stride - sizeof(uint64_t) : 0;
	uint64_t sum = mixed(key);

	for (uint32_t offset = 0; offset < last; offset += PAGE_BYTES)
		sum = mixed(sum ^ word_at(replay, bundle, offset));
	return mixed(sum ^ word_at(replay, bundle, last));
}

/* Bundles come in order of slots; a sum of sums that know their neuron is the same in any. */
static void consume_window(struct replaying *replaying, uint32_t layer,
			   const struct bundle_window *window)
{
	const struct replay *replay = replaying->replay;
	uint64_t n = replay->slots.n_slots;
	const uint32_t *neuron = &replay->neuron[layer * n];
	uint64_t token = (uint64_t)replay->first + replaying->token;
	uint64_t key = (token * replay->slots.n_layers + layer) * n;

	for (uint32_t i = 0; i < window->count; i++)
		replaying->result->checksum +=
			bundle_sum(replay, (const uint8_t *)window->bundles[i],
				   key + neuron[window->slots[i]]);
	replaying->result->wanted_bundles += window->count;
}

/* Reads are kept going within attention twice, as a session does. */
static void attention(const struct replaying *replaying)
{
	uint64_t quarter_ns = (uint64_t)replaying->replay->compute_us * 1000 / 4;

	for (int i = 0; i < 2; i++) {
		spin(quarter_ns);
		bundle_store_advance(replaying->store);
	}
}

static int request(const struct replaying *replaying, uint32_t layer, struct error *err)
{
	const uint64_t *wanted =
		token_slots_of(&replaying->replay->slots, replaying->token, layer);

	return bundle_store_request(replaying->store, layer, wanted, err);
}

static int consume(struct replaying *replaying, uint32_t layer, struct error *err)
{
	struct bundle_window window;
	int ret;

	while ((ret = bundle_store_next(replaying->store, layer, &window, err)) > 0)
		consume_window(replaying, layer, &window);
	spin((uint64_t)replaying->replay->compute_us * 1000 / 2);
	bundle_store_advance(replaying->store);
	return ret;
}

static int replay_token(struct replaying *replaying, struct error *err)
{
	uint32_t n_layers = replaying->replay->slots.n_layers;
	int ret = 0;

	for (uint32_t layer = 0; ret == 0 && layer < n_layers; layer++) {
		attention(replaying);
		if (layer == 0)
			ret = request(replaying, 0, err);
		if (ret == 0 && layer + 1 < n_layers)
			ret = request(replaying, layer + 1, err);
		if (ret == 0)
			ret = consume(replaying, layer, err);
	}
	return ret;
}

int replay_run(const struct replay *replay, struct bundle_store *store,
	       struct replay_result *result, struct error *err)
{
	struct replaying replaying = { .replay = replay, .store = store, .result = result };
	double begin = clock_ms();
	int ret = 0;

	*result = (struct replay_result){ 0 };
	for (; ret == 0 && replaying.token < replay->slots.n_tokens; replaying.token++)
		ret = replay_token(&replaying, err);
	result->seconds = (clock_ms() - begin) / 1e3;
	return ret;
}

int replay_tokens(const struct model_file *file, const struct trace *trace,
		  const char *trace_path, const struct replay_options *options, uint32_t *tokens,
		  struct error *err)
{
	uint64_t there = trace_tokens(trace);
	uint64_t left = there > options->skip ? there - options->skip : 0;
	int ret = token_slots_check(file, trace, trace_path, err);

	if (ret < 0)
		return ret;
	*tokens = options->tokens;
	if (!options->tokens)
		*tokens = left < REPLAY_DEFAULT_TOKENS ? (uint32_t)left : REPLAY_DEFAULT_TOKENS;
	if (left && *tokens <= left)
		return 0;
	return error_set(err, -ERANGE, "%s: has %llu tokens, not %llu; ask for fewer, or skip fewer",
			 trace_path, (unsigned long long)there,
			 (unsigned long long)options->skip + (*tokens ? *tokens : 1));
}

uint64_t replay_bytes(const struct trace *trace, uint32_t tokens)
{
	const struct trace_shape *shape = trace_get_shape(trace);
	uint64_t sets = (uint64_t)tokens * shape->n_layers + TRACE_CHUNK_TOKENS;
	uint64_t neurons = ((uint64_t)shape->n_layers + 2) * shape->n_neurons;

	return sets * bits_words(shape->n_neurons) * sizeof(uint64_t) +
	       neurons * sizeof(uint32_t) + trace_largest_block(trace);
}

static int read_neurons(const struct model_file *file, struct replay *replay, struct error *err)
{
	size_t n = file->config.n_ffn;
	int ret = 0;

	replay->neuron = calloc(file->config.n_layers, n * sizeof(*replay->neuron));
	if (!replay->neuron)
		return error_no_memory(err, "the neurons of slots");
	for (uint32_t layer = 0; ret == 0 && layer < file->config.n_layers; layer++)
		ret = model_file_read(file, model_file_find(file, MODEL_HINT_NEURON, layer),
				      replay->neuron + layer * n, err);
	return ret;
}

int replay_read(const struct model_file *file, const struct trace *trace, const char *trace_path,
		const struct replay_options *options, uint32_t tokens, struct replay *replay,
		struct error *err)
{
	int ret;

	*replay = (struct replay){
		.stride = model_bundle_stride(&file->config),
		.first = options->skip,
		.compute_us = options->compute_us,
	};
	ret = token_slots_read(file, trace, trace_path, options->skip, tokens, &replay->slots, err);
	if (ret == 0)
		ret = read_neurons(file, replay, err);
	if (ret < 0)
		replay_free(replay);
	return ret;
}

void replay_free(struct replay *replay)
{
	token_slots_free(&replay->slots);
	free(replay->neuron);
	replay->neuron = NULL;
}
