/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GPT-2's pre-tokenizer: cuts text into pieces (a word with the blank before it,
 * a number, a run of signs, a run of blanks), inside which merges happen. Every
 * byte of a text belongs to exactly one piece.
 */
#ifndef COLINK_MODEL_PRETOKENIZER_H
#define COLINK_MODEL_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The compiled pattern. Immutable: any number of threads may use it. */
struct pretokenizer;

/*
 * `jit` asks for machine code; where the system forbids that, or without `jit`,
 * the pattern is interpreted, with the same result.
 */
int pretokenizer_create(bool jit, struct pretokenizer **pretokenizer, struct error *err);
void pretokenizer_destroy(struct pretokenizer *pretokenizer);

/* The scratch memory of one thread that splits texts. */
struct splitter;

int splitter_create(const struct pretokenizer *pretokenizer, struct splitter **splitter,
		    struct error *err);
void splitter_destroy(struct splitter *splitter);

/*
 * The end of the piece that starts at `from`, both offsets into `text`, which is
 * valid UTF-8; `from` is less than `length`. What follows `length` is not looked at.
 */
int splitter_next(struct splitter *splitter, const char *text, size_t length, size_t from,
		  size_t *end, struct error *err);

#endif
