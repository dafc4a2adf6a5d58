// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/byte_vocabulary.h"

#include <string.h>

#include "base/utf8.h"
#include "model/byte_symbols.h"

void byte_vocabulary_make(struct byte_vocabulary *bytes)
{
	memset(bytes, 0, sizeof(*bytes));
	for (unsigned int i = 0; i < BYTE_TOKENS; i++) {
		bool bos = i == BYTE_BOS;

		if (!bos)
			utf8_encode(byte_to_symbol((uint8_t)i), bytes->symbols[i]);
		bytes->tokens[i] = bos ? "<s>" : bytes->symbols[i];
		bytes->types[i] = bos ? TOKEN_CONTROL : TOKEN_NORMAL;
	}
	bytes->vocabulary = (struct vocabulary){
		.n_tokens = BYTE_TOKENS, .tokens = bytes->tokens, .types = bytes->types,
		.merges = bytes->tokens, .bos = BYTE_BOS, .eos = BYTE_BOS,
		.pad = TOKEN_NONE, .unknown = TOKEN_NONE, .add_bos = true,
	};
}
