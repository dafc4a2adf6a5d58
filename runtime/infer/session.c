// SPDX-License-Identifier: GPL-2.0-only
/* One token: session_forward() -> embed() -> attention_block(), ffn_block() -> session_logits(). */
#include "infer/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/bits.h"
#include "infer/attention.h"
#include "infer/ffn.h"
#include "infer/model_store.h"
#include "infer/predict.h"
#include "infer/rope.h"

struct session {
	const struct model *model;
	enum session_mode mode;
	struct compute compute;
	struct bundle_store *store;
	struct session_observer *observer;
	uint32_t max_tokens;
	uint32_t max_batch;
	uint32_t position; /* tokens before the current batch */
	uint32_t n_batch; /* tokens of the last batch */

	/* B: max_batch, P: max_tokens, d: d_model, kv: model_kv_width(), W: bits_words(n_ffn) */
	float *memory; /* behind all the floats below */
	float *keys; /* (n_layers, P, kv); as turned, where positions are rotary */
	float *values; /* (n_layers, P, kv) */
	float *x; /* (B, d): the residual stream */
	float *normed; /* (B, d) */
	float *queries; /* (B, d) */
	float *mixed; /* (B, d): what attention or FFN adds */
	float *embedded; /* (B, d_embed) */
	float *turns; /* (B, model_head_width()): rotary positions of the batch */
	float *scores; /* (B, n_heads, P) */
	float *predictor_scratch;
	uint64_t *bits; /* behind the sets below */
	uint64_t *wanted[2]; /* (B, W): of even and odd layers */
	uint64_t *wanted_by_any; /* (W) */
	uint64_t *fired; /* (B, W) */
	struct ffn_scratch *ffn_scratch;
};

/* `count` floats after those already used; NULL while only the size is asked for. */
static float *take(float *base, uint64_t *used, uint64_t count)
{
	float *taken = base ? base + *used : NULL;

	*used = amount_sum(*used, amount_round_up(count, 16)); /* 64-byte steps */
	return taken;
}

static bool has_rotary_positions(const struct model_config *config)
{
	return config->rope_theta > 0;
}

/* Floats of keys, and of values. */
static uint64_t positions_size(const struct session *session)
{
	const struct model_config *config = &session->model->config;
	uint64_t of_layer = (uint64_t)session->max_tokens * model_kv_width(config);

	return amount_round_up(amount_product(config->n_layers, of_layer), 16);
}

/* Called twice: with base NULL for the size, then to place the arrays. Returns floats used. */
static uint64_t place_arrays(struct session *session, float *base)
{
	const struct model_config *config = &session->model->config;
	uint64_t batch = session->max_batch, d = config->d_model;
	uint64_t turns = has_rotary_positions(config) ? batch * model_head_width(config) : 0;
	uint64_t scores = amount_product(batch * config->n_heads, session->max_tokens);
	uint64_t used = 0;

	session->keys = take(base, &used, positions_size(session));
	session->values = take(base, &used, positions_size(session));
	session->x = take(base, &used, batch * d);
	session->normed = take(base, &used, batch * d);
	session->queries = take(base, &used, batch * d);
	session->mixed = take(base, &used, batch * d);
	session->embedded = take(base, &used, batch * config->d_embed);
	session->turns = take(base, &used, turns);
	session->scores = take(base, &used, scores);
	session->predictor_scratch = take(base, &used, predict_scratch_size(config, batch));
	return used;
}

static uint64_t floats_bytes(struct session *session)
{
	return amount_product(place_arrays(session, NULL), sizeof(float));
}

/* Words of one set for each token of a batch. */
static uint64_t set_words(const struct session *session)
{
	return (uint64_t)session->max_batch * bits_words(session->model->config.n_ffn);
}

static uint64_t bits_bytes(const struct session *session)
{
	uint64_t words = 3 * set_words(session) + bits_words(session->model->config.n_ffn);

	return words * sizeof(session->bits[0]);
}

static int allocate(struct session *session, struct error *err)
{
	uint64_t bytes = floats_bytes(session), set = set_words(session);

	session->memory = bytes <= PTRDIFF_MAX ? aligned_alloc(64, bytes) : NULL;
	session->bits = calloc(1, bits_bytes(session));
	if (!session->memory || !session->bits)
		return error_set(err, -ENOMEM,
				 "out of memory: %llu MiB for keys and values of %u tokens "
				 "and scratch; ask for fewer tokens",
				 (unsigned long long)bytes >> 20, session->max_tokens);
	place_arrays(session, session->memory);
	session->wanted[0] = session->bits;
	session->wanted[1] = session->bits + set;
	session->fired = session->bits + 2 * set;
	session->wanted_by_any = session->bits + 3 * set;
	return ffn_scratch_create(session->max_batch, &session->ffn_scratch, err);
}

