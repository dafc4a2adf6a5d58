// SPDX-License-Identifier: GPL-2.0-only
#include "model/model_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Far beyond any model; keeps products of sizes within 64 bits. */
#define MAX_EXTENT (1u << 24)
#define MAX_LAYERS 4096
#define KEY_SIZE 64

static const char *const architectures[] = { [MODEL_OPT] = "opt", [MODEL_LLAMA] = "llama" };
static const char *const activations[] = {
	[MODEL_RELU] = "relu",
	[MODEL_FATRELU] = "fatrelu",
	[MODEL_RELU_BOTH] = "relu-both",
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const char *model_architecture_name(enum model_architecture architecture)
{
	return architectures[architecture];
}

const char *model_activation_name(enum model_activation activation)
{
	return activations[activation];
}

/* Position of a name in a list; n when it is not there. */
static size_t find_name(const char *const *names, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(names[i], name))
		i++;
	return i;
}

/* "opt.block_count" */
static const char *own_key(const struct model_config *config, const char *name, char key[KEY_SIZE])
{
	snprintf(key, KEY_SIZE, "%s.%s", architectures[config->architecture], name);
	return key;
}

static int check_extent(const struct gguf *gguf, const char *key, uint32_t value, uint32_t max,
			struct error *err)
{
	if (value >= 1 && value <= max)
		return 0;
	return error_set(err, -EINVAL, "%s: key %s: %" PRIu32 " is not from 1 to %" PRIu32,
			 gguf_path(gguf), key, value, max);
}

static int read_extent(const struct gguf *gguf, const char *key, uint32_t max, uint32_t *value,
		       struct error *err)
{
	int ret = gguf_get_u32(gguf, key, value, err);

	return ret < 0 ? ret : check_extent(gguf, key, *value, max, err);
}

/* What every architecture has. */
static int read_extents(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	const struct {
		const char *name;
		uint32_t *value;
		uint32_t max;
	} extents[] = {
		{ "block_count", &config->n_layers, MAX_LAYERS },
		{ "context_length", &config->n_context, MAX_EXTENT },
		{ "embedding_length", &config->d_model, MAX_EXTENT },
		{ "feed_forward_length", &config->n_ffn, MAX_EXTENT },
		{ "attention.head_count", &config->n_heads, MAX_EXTENT },
		{ "vocab_size", &config->n_vocab, MAX_EXTENT },
	};
	char key[KEY_SIZE];
	int ret = 0;

	for (size_t i = 0; i < COUNT_OF(extents) && ret == 0; i++)
		ret = read_extent(gguf, own_key(config, extents[i].name, key), extents[i].max,
				  extents[i].value, err);
	if (ret == 0 && config->d_model % config->n_heads)
		ret = error_set(err, -EINVAL, "%s: %" PRIu32 " heads do not divide a width of %"
				PRIu32, gguf_path(gguf), config->n_heads, config->d_model);
	return ret;
}

static int read_epsilon(const struct gguf *gguf, const char *key, struct model_config *config,
			struct error *err)
{
	int ret = gguf_get_f32(gguf, key, &config->norm_epsilon, err);

	if (ret == 0 && !(config->norm_epsilon > 0 && config->norm_epsilon < 1))
		ret = error_set(err, -EINVAL, "%s: key %s: %g is not between 0 and 1",
				gguf_path(gguf), key, (double)config->norm_epsilon);
	return ret;
}

static int read_opt(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	int ret = read_extent(gguf, "colink.embedding_projection", MAX_EXTENT, &config->d_embed,
			      err);

	if (ret == 0)
		ret = read_epsilon(gguf, "opt.attention.layer_norm_epsilon", config, err);
	if (ret == 0)
		ret = gguf_get_bool(gguf, "colink.post_norm", &config->post_norm, err);
	if (ret == 0)
		ret = gguf_get_bool(gguf, "colink.final_norm", &config->final_norm, err);
	return ret;
}

