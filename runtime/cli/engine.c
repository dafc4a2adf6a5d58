// SPDX-License-Identifier: GPL-2.0-only
#include "cli/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* A text to learn from or to measure on; beyond this it is surely the wrong file. */
#define MAX_TEXT_BYTES ((size_t)1 << 32)

int engine_open(const char *path, struct engine *engine, struct error *err)
{
	int ret;

	memset(engine, 0, sizeof(*engine));
	ret = model_open(path, &engine->model, err);
	if (ret == 0)
		engine_io_open(&engine->io, engine->model->file);
	return ret;
}

int engine_start(struct engine *engine, const struct engine_options *options,
		 const struct engine_work *work, struct error *err)
{
	struct session_options session_options = {
		.mode = work->mode,
		.threads = options->threads,
		.max_tokens = work->max_tokens,
		.max_batch = options->batch,
		.store = engine_store_options(options, engine->io.cost),
	};
	const struct memory_user user = memory_user_session(engine->model, &session_options);
	int ret;

	ret = engine_io_plan(&engine->io, options, &user, work->bytes, err);
	if (ret == 0)
		ret = model_load_weights(engine->model, err);
	if (ret < 0)
		return ret;
	ret = session_open(engine->model, &session_options, &engine->session, err);
	if (ret == 0)
		ret = usage_create(&engine->model->config, &engine->usage, err);
	if (ret < 0)
		return ret;
	session_observe(engine->session, &engine->usage->observer);
	return engine_io_begin(&engine->io, session_store(engine->session), err);
}

void engine_close(struct engine *engine)
{
	session_close(engine->session);
	usage_free(engine->usage);
	engine_io_close(&engine->io);
	model_unload(engine->model);
	memset(engine, 0, sizeof(*engine));
}

int engine_encode(const struct model *model, const char *text, bool add_bos, uint32_t **ids,
		  size_t *count, struct error *err)
{
	int ret = tokenizer_encode(model->tokenizer, text, strlen(text), add_bos, ids, count, err);

	if (ret == 0 && *count == 0) {
		free(*ids);
		*ids = NULL;
		return error_set(err, -EINVAL, "the text has no tokens");
	}
	return ret;
}

static int append_ids(uint32_t **ids, size_t *count, const uint32_t *more, size_t n_more,
		      struct error *err)
{
	uint32_t *larger = realloc(*ids, (*count + n_more + 1) * sizeof(*larger));

	if (!larger)
		return error_no_memory(err, "token ids");
	memcpy(larger + *count, more, n_more * sizeof(*more));
	*ids = larger;
	*count += n_more;
	return 0;
}

int engine_encode_files(const struct tokenizer *tokenizer, const struct string_list *files,
			uint32_t **ids, size_t *count, struct error *err)
{
	int ret = 0;

	*ids = NULL;
	*count = 0;
	for (size_t i = 0; i < files->count && ret == 0; i++) {
		struct error why = { 0 };
		uint32_t *more = NULL;
		char *text;
		size_t length, n_more;

		ret = file_read_text(files->values[i], MAX_TEXT_BYTES, &text, &length, err);
		if (ret < 0)
			break;
		ret = tokenizer_encode(tokenizer, text, length, false, &more, &n_more, &why);
		if (ret < 0)
			error_set(err, ret, "%s: %s", files->values[i], why.message);
		else
			ret = append_ids(ids, count, more, n_more, err);
		free(more);
		free(text);
	}
	if (ret < 0) {
		free(*ids);
		*ids = NULL;
	}
	return ret;
}
