// SPDX-License-Identifier: GPL-2.0-only
/* colink info: what a model file holds and what it will need. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "model/model_file.h"
#include "model/model_keys.h"

struct sizes {
	uint64_t file;
	uint64_t bundles;
	uint64_t copies; /* of these */
	uint64_t predictor;
	uint64_t resident; /* in DRAM during a run, the predictor included */
};

static uint32_t copies_per_layer(const struct model_config *config)
{
	return model_positions(config) - config->n_ffn;
}

/* What a run reads from the file once, but does not keep as it is. */
static bool is_hint(enum model_tensor_id id)
{
	return id == MODEL_HINT_LINK || id == MODEL_HINT_FREQUENCY || id == MODEL_PLACES;
}

static void add_up(const struct model_file *file, struct sizes *sizes)
{
	*sizes = (struct sizes){
		.file = gguf_file_size(file->gguf),
		.copies = (uint64_t)copies_per_layer(&file->config) * file->config.n_layers *
			  model_bundle_stride(&file->config),
	};
	for (size_t i = 0; i < file->layout.n_tensors; i++) {
		const struct model_tensor *tensor = &file->layout.tensors[i];
		uint64_t bytes = model_tensor_bytes(tensor);

		if (tensor->id == MODEL_BUNDLES)
			sizes->bundles += bytes;
		else if (!is_hint(tensor->id))
			sizes->resident += bytes;
		if (tensor->id == MODEL_PREDICTOR_DOWN || tensor->id == MODEL_PREDICTOR_UP ||
		    tensor->id == MODEL_PREDICTOR_BIAS)
			sizes->predictor += bytes;
	}
}

static json_t *info_json(const struct model_file *file, const struct sizes *sizes)
{
	const struct model_config *c = &file->config;
	const struct model_origin *origin = &file->origin;
	char model_id[20];

	snprintf(model_id, sizeof(model_id), "%016" PRIx64, origin->model_id);
	return json_pack("{s:s, s:o, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:b, "
			 "s:s, s:f, s:i, s:o, s:I, s:i, s:I, s:I, s:I, s:I, s:i, s:i, s:I}",
		"architecture", model_architecture_name(c->architecture),
		"name", json_text(origin->name),
		"model_id", model_id,
		"layers", (int)c->n_layers,
		"d_model", (int)c->d_model,
		"d_embed", (int)c->d_embed,
		"ffn", (int)c->n_ffn,
		"heads", (int)c->n_heads,
		"kv_heads", (int)model_kv_heads(c),
		"vocab", (int)c->n_vocab,
		"context", (int)c->n_context,
		"post_norm", (int)c->post_norm,
		"tied_embeddings", (int)c->tied,
		"gated", (int)model_is_gated(c),
		"activation", model_activation_name(c->activation),
		"ffn_threshold", (double)c->activation_threshold,
		"predictor_rank", (int)c->predictor_rank,
		"placement", json_text(origin->placement),
		"placement_tokens", (json_int_t)origin->placement_tokens,
		"bundle_bytes", (int)model_bundle_stride(c),
		"file_bytes", (json_int_t)sizes->file,
		"bundles_bytes", (json_int_t)sizes->bundles,
		"resident_bytes", (json_int_t)sizes->resident,
		"predictor_bytes", (json_int_t)sizes->predictor,
		"alignment", MODEL_ALIGNMENT,
		"copies", (int)copies_per_layer(c),
		"copies_bytes", (json_int_t)sizes->copies);
}

static void show_shape(const struct model_config *c)
{
	printf("shape       %u layers, width %u, %u neurons per layer, %u heads", c->n_layers,
	       c->d_model, c->n_ffn, c->n_heads);
	if (model_kv_heads(c) != c->n_heads)
		printf(", %u of keys and values", model_kv_heads(c));
	if (model_is_gated(c))
		printf("\nffn         gated, %s", model_activation_name(c->activation));
	if (c->activation == MODEL_FATRELU)
		printf(" above %g", (double)c->activation_threshold);
	putchar('\n');
}

static void show(const struct model_file *file, const struct sizes *sizes)
{
	const struct model_config *c = &file->config;
	char a[HUMAN_SIZE], b[HUMAN_SIZE], d[HUMAN_SIZE], e[HUMAN_SIZE];

	printf("name        %s (%s, id %016" PRIx64 ")\n", file->origin.name,
	       model_architecture_name(c->architecture), file->origin.model_id);
	show_shape(c);
	printf("vocabulary  %u tokens, context %u\n", c->n_vocab, c->n_context);
	printf("placement   %s", file->origin.placement);
	if (file->origin.placement_tokens)
		printf(", from %" PRIu64 " tokens of trace", file->origin.placement_tokens);
	printf("\npredictor   ");
	if (c->predictor_rank)
		printf("rank %u, %s of DRAM\n", c->predictor_rank,
		       human_bytes(sizes->predictor, a));
	else
		printf("none: runs with --dense only\n");
	printf("file        %s, of these %s bundles of %s on flash\n", human_bytes(sizes->file, b),
	       human_bytes(sizes->bundles, d), human_bytes(model_bundle_stride(c), e));
	if (sizes->copies)
		printf("copies      %u of the %u bundles of a layer are stored again: %s of flash\n",
		       copies_per_layer(c), c->n_ffn, human_bytes(sizes->copies, a));
	printf("resident    %s in DRAM, cache and buffers not included\n",
	       human_bytes(sizes->resident, a));
}

static int info(const char *path, bool json, struct error *err)
{
	struct model_file *file;
	struct sizes sizes;
	int ret;

	ret = model_file_open(path, &file, err);
	if (ret < 0)
		return ret;
	add_up(file, &sizes);
	if (json) {
		ret = print_json(info_json(file, &sizes), err);
	} else {
		show(file, &sizes);
		ret = finish_output(err);
	}
	model_file_close(file);
	return ret;
}

int cmd_info(const struct command *command, int argc, char **argv)
{
	const char *path;
	bool json = false;
	const struct option_spec specs[] = {
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &path, 1);
	if (status >= 0)
		return status;
	return info(path, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
