/* SPDX-License-Identifier: GPL-2.0-only */
/* A vocabulary that any text can be written in: a token per byte, and bos. */
#ifndef COLINK_TESTS_HELPERS_BYTE_VOCABULARY_H
#define COLINK_TESTS_HELPERS_BYTE_VOCABULARY_H

#include <stdint.h>

#include "model/vocabulary.h"

#define BYTE_TOKENS 257
#define BYTE_BOS 256

struct byte_vocabulary {
	struct vocabulary vocabulary; /* points to what follows: do not copy */
	const char *tokens[BYTE_TOKENS];
	char symbols[BYTE_TOKENS][8];
	uint8_t types[BYTE_TOKENS];
};

void byte_vocabulary_make(struct byte_vocabulary *bytes);

#endif
