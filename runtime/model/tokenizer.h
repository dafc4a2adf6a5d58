/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GPT-2 byte-level BPE: text to token ids and back, the same ids as Hugging
 * Face's GPT2Tokenizer gives. Text is split by GPT-2's pattern (PCRE2), each
 * piece is turned into byte symbols, and the best-ranked neighbouring pair is
 * merged until none is left. Control and added tokens are recognised before that
 * by their literal text: the longest one at the leftmost place.
 *
 * A tokenizer is immutable after creation: any number of threads may use it.
 */
#ifndef COLINK_MODEL_TOKENIZER_H
#define COLINK_MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/vocabulary.h"

struct tokenizer;

/*
 * Copies what it needs: the vocabulary may be freed afterwards. Refused: a token
 * twice or without text, a merge that is there twice or whose halves or result are
 * no tokens, a byte without a token, a bos or eos out of range. `origin` (a path)
 * is for messages.
 */
int tokenizer_create(const struct vocabulary *vocabulary, const char *origin,
		     struct tokenizer **tokenizer, struct error *err);
void tokenizer_destroy(struct tokenizer *tokenizer);

uint32_t tokenizer_bos(const struct tokenizer *tokenizer);
uint32_t tokenizer_eos(const struct tokenizer *tokenizer);

/*
 * Encode `length` bytes. With `add_bos`, bos comes first if the vocabulary says
 * so. Text that is not UTF-8 is refused (-EILSEQ) with the byte offset. *ids
 * belongs to the caller (free), *count is how many. Linear in time for ordinary
 * text and never worse than n log n, also for one piece of a million letters. At
 * most 2^31 - 1 bytes at once (-EFBIG).
 */
int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
		     bool add_bos, uint32_t **ids, size_t *count, struct error *err);

/*
 * The bytes that a token stands for: what a normal token's byte symbols say (its
 * text, if it is made of others), an added token's text, nothing for a control or
 * unused token or an id out of range. A character may be spread over tokens, so
 * the bytes may be cut anywhere (see base/utf8.h). *bytes lives as long as the
 * tokenizer.
 */
size_t tokenizer_bytes(const struct tokenizer *tokenizer, uint32_t id, const char **bytes);

#endif
