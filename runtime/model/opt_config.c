// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "model/opt_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define MAX_CONFIG_BYTES (1024 * 1024)
#define MAX_EXTENT (1u << 24)
#define MAX_LAYERS 4096
/* torch.nn.LayerNorm's default, which OPT does not override. */
#define NORM_EPSILON 1e-5f

static int get_extent(const json_t *json, const char *key, uint64_t max, const char *path,
		      uint32_t *value, struct error *err)
{
	uint64_t wide = *value;
	int ret;

	/* A value already there is the default. */
	if (wide)
		ret = json_get_u64_or(json, key, max, path, &wide, err);
	else
		ret = json_get_u64(json, key, max, path, &wide, err);
	if (ret < 0)
		return ret;
	if (!wide)
		return error_set(err, -EINVAL, "%s: \"%s\" is 0", path, key);
	*value = (uint32_t)wide;
	return 0;
}

static int require_string(const json_t *json, const char *key, const char *expected,
			  const char *path, struct error *err)
{
	const char *value;
	int ret = json_get_string_or_null(json, key, path, &value, err);

	if (ret < 0)
		return ret;
	if (!value || strcmp(value, expected))
		return error_set(err, -EINVAL, "%s: \"%s\" is \"%s\"; only \"%s\" is supported",
				 path, key, value ? value : "", expected);
	return 0;
}

static int parse_extents(const json_t *json, const char *path, struct model_config *config,
			 struct error *err)
{
	int ret;

	ret = get_extent(json, "num_hidden_layers", MAX_LAYERS, path, &config->n_layers, err);
	if (ret == 0)
		ret = get_extent(json, "hidden_size", MAX_EXTENT, path, &config->d_model, err);
	if (ret == 0)
		ret = get_extent(json, "ffn_dim", MAX_EXTENT, path, &config->n_ffn, err);
	if (ret == 0)
		ret = get_extent(json, "num_attention_heads", MAX_EXTENT, path, &config->n_heads,
				 err);
	if (ret == 0)
		ret = get_extent(json, "vocab_size", MAX_EXTENT, path, &config->n_vocab, err);
	if (ret == 0)
		ret = get_extent(json, "max_position_embeddings", MAX_EXTENT, path,
				 &config->n_context, err);
	config->d_embed = config->d_model;
	if (ret == 0)
		ret = get_extent(json, "word_embed_proj_dim", MAX_EXTENT, path, &config->d_embed,
				 err);
	if (ret == 0 && config->d_model % config->n_heads)
		ret = error_set(err, -EINVAL,
				"%s: %u attention heads do not divide a hidden size of %u",
				path, config->n_heads, config->d_model);
	return ret;
}

static int parse_switches(const json_t *json, const char *path, struct opt_config *config,
			  struct error *err)
{
	bool norm_before = true, final_norm_removed = false, affine = true;
	int ret;

	config->model.tied = true;
	config->biases = true;
	ret = json_get_bool_or(json, "do_layer_norm_before", path, &norm_before, err);
	if (ret == 0)
		ret = json_get_bool_or(json, "_remove_final_layer_norm", path, &final_norm_removed,
				       err);
	if (ret == 0)
		ret = json_get_bool_or(json, "layer_norm_elementwise_affine", path, &affine, err);
	if (ret == 0)
		ret = json_get_bool_or(json, "tie_word_embeddings", path, &config->model.tied, err);
	if (ret == 0)
		ret = json_get_bool_or(json, "enable_bias", path, &config->biases, err);
	if (ret == 0 && !affine)
		ret = error_set(err, -EINVAL,
				"%s: \"layer_norm_elementwise_affine\" is false; only "
				"norms with weights are supported",
				path);
	config->model.post_norm = !norm_before;
	config->model.final_norm = norm_before && !final_norm_removed;
	config->model.norm_epsilon = NORM_EPSILON;
	return ret;
}

int opt_config_load(const char *directory, struct opt_config *config, struct error *err)
{
	json_t *json = NULL;
	char *path;
	int ret;

	memset(config, 0, sizeof(*config));
	if (asprintf(&path, "%s/config.json", directory) < 0)
		return error_no_memory(err, directory);
	ret = json_load_object(path, MAX_CONFIG_BYTES, &json, err);
	if (ret == 0)
		ret = require_string(json, "model_type", "opt", path, err);
	if (ret == 0)
		ret = require_string(json, "activation_function", "relu", path, err);
	if (ret == 0)
		ret = parse_extents(json, path, &config->model, err);
	if (ret == 0)
		ret = parse_switches(json, path, config, err);
	json_decref(json);
	free(path);
	return ret;
}