uint32_t session_planned_tokens(const struct model *model, const struct session_options *options)
{
	uint32_t most = model->config.n_context;

	return options->max_tokens && options->max_tokens < most ? options->max_tokens : most;
}

uint32_t session_planned_batch(const struct model *model, const struct session_options *options)
{
	uint32_t batch = options->max_batch ? options->max_batch : SESSION_DEFAULT_BATCH;
	uint32_t tokens = session_planned_tokens(model, options);

	return batch < tokens ? batch : tokens;
}

/* Model and sizes of a session that is all zeros otherwise. */
static void set_sizes(struct session *session, const struct model *model,
		      const struct session_options *options)
{
	*session = (struct session){
		.model = model,
		.mode = options->mode,
		.max_tokens = session_planned_tokens(model, options),
		.max_batch = session_planned_batch(model, options),
	};
}

int session_plan_memory(const struct model *model, const struct session_options *options,
			struct session_memory *memory, struct error *err)
{
	struct bundle_geometry geometry = model_store_geometry(model->file);
	struct session session;
	uint64_t rest;

	set_sizes(&session, model, options);
	rest = amount_sum(bits_bytes(&session), ffn_scratch_bytes(session.max_batch));
	*memory = (struct session_memory){
		.keys_values = amount_product(2 * sizeof(float), positions_size(&session)),
	};
	memory->scratch = amount_sum(floats_bytes(&session) - memory->keys_values, rest);
	memory->opening = model_store_opening_bytes(&model->config, &options->store);
	return bundle_store_plan_memory(&geometry, &options->store, &memory->store, err);
}

int session_open(const struct model *model, const struct session_options *options,
		 struct session **result, struct error *err)
{
	struct session *session;
	int ret;

	if (options->mode != SESSION_DENSE && !model->config.predictor_rank)
		return error_set(err, -EINVAL,
				 "%s: has no predictor; run it with --dense, or make a "
				 "linked file with 'colink link'",
				 gguf_path(model->file->gguf));
	session = malloc(sizeof(*session));
	if (!session)
		return error_no_memory(err, "a session");
	set_sizes(session, model, options);
	session->compute.kernels = kernels_best();
	ret = thread_pool_create(options->threads, &session->compute.pool, err);
	if (ret == 0)
		ret = allocate(session, err);
	if (ret == 0)
		ret = model_store_open(model->file, &options->store, &session->store, err);
	if (ret < 0) {
		session_close(session);
		return ret;
	}
	*result = session;
	return 0;
}

void session_close(struct session *session)
{
	if (!session)
		return;
	bundle_store_close(session->store);
	ffn_scratch_destroy(session->ffn_scratch);
	free(session->bits);
	free(session->memory);
	thread_pool_destroy(session->compute.pool);
	free(session);
}

void session_observe(struct session *session, struct session_observer *observer)
{
	session->observer = observer;
}

void session_rewind(struct session *session)
{
	session->position = 0;
	session->n_batch = 0;
}

/* Tokens that went in since the last rewind. */
static uint32_t position_after_batch(const struct session *session)
{
	return session->position + session->n_batch;
}

uint32_t session_max_batch(const struct session *session)
{
	return session->max_batch;
}

uint32_t session_room(const struct session *session)
{
	return session->max_tokens - position_after_batch(session);
}

uint32_t session_batch(const struct session *session)
{
	return session->n_batch;
}

struct bundle_store *session_store(struct session *session)
{
	return session->store;
}

const char *session_kernels(const struct session *session)
{
	return session->compute.kernels->name;
}

unsigned int session_threads(const struct session *session)
{
	return thread_pool_size(session->compute.pool);
}

uint64_t session_memory(const struct session *session)
{
	struct session sizes = *session;

	return floats_bytes(&sizes) + bits_bytes(session) + ffn_scratch_bytes(session->max_batch);
}

static void add_positions(struct session *session)
{
	const struct kernels *kernels = session->compute.kernels;
	size_t d = session->model->config.d_model;

	for (size_t t = 0; t < session->n_batch; t++) {
		const uint16_t *position =
			session->model->position_embedding + (session->position + t) * d;

		kernels->widen(session->normed, position, d);
		kernels->add_f32(session->x + t * d, 1, session->normed, d);
	}
}

/*
 * x = token embedding (projected, if it is narrower) + position embedding. Rotary
 * positions are for queries and keys instead.
 */
