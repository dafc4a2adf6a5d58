// SPDX-License-Identifier: GPL-2.0-only
#include "base/byte_size.h"

#include <errno.h>
#include <stdlib.h>

#include "base/amount.h"

/* How many bits a suffix shifts by; -1: there is no such suffix. */
static int shift_of(char suffix)
{
	switch (suffix) {
	case '\0':
		return 0;
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	default:
		return -1;
	}
}

bool byte_size_parse(const char *text, uint64_t *bytes)
{
	uint64_t number;
	char *end;
	int shift;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	shift = shift_of(*end);
	if (errno || shift < 0 || (*end && end[1]))
		return false;
	number = amount_product(number, UINT64_C(1) << shift);
	if (number > INT64_MAX)
		return false;
	*bytes = number;
	return true;
}
