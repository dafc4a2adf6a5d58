// SPDX-License-Identifier: GPL-2.0-only
/*
 * Import streams: a checkpoint of hundreds of megabytes is imported within a limit
 * that holds little more than two of its layers. The checkpoint is a file of holes
 * (all weights zero), so that it costs neither time nor disk.
 */
#include "helpers/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/import_opt.h"

#define LAYERS 16
#define WIDTH 1024
#define FFN 4096
#define VOCAB 4096
#define CONTEXT 64
#define LAYER_BYTES (2UL * (2UL * WIDTH * FFN + 4UL * WIDTH * WIDTH))
/* Beside two layers: buffers, the vocabulary, and what a process has anyway. */
#define ALLOWANCE (48UL << 20)

struct header {
	FILE *text;
	unsigned long offset;
};

static void add_tensor(struct header *header, const char *name, unsigned long rows,
		       unsigned long columns)
{
	unsigned long bytes = 2 * (rows ? rows : 1) * columns;

	fprintf(header->text, "%s\"model.decoder.%s\":{\"dtype\":\"F16\",\"shape\":[",
		header->offset ? "," : "", name);
	if (rows)
		fprintf(header->text, "%lu,", rows);
	fprintf(header->text, "%lu],\"data_offsets\":[%lu,%lu]}", columns, header->offset,
		header->offset + bytes);
	header->offset += bytes;
}

static void add_linear(struct header *header, int layer, const char *name, unsigned long rows,
		       unsigned long columns)
{
	char full[64];

	snprintf(full, sizeof(full), "layers.%d.%s.weight", layer, name);
	add_tensor(header, full, rows, columns);
	snprintf(full, sizeof(full), "layers.%d.%s.bias", layer, name);
	add_tensor(header, full, 0, rows ? rows : columns);
}

static void add_layer(struct header *header, int layer)
{
	static const char *const projections[] = { "self_attn.q_proj", "self_attn.k_proj",
						   "self_attn.v_proj", "self_attn.out_proj" };

	for (size_t i = 0; i < sizeof(projections) / sizeof(projections[0]); i++)
		add_linear(header, layer, projections[i], WIDTH, WIDTH);
	add_linear(header, layer, "self_attn_layer_norm", 0, WIDTH);
	add_linear(header, layer, "final_layer_norm", 0, WIDTH);
	add_linear(header, layer, "fc1", FFN, WIDTH);
	add_linear(header, layer, "fc2", WIDTH, FFN);
}

static void write_weights(const char *path)
{
	struct header header = { 0 };
	uint64_t length;
	size_t size;
	char *text;
	FILE *file;

	header.text = open_memstream(&text, &size);
	fputc('{', header.text);
	add_tensor(&header, "embed_tokens.weight", VOCAB, WIDTH);
	add_tensor(&header, "embed_positions.weight", CONTEXT + 2, WIDTH);
	add_tensor(&header, "final_layer_norm.weight", 0, WIDTH);
	add_tensor(&header, "final_layer_norm.bias", 0, WIDTH);
	for (int layer = 0; layer < LAYERS; layer++)
		add_layer(&header, layer);
	fputc('}', header.text);
	fclose(header.text);
	length = size;
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(&length, sizeof(length), 1, file), 1);
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
	assert_return_code(truncate(path, (off_t)(sizeof(length) + size + header.offset)), 0);
	free(text);
}

static void link_vocabulary(const char *folder, const char *name)
{
	char *from = path_in("demo-model", name), *source = data_path(from);
	char *absolute = realpath(source, NULL), *to = path_in(folder, name);

	assert_return_code(symlink(absolute, to), 0);
	free(to);
	free(absolute);
	free(source);
	free(from);
}

static void write_config(const char *folder)
{
	char *path = path_in(folder, "config.json"), text[512];

	snprintf(text, sizeof(text),
		 "{\"model_type\":\"opt\",\"activation_function\":\"relu\",\"hidden_size\":%d,"
		 "\"ffn_dim\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":16,"
		 "\"max_position_embeddings\":%d,\"vocab_size\":%d,\"word_embed_proj_dim\":%d}",
		 WIDTH, FFN, LAYERS, CONTEXT, VOCAB, WIDTH);
	write_file(path, text, strlen(text));
	free(path);
}

static void memory_does_not_grow_with_the_model(void **state)
{
	char *folder = make_folder(), *weights = path_in(folder, "model.safetensors");
	char *output = path_in(folder, "model.gguf");
	int status;
	pid_t child;

	(void)state;
	write_config(folder);
	link_vocabulary(folder, "vocab.json");
	link_vocabulary(folder, "merges.txt");
	write_weights(weights);
	child = fork();
	if (child == 0) {
		const struct rlimit limit = { 2 * LAYER_BYTES + ALLOWANCE,
					      2 * LAYER_BYTES + ALLOWANCE };
		struct error err = { 0 };
		int ret;

		/* Anonymous memory and heap; a sanitizer's shadow would not fit. */
		setrlimit(RLIMIT_DATA, &limit);
		ret = import_opt(folder, output, NULL, &err);
		if (ret < 0)
			fprintf(stderr, "# %s\n", err.message);
		_exit(ret < 0);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	remove_folder(folder);
	free(output);
	free(weights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_does_not_grow_with_the_model),
	};

#ifdef __SANITIZE_ADDRESS__
	puts("1..1\nok 1 - memory_does_not_grow_with_the_model # SKIP AddressSanitizer's memory "
	     "counts");
	return 0;
#else
	return cmocka_run_group_tests_name("import_memory", tests, NULL, NULL);
#endif
}
