// SPDX-License-Identifier: GPL-2.0-only
/* Sizes as people write them, and what is none. */
#include "helpers/test.h"

#include "base/byte_size.h"

static void assert_is(const char *text, uint64_t expected)
{
	uint64_t bytes = 7;

	if (!byte_size_parse(text, &bytes) || bytes != expected)
		fail_msg("'%s' is read as %llu", text, (unsigned long long)bytes);
}

static void assert_is_none(const char *text)
{
	uint64_t bytes = 7;

	if (byte_size_parse(text, &bytes))
		fail_msg("'%s' is read as %llu", text, (unsigned long long)bytes);
	assert_int_equal(bytes, 7);
}

static void numbers_and_suffixes(void **state)
{
	(void)state;
	assert_is("0", 0);
	assert_is("1", 1);
	assert_is("4096", 4096);
	assert_is("007", 7);
	assert_is("3K", 3072);
	assert_is("3k", 3072);
	assert_is("512M", UINT64_C(512) << 20);
	assert_is("512m", UINT64_C(512) << 20);
	assert_is("2G", UINT64_C(2) << 30);
	assert_is("2g", UINT64_C(2) << 30);
	assert_is("0G", 0);
}

static void nonsense(void **state)
{
	static const char *const texts[] = {
		"", " ", " 1", "1 ", "-1", "+1", "K", "x", "1x", "1KK", "1KiB", "1KB", "1B", "1.5G",
		"1e9", "0x10", "1 K", "1T", "eight",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_is_none(texts[i]);
}

static void too_much(void **state)
{
	(void)state;
	assert_is("9223372036854775807", INT64_MAX);
	assert_is_none("9223372036854775808");
	assert_is_none("18446744073709551615");
	assert_is_none("18446744073709551616");
	assert_is_none("99999999999999999999999999");
	assert_is("9007199254740991K", UINT64_C(9007199254740991) << 10);
	assert_is_none("9007199254740992K");
	assert_is("8589934591G", UINT64_C(8589934591) << 30);
	assert_is_none("8589934592G");
	assert_is_none("17179869184G"); /* 2^64 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_suffixes),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests_name("byte_size", tests, NULL, NULL);
}