static void embed(struct session *session, const uint32_t *ids)
{
	const struct model *model = session->model;
	const struct kernels *kernels = session->compute.kernels;
	size_t d = model->config.d_model, d_embed = model->config.d_embed;
	float *tokens = model->project_in ? session->embedded : session->x;

	for (size_t t = 0; t < session->n_batch; t++)
		kernels->widen(tokens + t * d_embed, model->token_embedding + ids[t] * d_embed,
			       d_embed);
	if (model->project_in)
		linear(&session->compute, session->x, model->project_in, NULL, tokens,
		       session->n_batch, d, d_embed);
	if (model->position_embedding)
		add_positions(session);
	if (has_rotary_positions(&model->config))
		rope_turns(session->turns, model->config.rope_theta,
			   model_head_width(&model->config), session->position,
			   session->n_batch);
}

/* The model's kind of norm, of vectors of d_model elements; out may be x. */
static void norm(const struct session *session, float *out, const float *x, const float *weight,
		 const float *bias, size_t n_tokens)
{
	const struct model_config *config = &session->model->config;

	if (config->architecture == MODEL_LLAMA)
		rms_norm(out, x, weight, config->norm_epsilon, n_tokens, config->d_model);
	else
		layer_norm(out, x, weight, bias, config->norm_epsilon, n_tokens, config->d_model);
}

/* x += what a block computed; post-norm models normalize after that. */
static void add_to_residual(struct session *session, const float *norm_weight,
			    const float *norm_bias)
{
	const struct model_config *config = &session->model->config;
	size_t d = config->d_model;

	session->compute.kernels->add_f32(session->x, 1, session->mixed, session->n_batch * d);
	if (config->post_norm)
		norm(session, session->x, session->x, norm_weight, norm_bias, session->n_batch);
}

/* The input of a block: x, normalized first unless the model does it afterwards. */
static const float *block_input(struct session *session, const float *norm_weight,
				const float *norm_bias)
{
	if (session->model->config.post_norm)
		return session->x;
	norm(session, session->normed, session->x, norm_weight, norm_bias, session->n_batch);
	return session->normed;
}

/* Queries of the batch and, for a layer, its keys and values, which stand at `now` of all. */
static void project(struct session *session, const struct layer_weights *w, size_t now)
{
	const struct model_config *config = &session->model->config;
	const struct compute *compute = &session->compute;
	size_t n = session->n_batch, d = config->d_model, kv = model_kv_width(config);
	const float *input = block_input(session, w->attn_norm_weight, w->attn_norm_bias);

	linear(compute, session->queries, w->attn_q, w->attn_q_bias, input, n, d, d);
	linear(compute, session->keys + now, w->attn_k, w->attn_k_bias, input, n, kv, d);
	linear(compute, session->values + now, w->attn_v, w->attn_v_bias, input, n, kv, d);
	if (!has_rotary_positions(config))
		return;
	rope_apply(session->queries, session->turns, n, config->n_heads, model_head_width(config));
	rope_apply(session->keys + now, session->turns, n, model_kv_heads(config),
		   model_head_width(config));
}

static void attention_block(struct session *session, uint32_t layer)
{
	const struct layer_weights *w = &session->model->layers[layer];
	const struct model_config *config = &session->model->config;
	const struct attention_shape shape = {
		.n_heads = config->n_heads,
		.n_kv_heads = model_kv_heads(config),
		.d_head = model_head_width(config),
	};
	const struct compute *compute = &session->compute;
	size_t n = session->n_batch, d = config->d_model, kv = model_kv_width(config);
	size_t past = (size_t)layer * session->max_tokens * kv;

	project(session, w, past + session->position * kv);
	bundle_store_advance(session->store);
	attention(compute, &shape, session->normed, session->queries, session->keys + past,
		  session->values + past, session->scores, session->position, n);
	bundle_store_advance(session->store);
	linear(compute, session->mixed, w->attn_out, w->attn_out_bias, session->normed, n, d, d);
	add_to_residual(session, w->attn_norm_weight, w->attn_norm_bias);
}

/* Foretell a layer from `input` and start its reads. */
static int request_layer(struct session *session, uint32_t layer, const float *input,
			 struct error *err)
{
	size_t n = session->model->config.n_ffn, words = bits_words(n);
	uint64_t *wanted = session->wanted[layer % 2];
	uint64_t *any = session->wanted_by_any;

	if (session->mode != SESSION_DENSE)
		predict(&session->compute, session->model, layer, input, session->n_batch, wanted,
			session->predictor_scratch);
	memset(any, 0, words * sizeof(*any));
	if (session->mode == SESSION_SPARSE) {
		for (size_t t = 0; t < session->n_batch; t++)
			for (size_t word = 0; word < words; word++)
				any[word] |= wanted[t * words + word];
	} else {
		for (size_t slot = 0; slot < n; slot++)
			bits_set(any, slot);
	}
	return bundle_store_request(session->store, layer, any, err);
}