static int read_activation(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	const char *name;
	size_t activation;
	int ret = gguf_get_string(gguf, "colink.ffn.activation", &name, err);

	if (ret < 0)
		return ret;
	activation = find_name(activations, COUNT_OF(activations), name);
	if (activation == COUNT_OF(activations))
		return error_set(err, -EINVAL,
				 "%s: key colink.ffn.activation: '%s' is not relu, fatrelu or "
				 "relu-both",
				 gguf_path(gguf), name);
	config->activation = (enum model_activation)activation;
	if (config->activation != MODEL_FATRELU)
		return 0;
	ret = gguf_get_f32(gguf, "colink.ffn.threshold", &config->activation_threshold, err);
	/* A negative one would let pass what relu stops. */
	if (ret == 0 && !(config->activation_threshold >= 0 &&
			  isfinite(config->activation_threshold)))
		ret = error_set(err, -EINVAL, "%s: key colink.ffn.threshold: %g is not 0 or more",
				gguf_path(gguf), (double)config->activation_threshold);
	return ret;
}

static int read_rope(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	uint32_t width = model_head_width(config), rotated;
	int ret = gguf_get_u32(gguf, "llama.rope.dimension_count", &rotated, err);

	if (ret == 0 && (rotated != width || width % 2))
		ret = error_set(err, -EINVAL,
				"%s: key llama.rope.dimension_count: %" PRIu32 " of %" PRIu32
				" elements of a head: only whole heads of an even width are "
				"supported",
				gguf_path(gguf), rotated, width);
	if (ret == 0)
		ret = gguf_get_f32(gguf, "llama.rope.freq_base", &config->rope_theta, err);
	if (ret == 0 && !(config->rope_theta >= 1 && isfinite(config->rope_theta)))
		ret = error_set(err, -EINVAL, "%s: key llama.rope.freq_base: %g is not 1 or more",
				gguf_path(gguf), (double)config->rope_theta);
	return ret;
}

static int read_llama(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	int ret = read_extent(gguf, "llama.attention.head_count_kv", MAX_EXTENT,
			      &config->n_kv_heads, err);

	config->d_embed = config->d_model;
	config->final_norm = true;
	if (ret == 0 && config->n_heads % config->n_kv_heads)
		ret = error_set(err, -EINVAL,
				"%s: %" PRIu32 " heads of keys and values do not divide %" PRIu32
				" heads",
				gguf_path(gguf), config->n_kv_heads, config->n_heads);
	if (ret == 0)
		ret = read_epsilon(gguf, "llama.attention.layer_norm_rms_epsilon", config, err);
	if (ret == 0)
		ret = read_rope(gguf, config, err);
	if (ret == 0)
		ret = read_activation(gguf, config, err);
	return ret;
}

uint32_t model_file_version(const struct model_config *config)
{
	return model_has_copies(config) ? MODEL_FILE_VERSION_COPIES : MODEL_FILE_VERSION;
}

static int read_architecture(const struct gguf *gguf, struct model_config *config,
			     uint32_t *version, struct error *err)
{
	const char *name;
	size_t architecture;
	int ret;

	ret = gguf_get_string(gguf, "general.architecture", &name, err);
	if (ret == 0)
		ret = gguf_get_u32(gguf, "colink.version", version, err);
	if (ret < 0)
		return ret;
	architecture = find_name(architectures, COUNT_OF(architectures), name);
	if (architecture == COUNT_OF(architectures) || *version < MODEL_FILE_VERSION ||
	    *version > MODEL_FILE_VERSION_COPIES)
		return error_set(err, -EINVAL, "%s: architecture '%s' in colink version %" PRIu32
				 ", only 'opt' and 'llama' in versions %d and %d are supported",
				 gguf_path(gguf), name, *version, MODEL_FILE_VERSION,
				 MODEL_FILE_VERSION_COPIES);
	config->architecture = (enum model_architecture)architecture;
	return 0;
}

