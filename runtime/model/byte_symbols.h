/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GPT-2's byte symbols: every byte is written as one printable code point, so
 * that tokens of arbitrary bytes are text without blanks. A byte that is a
 * printable character of Latin-1 stands for itself; the 68 others (controls,
 * blanks, the soft hyphen) are U+0100 onwards, in the order of their values.
 */
#ifndef COLINK_MODEL_BYTE_SYMBOLS_H
#define COLINK_MODEL_BYTE_SYMBOLS_H

#include <stdint.h>

#define BYTE_SYMBOL_NONE (-1)

static inline uint32_t byte_to_symbol(uint8_t byte)
{
	if (byte <= 0x20)
		return 0x100 + byte;
	if (byte >= 0x7f && byte <= 0xa0)
		return 0x121 + byte - 0x7f;
	return byte == 0xad ? 0x143 : byte;
}

/* The byte, or BYTE_SYMBOL_NONE for a code point that is nobody's symbol. */
static inline int byte_from_symbol(uint32_t symbol)
{
	if (symbol < 0x100)
		return byte_to_symbol((uint8_t)symbol) == symbol ? (int)symbol : BYTE_SYMBOL_NONE;
	if (symbol <= 0x120)
		return (int)symbol - 0x100;
	if (symbol <= 0x142)
		return (int)symbol - 0x121 + 0x7f;
	return symbol == 0x143 ? 0xad : BYTE_SYMBOL_NONE;
}

#endif