static int observe(struct session *session, uint32_t layer, const float *input, struct error *err)
{
	struct session_layer_event event = {
		.layer = layer,
		.n_tokens = session->n_batch,
		.ffn_input = input,
		.fired = session->fired,
		.wanted = session->mode == SESSION_DENSE ? NULL : session->wanted[layer % 2],
	};

	if (!session->observer)
		return 0;
	return session->observer->layer(session->observer, &event, err);
}

static enum ffn_form ffn_form(const struct model_config *config)
{
	if (!model_is_gated(config))
		return FFN_PLAIN;
	return config->activation == MODEL_RELU_BOTH ? FFN_GATED_BOTH : FFN_GATED;
}

/* What the FFN's sum starts from. */
static void clear_mixed(struct session *session, const float *bias)
{
	size_t n = session->n_batch, d = session->model->config.d_model;

	if (!bias)
		memset(session->mixed, 0, n * d * sizeof(float));
	for (size_t t = 0; bias && t < n; t++)
		memcpy(session->mixed + t * d, bias, d * sizeof(float));
}

static int ffn_block(struct session *session, uint32_t layer, struct error *err)
{
	const struct model_config *config = &session->model->config;
	const struct layer_weights *w = &session->model->layers[layer];
	size_t n = session->n_batch;
	struct ffn_batch batch = {
		.form = ffn_form(config),
		.threshold = config->activation_threshold,
		.n_tokens = n,
		.d_model = config->d_model,
		.n_slots = config->n_ffn,
		.up_bias = w->ffn_up_bias,
		.wanted = session->mode == SESSION_DENSE ? NULL : session->wanted[layer % 2],
		.measure = session->mode == SESSION_MEASURE,
		.fired = session->fired,
		.out = session->mixed,
	};
	struct bundle_window window;
	int ret = 0;

	batch.x = block_input(session, w->ffn_norm_weight, w->ffn_norm_bias);
	if (layer == 0)
		ret = request_layer(session, 0, batch.x, err);
	if (ret == 0 && layer + 1 < config->n_layers)
		ret = request_layer(session, layer + 1, batch.x, err);
	if (ret < 0)
		return ret;
	memset(session->fired, 0, n * bits_words(config->n_ffn) * sizeof(session->fired[0]));
	clear_mixed(session, w->ffn_down_bias);
	while ((ret = bundle_store_next(session->store, layer, &window, err)) > 0)
		ffn_window(&session->compute, &batch, &window, session->ffn_scratch);
	bundle_store_advance(session->store);
	if (ret == 0)
		ret = observe(session, layer, batch.x, err);
	if (ret == 0)
		add_to_residual(session, w->ffn_norm_weight, w->ffn_norm_bias);
	return ret;
}

int session_forward(struct session *session, const uint32_t *ids, uint32_t n_tokens,
		    struct error *err)
{
	const struct model_config *config = &session->model->config;
	uint32_t position = position_after_batch(session);
	int ret = 0;

	if (n_tokens == 0 || n_tokens > session->max_batch ||
	    n_tokens > session->max_tokens - position)
		return error_set(err, -ERANGE, "%u tokens after %u do not fit a context of %u",
				 n_tokens, position, session->max_tokens);
	for (uint32_t t = 0; t < n_tokens; t++)
		if (ids[t] >= config->n_vocab)
			return error_set(err, -ERANGE, "token id %u: the vocabulary has %u", ids[t],
					 config->n_vocab);
	session->position = position;
	session->n_batch = n_tokens;
	embed(session, ids);
	for (uint32_t layer = 0; layer < config->n_layers && ret == 0; layer++) {
		attention_block(session, layer);
		ret = ffn_block(session, layer, err);
	}
	return ret;
}

void session_logits(struct session *session, uint32_t first, uint32_t count, float *out)
{
	const struct model *model = session->model;
	const struct model_config *config = &model->config;
	size_t d = config->d_model;
	const float *hidden = session->x + first * d;

	if (config->final_norm) {
		norm(session, session->normed, hidden, model->output_norm_weight,
		     model->output_norm_bias, count);
		hidden = session->normed;
	}
	if (model->project_out) {
		linear(&session->compute, session->embedded, model->project_out, NULL, hidden,
		       count, config->d_embed, d);
		hidden = session->embedded;
	}
	linear(&session->compute, out, model->output, NULL, hidden, count, config->n_vocab,
	       config->d_embed);
}