/* More bundles than neurons, at most twice as many. */
static int read_positions(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	uint32_t n = config->n_ffn;
	int ret = gguf_get_u32(gguf, "colink.positions", &config->n_positions, err);

	if (ret == 0 && (config->n_positions <= n || config->n_positions > 2 * n))
		ret = error_set(err, -EINVAL, "%s: key colink.positions: %" PRIu32 " is not from %"
				PRIu32 " to %" PRIu32, gguf_path(gguf), config->n_positions, n + 1,
				2 * n);
	return ret;
}

int model_keys_read(const struct gguf *gguf, struct model_config *config, struct error *err)
{
	uint32_t version;
	int ret = read_architecture(gguf, config, &version, err);

	if (ret == 0)
		ret = read_extents(gguf, config, err);
	if (ret == 0 && version == MODEL_FILE_VERSION_COPIES)
		ret = read_positions(gguf, config, err);
	if (ret == 0)
		ret = config->architecture == MODEL_LLAMA ? read_llama(gguf, config, err) :
							    read_opt(gguf, config, err);
	if (ret == 0)
		ret = gguf_get_bool(gguf, "colink.tied_embeddings", &config->tied, err);
	if (ret == 0)
		ret = gguf_get_u32(gguf, "colink.predictor.rank", &config->predictor_rank, err);
	if (ret == 0 && config->predictor_rank > MAX_EXTENT)
		ret = check_extent(gguf, "colink.predictor.rank", config->predictor_rank,
				   MAX_EXTENT, err);
	return ret;
}

static void write_u32(struct gguf_writer *writer, const struct model_config *config,
		      const char *name, uint32_t value)
{
	char key[KEY_SIZE];

	gguf_writer_u32(writer, own_key(config, name, key), value);
}

static void write_opt(struct gguf_writer *writer, const struct model_config *config)
{
	gguf_writer_f32(writer, "opt.attention.layer_norm_epsilon", config->norm_epsilon);
	gguf_writer_u32(writer, "opt.vocab_size", config->n_vocab);
	gguf_writer_bool(writer, "colink.final_norm", config->final_norm);
	gguf_writer_bool(writer, "colink.post_norm", config->post_norm);
}

static void write_llama(struct gguf_writer *writer, const struct model_config *config)
{
	gguf_writer_u32(writer, "llama.attention.head_count_kv", model_kv_heads(config));
	gguf_writer_f32(writer, "llama.attention.layer_norm_rms_epsilon", config->norm_epsilon);
	gguf_writer_u32(writer, "llama.rope.dimension_count", model_head_width(config));
	gguf_writer_f32(writer, "llama.rope.freq_base", config->rope_theta);
	gguf_writer_u32(writer, "llama.vocab_size", config->n_vocab);
	gguf_writer_string(writer, "colink.ffn.activation", activations[config->activation]);
	if (config->activation == MODEL_FATRELU)
		gguf_writer_f32(writer, "colink.ffn.threshold", config->activation_threshold);
}

void model_keys_write(struct gguf_writer *writer, const struct model_config *config)
{
	write_u32(writer, config, "block_count", config->n_layers);
	write_u32(writer, config, "context_length", config->n_context);
	write_u32(writer, config, "embedding_length", config->d_model);
	write_u32(writer, config, "feed_forward_length", config->n_ffn);
	write_u32(writer, config, "attention.head_count", config->n_heads);
	if (config->architecture == MODEL_LLAMA)
		write_llama(writer, config);
	else
		write_opt(writer, config);
	gguf_writer_u32(writer, "colink.predictor.rank", config->predictor_rank);
	gguf_writer_bool(writer, "colink.tied_embeddings", config->tied);
	if (config->architecture == MODEL_OPT)
		gguf_writer_u32(writer, "colink.embedding_projection", config->d_embed);
	if (model_has_copies(config))
		gguf_writer_u32(writer, "colink.positions", config->n_positions);
}
