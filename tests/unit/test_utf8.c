// SPDX-License-Identifier: GPL-2.0-only
/* What is UTF-8 and what is not, and streams that are cut anywhere. */
#include "helpers/test.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

#define FFFD "\xef\xbf\xbd"

/*
 * Bytes and what Python's decode("utf-8", "replace") makes of them; `valid` is
 * the length of the valid prefix.
 */
static const struct {
	const char *bytes;
	size_t valid;
	const char *text;
} cases[] = {
	{ "", 0, "" },
	{ "abc", 3, "abc" },
	{ "\xc2\x80\xdf\xbf", 4, "\xc2\x80\xdf\xbf" },
	{ "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12,
	  "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
	{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
	{ "a\x80z", 1, "a" FFFD "z" },
	{ "a\xff", 1, "a" FFFD },
	{ "\xc0\x80", 0, FFFD FFFD },
	{ "\xc1\xbf", 0, FFFD FFFD },
	{ "\xc2", 0, FFFD },
	{ "\xc2z", 0, FFFD "z" },
	{ "\xc2\xc2\x80", 0, FFFD "\xc2\x80" },
	{ "\xe0\x80\x80", 0, FFFD FFFD FFFD },
	{ "\xe0\x9f\xbf", 0, FFFD FFFD FFFD },
	{ "\xe0\xa0", 0, FFFD },
	{ "\xe0\xa0z", 0, FFFD "z" },
	{ "\xe1\x80\xe1\x80\x80", 0, FFFD "\xe1\x80\x80" },
	{ "\xed\xa0\x80", 0, FFFD FFFD FFFD },
	{ "\xed\xbf\xbf", 0, FFFD FFFD FFFD },
	{ "\xf0\x80\x80\x80", 0, FFFD FFFD FFFD FFFD },
	{ "\xf0\x8f\xbf\xbf", 0, FFFD FFFD FFFD FFFD },
	{ "\xf0\x90", 0, FFFD },
	{ "\xf0\x90\x80", 0, FFFD },
	{ "\xf0\x90\x80z", 0, FFFD "z" },
	{ "\xf0\x90\x80\xf0\x90\x80\x80", 0, FFFD "\xf0\x90\x80\x80" },
	{ "\xf1\x80\x80\xc3\xa9", 0, FFFD "\xc3\xa9" },
	{ "\xf4\x90\x80\x80", 0, FFFD FFFD FFFD FFFD },
	{ "\xf5\x80\x80\x80", 0, FFFD FFFD FFFD FFFD },
	{ "\xf8\x88\x80\x80\x80", 0, FFFD FFFD FFFD FFFD FFFD },
	{ "ok\xf0\x9f\x98", 2, "ok" FFFD },
};

static void valid_prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *bytes = cases[i].bytes;

		assert_int_equal(utf8_valid_prefix(bytes, strlen(bytes)), cases[i].valid);
		assert_int_equal(utf8_valid_prefix(cases[i].text, strlen(cases[i].text)),
				 strlen(cases[i].text));
	}
	assert_int_equal(utf8_valid_prefix("a\0b\xff", 4), 3);
}

/* Push `bytes` in two parts, cut at `cut`. */
static void check_stream(const char *bytes, size_t cut, const char *expected)
{
	struct utf8_stream stream = { 0 };
	size_t length = strlen(bytes);
	char out[UTF8_STREAM_ROOM(16) + 1];
	size_t n;

	assert_true(length <= 16);
	n = utf8_stream_push(&stream, bytes, cut, out);
	assert_int_equal(utf8_valid_prefix(out, n), n);
	n += utf8_stream_push(&stream, bytes + cut, length - cut, out + n);
	assert_int_equal(utf8_valid_prefix(out, n), n);
	n += utf8_stream_end(&stream, out + n);
	out[n] = '\0';
	assert_string_equal(out, expected);
	assert_int_equal(utf8_stream_end(&stream, out), 0);
}

static void streams_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t cut = 0; cut <= strlen(cases[i].bytes); cut++)
			check_stream(cases[i].bytes, cut, cases[i].text);
}

static void streams_give_characters_when_complete(void **state)
{
	struct utf8_stream stream = { 0 };
	char out[UTF8_STREAM_ROOM(1)];

	(void)state;
	assert_int_equal(utf8_stream_push(&stream, "\xf0", 1, out), 0);
	assert_int_equal(utf8_stream_push(&stream, "\x9f", 1, out), 0);
	assert_int_equal(utf8_stream_push(&stream, "\x98", 1, out), 0);
	assert_int_equal(utf8_stream_push(&stream, "\x80", 1, out), 4);
	assert_memory_equal(out, "\xf0\x9f\x98\x80", 4);
	assert_int_equal(utf8_stream_push(&stream, "\0", 1, out), 1);
	assert_int_equal(out[0], 0);
}

static void the_worst_input_fits(void **state)
{
	struct utf8_stream stream = { 0 };
	char bytes[64];
	char out[UTF8_STREAM_ROOM(sizeof(bytes))];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(utf8_stream_push(&stream, "\xf0\x90\x80", 3, out), 0);
	assert_int_equal(utf8_stream_push(&stream, bytes, sizeof(bytes), out),
			 3 * (sizeof(bytes) + 1));
}

static void every_code_point_survives(void **state)
{
	(void)state;
	for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
		bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
		char bytes[4];
		uint32_t back;
		size_t n = utf8_encode(code_point, bytes);

		assert_int_equal(utf8_valid_prefix(bytes, n), surrogate ? 0 : n);
		for (size_t cut = 1; cut < n; cut++)
			assert_int_equal(utf8_valid_prefix(bytes, cut), 0);
		if (surrogate)
			continue;
		assert_int_equal(utf8_decode(bytes, &back), n);
		assert_int_equal(back, code_point);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_survives),
		cmocka_unit_test(streams_cut_anywhere),
		cmocka_unit_test(streams_give_characters_when_complete),
		cmocka_unit_test(the_worst_input_fits),
		cmocka_unit_test(valid_prefixes),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
