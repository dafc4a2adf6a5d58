// SPDX-License-Identifier: GPL-2.0-only
/* Where text is cut, by machine code and by the interpreter, on short and long texts. */
#include "helpers/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/pretokenizer.h"

/* What Python's regex module finds; pieces are separated by '|'. */
static const char *const splits[] = {
	"Hello|,| world|!",
	"I|'d| say| they|'ll|;| it|'s| I|'m|,| we|'ve|,| you|'re|,| don|'t",
	"I|'|D| it|'|S", /* only lower case */
	"'s|elf",	 /* the suffix goes before the letters */
	"a|1|b|22| 333|c",
	"x|  | y",
	"x| |\t|y",
	"a|\n|\n|b",
	"a|\n\n|\n|b",
	"end|   ",
	" \n| x",		/* the blank before a word is a space, nothing else */
	" 3|.|14| =| \xcf\x80", /* pi */
	"\xd0\x9f\xd1\x80\xd0\xb8|,| \xe4\xb8\x96\xe7\x95\x8c|!", /* Cyrillic, Chinese */
	"\xc2\xbd| \xc2\xb2|x|\xe2\x85\xa7", /* fractions, powers and Roman numerals are numbers */
	"e|\xcc\x81|x",			     /* a combining mark is a sign */
	"\xf0\x9f\x98\x80\xf0\x9f\x8e\x89| \xf0\x9f\x98\x80",
	"a|\xc2\xa0|b",			   /* U+00A0 */
	"a|\xe3\x80\x80|\xe3\x80\x80|b",   /* U+3000 */
	"a|\xc2\x85|b",			   /* U+0085 */
	"a|\x1c|b| \x1c\x1d!",		   /* separators of ASCII are signs */
	"a|\xe1\xa0\x8e|b| \xe1\xa0\x8e!", /* so is U+180E */
	"a|\xe2\x80\x8b|b",		   /* and U+200B */
};

struct tools {
	struct pretokenizer *pretokenizer;
	struct splitter *splitter;
};

static void tools_create(bool jit, struct tools *tools)
{
	struct error err;

	assert_ok(pretokenizer_create(jit, &tools->pretokenizer, &err), &err);
	assert_ok(splitter_create(tools->pretokenizer, &tools->splitter, &err), &err);
}

static void tools_destroy(struct tools *tools)
{
	splitter_destroy(tools->splitter);
	pretokenizer_destroy(tools->pretokenizer);
}

static size_t next(struct tools *tools, const char *text, size_t length, size_t from)
{
	struct error err;
	size_t end = from;

	assert_ok(splitter_next(tools->splitter, text, length, from, &end, &err), &err);
	assert_true(end > from && end <= length);
	return end;
}

static void check_split(struct tools *tools, const char *expected)
{
	char text[256], marked[512];
	size_t length = 0, n = 0;

	for (const char *c = expected; *c; c++)
		if (*c != '|')
			text[length++] = *c;
	for (size_t from = 0; from < length;) {
		size_t end = next(tools, text, length, from);

		if (from)
			marked[n++] = '|';
		memcpy(marked + n, text + from, end - from);
		n += end - from;
		from = end;
	}
	marked[n] = '\0';
	assert_string_equal(marked, expected);
}

static void cuts_as_gpt2(void **state)
{
	(void)state;
	for (int jit = 0; jit < 2; jit++) {
		struct tools tools;

		tools_create(jit, &tools);
		for (size_t i = 0; i < sizeof(splits) / sizeof(*splits); i++)
			check_split(&tools, splits[i]);
		tools_destroy(&tools);
	}
}

/* The 25 characters with the property White_Space, and no others, are blanks. */
static void blanks_are_white_space(void **state)
{
	struct tools tools;

	(void)state;
	tools_create(true, &tools);
	for (uint32_t c = 0; c < 0x110000; c++) {
		bool blank = (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 ||
			     c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
			     c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
		char text[5];
		size_t n;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		/* Two blanks before a word are cut apart; anything else never is. */
		n = utf8_encode(c, text);
		memcpy(text + n, "\t", 1);
		assert_int_equal(next(&tools, text, n + 1, 0), blank ? n + 1 : n);
	}
	tools_destroy(&tools);
}

static void long_runs(void **state)
{
	enum { LENGTH = 1000000 };
	char *text = malloc(LENGTH + 1);

	(void)state;
	assert_non_null(text);
	for (int jit = 0; jit < 2; jit++) {
		struct tools tools;

		tools_create(jit, &tools);
		for (const char *c = "a1! \n"; *c; c++) {
			memset(text, *c, LENGTH);
			text[LENGTH] = *c == 'a' ? '1' : 'a';
			assert_int_equal(next(&tools, text, LENGTH, 0), LENGTH);
			assert_int_equal(next(&tools, text, LENGTH + 1, 0),
					 *c == ' ' || *c == '\n' ? LENGTH - 1 : LENGTH);
		}
		tools_destroy(&tools);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blanks_are_white_space),
		cmocka_unit_test(cuts_as_gpt2),
		cmocka_unit_test(long_runs),
	};

	return cmocka_run_group_tests_name("pretokenizer", tests, NULL, NULL);
}
