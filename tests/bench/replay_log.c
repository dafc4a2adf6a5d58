// SPDX-License-Identifier: GPL-2.0-only
/*
 * replay_log MODEL TRACE TOKENS FILE NAME: what a program reads that knows which neurons fire
 * and nothing else, for fio to repeat (fio(1), "Trace file format", version 2).
 *
 * Token by token and layer by layer the bundles that fire, each a read, by rising offset. Which
 * ones fire says the trace of the linked MODEL, and where they lie FILE, which has the same
 * placement, be it MODEL itself or one with wider bundles (wide_model). NAME is the file's where
 * the log is replayed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "bench/token_slots.h"

static void log_layer(const struct token_slots *slots, const struct model_file *file,
		      uint32_t token, uint32_t layer, const char *name)
{
	const uint64_t *set = token_slots_of(slots, token, layer);
	const uint32_t stride = model_bundle_stride(&file->config);
	const size_t n = slots->n_slots;

	for (size_t slot = bits_next(set, n, 0); slot < n; slot = bits_next(set, n, slot + 1))
		printf("%s read %" PRIu64 " %" PRIu32 "\n", name,
		       file->bundle_offsets[layer] + slot * stride, stride);
}

static void log_all(const struct token_slots *slots, const struct model_file *file,
		    const char *name)
{
	printf("fio version 2 iolog\n%s add\n%s open\n", name, name);
	for (uint32_t token = 0; token < slots->n_tokens; token++)
		for (uint32_t layer = 0; layer < slots->n_layers; layer++)
			log_layer(slots, file, token, layer, name);
	printf("%s close\n", name);
}

static int check(const struct model_file *model, const struct model_file *file, struct error *err)
{
	if (model->config.n_layers != file->config.n_layers ||
	    model->config.n_ffn != file->config.n_ffn || model_has_copies(&file->config))
		return error_set(err, -EINVAL, "%s: has not the layers and slots of %s",
				 gguf_path(file->gguf), gguf_path(model->gguf));
	return 0;
}

int main(int argc, char **argv)
{
	struct model_file *model = NULL, *file = NULL;
	struct trace *trace = NULL;
	struct token_slots slots = { 0 };
	struct error err = { 0 };
	int ret;

	if (argc != 6) {
		fprintf(stderr, "usage: replay_log MODEL TRACE TOKENS FILE NAME\n");
		return 2;
	}
	ret = model_file_open(argv[1], &model, &err);
	if (ret == 0)
		ret = model_file_open(argv[4], &file, &err);
	if (ret == 0)
		ret = check(model, file, &err);
	if (ret == 0)
		ret = trace_open(argv[2], &trace, &err);
	if (ret == 0)
		ret = token_slots_read(model, trace, argv[2], 0, atoi(argv[3]), &slots, &err);
	if (ret == 0)
		log_all(&slots, file, argv[5]);
	else
		fprintf(stderr, "replay_log: %s\n", err.message);
	token_slots_free(&slots);
	if (trace)
		trace_close(trace);
	if (file)
		model_file_close(file);
	if (model)
		model_file_close(model);
	return ret < 0 || fflush(stdout) ? 1 : 0;
}
