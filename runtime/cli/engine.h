/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands that compute with a model share: opening, encoding. */
#ifndef COLINK_CLI_ENGINE_H
#define COLINK_CLI_ENGINE_H

#include "cli/engine_io.h"
#include "cli/engine_options.h"
#include "infer/session.h"
#include "infer/usage.h"

struct engine {
	struct engine_io io; /* counts from the opening of the session */
	struct model *model;
	struct session *session;
	struct usage *usage;
};

/* What a command is going to do with a model. */
struct engine_work {
	enum session_mode mode;
	uint32_t max_tokens; /* as in struct session_options */
	uint64_t bytes; /* of DRAM that it will take besides the session */
};

/*
 * First open the model, whose config and tokenizer may then be used, and see what is known of
 * its device; then load the weights, if they fit into the budget, and open a session that
 * counts its usage; in the end, close. Results of no use are told on stderr, and ignored.
 */
int engine_open(const char *path, struct engine *engine, struct error *err);
int engine_start(struct engine *engine, const struct engine_options *options,
		 const struct engine_work *work, struct error *err);
void engine_close(struct engine *engine);

/* A text of the user as token ids; refused when it has none. The caller frees *ids. */
int engine_encode(const struct model *model, const char *text, bool add_bos, uint32_t **ids,
		  size_t *count, struct error *err);

/* All files one after the other as token ids, without bos. */
int engine_encode_files(const struct tokenizer *tokenizer, const struct string_list *files,
			uint32_t **ids, size_t *count, struct error *err);

#endif
