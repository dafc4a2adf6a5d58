/* SPDX-License-Identifier: GPL-2.0-only */
/* A vocabulary while it is read: what vocabulary.c and vocabulary_special.c share. */
#ifndef COLINK_MODEL_VOCABULARY_READER_H
#define COLINK_MODEL_VOCABULARY_READER_H

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"
#include "model/merges_file.h"
#include "model/vocabulary.h"

enum vocabulary_source {
	VOCAB,
	ADDED_TOKENS,
	CONFIG,
	SPECIAL_TOKENS_MAP,
	N_SOURCES,
};

extern const char *const vocabulary_source_names[N_SOURCES];

struct vocabulary_reader {
	char *paths[N_SOURCES];
	json_t *json[N_SOURCES]; /* NULL where the file is missing */
	struct merges_file merges;
	struct vocabulary *vocabulary;
	struct error *err;
};

/* The id of a token by its text, or TOKEN_NONE. */
uint32_t vocabulary_find_token(const struct vocabulary_reader *reader, const char *text);

/* Put a token of file `source` into the table. `text` lives as long as the reader. */
int vocabulary_add_token(struct vocabulary_reader *reader, enum vocabulary_source source,
			 const char *text, json_int_t id, enum token_type type);

/* Added and special tokens, and the ids of the named ones; vocab.json has been read. */
int vocabulary_read_special(struct vocabulary_reader *reader);

#endif
