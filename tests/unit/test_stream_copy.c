// SPDX-License-Identifier: GPL-2.0-only
/* Every byte, and none beside them, wherever source and destination begin. */
#include "helpers/test.h"

#include <string.h>

#include "base/random.h"
#include "base/stream_copy.h"

#define ROOM 5000

static void copies_like_memcpy(void **state)
{
	static unsigned char from[ROOM], to[ROOM], expected[ROOM];
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	for (size_t i = 0; i < ROOM; i++)
		from[i] = (unsigned char)random_next(&random);
	for (int round = 0; round < 20000; round++) {
		size_t bytes = random_below(&random, round % 2 ? 100 : 4096);
		size_t source = random_below(&random, ROOM - bytes);
		size_t destination = random_below(&random, ROOM - bytes);

		if (round % 3)
			destination -= destination % 16;
		memset(to, round, ROOM);
		memset(expected, round, ROOM);
		memcpy(expected + destination, from + source, bytes);
		stream_copy(to + destination, from + source, bytes);
		assert_memory_equal(to, expected, ROOM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(copies_like_memcpy) };

	return cmocka_run_group_tests_name("stream_copy", tests, NULL, NULL);
}
