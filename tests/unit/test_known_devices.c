// SPDX-License-Identifier: GPL-2.0-only
/* The file with results: what was kept is found, and what is broken does no harm. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/known_devices.h"

static json_t *make_report(double a_us, double b_us_per_mib, const char *date)
{
	return json_pack("{s:f, s:f, s:s}", "a_us", a_us, "b_us_per_mib", b_us_per_mib, "date",
			 date);
}

static void keep(const char *path, const char *id, double a_us, double b_us_per_mib)
{
	json_t *report = make_report(a_us, b_us_per_mib, "today");
	struct error err;

	assert_ok(known_devices_keep(path, id, report, &err), &err);
	json_decref(report);
}

static void assert_known(const char *path, const char *id, double a_us, double b_us_per_mib)
{
	struct device_cost cost;
	struct error err;
	json_t *report;

	assert_int_equal(known_devices_find(path, id, &cost, &report, &err), 1);
	assert_true(cost.a_us == a_us && cost.b_us_per_mib == b_us_per_mib);
	assert_string_equal(json_string_value(json_object_get(report, "date")), "today");
	json_decref(report);
}

static void assert_unknown(const char *path, const char *id)
{
	struct device_cost cost;
	struct error err;

	assert_int_equal(known_devices_find(path, id, &cost, NULL, &err), 0);
}

static void what_was_kept_is_found(void **state)
{
	const struct folder *folder = *state;
	char *path = path_in(folder->path, "deep/er/devices.json");

	assert_unknown(path, "wwid:1");
	keep(path, "wwid:1", 8.5, 540);
	assert_known(path, "wwid:1", 8.5, 540);
	assert_unknown(path, "wwid:2");
	free(path);
}

static void two_devices_do_not_touch_each_other(void **state)
{
	const struct folder *folder = *state;

	keep(folder->file, "wwid:1", 8.5, 540);
	keep(folder->file, "serial:A disk:7 \"x\"", 12.25, 1003.5);
	keep(folder->file, "wwid:1", 9, 500);
	assert_known(folder->file, "wwid:1", 9, 500);
	assert_known(folder->file, "serial:A disk:7 \"x\"", 12.25, 1003.5);
	assert_int_equal(count_entries(folder->path), 1);
}

/* It is told why, and the next result takes its place. */
static void a_broken_file_is_told_and_replaced(void **state)
{
	static const struct {
		const char *text, *why;
	} broken[] = {
		{ "", "not valid JSON" },
		{ "{\"version\": 1, \"devices\": {\"wwid:1\": {\"a_us\": 8.5, \"b_us_p",
		  "not valid JSON" },
		{ "[1, 2]", "not a JSON object" },
		{ "{\"name\": \"of something else\"}", "version" },
		{ "{\"version\": 2, \"devices\": {}}", "its version is 2" },
		{ "{\"version\": 1, \"devices\": []}", "devices: not an object" },
		{ "{\"version\": 1, \"devices\": {\"wwid:1\": 3}}", "wwid:1: has no a_us" },
		{ "{\"version\": 1, \"devices\": {\"wwid:1\": {\"b_us_per_mib\": 3}}}", "no a_us" },
		{ "{\"version\": 1, \"devices\": {\"wwid:1\": {\"a_us\": 3}}}", "no a_us" },
		{ "{\"version\": 1, \"devices\": {\"wwid:1\": {\"a_us\": -3, \"b_us_per_mib\": 9}}}",
		  "no a_us" },
		{ "{\"version\": 1, \"devices\": {\"wwid:1\": {\"a_us\": 3, "
		  "\"b_us_per_mib\": 1e-9}}}", "no a_us" },
	};
	const struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct device_cost cost = { 1, 2 };
		struct error err;
		int ret;

		write_file(folder->file, broken[i].text, strlen(broken[i].text));
		ret = known_devices_find(folder->file, "wwid:1", &cost, NULL, &err);
		assert_refused_with(ret, &err, folder->file, broken[i].why);
		assert_true(cost.a_us == 1 && cost.b_us_per_mib == 2);
		keep(folder->file, "wwid:1", 8.5, 540);
		assert_known(folder->file, "wwid:1", 8.5, 540);
	}
}

static void assert_not_kept(const char *path, const char *why)
{
	json_t *report = make_report(8.5, 540, "today");
	struct error err;

	assert_refused_with(known_devices_keep(path, "wwid:1", report, &err), &err, path, why);
	json_decref(report);
}

/* Whoever runs this may be root, to whom all is writable but what is no folder. */
static void where_nothing_can_be_kept_that_is_told(void **state)
{
	const struct folder *folder = *state;
	char *below_a_file = path_in(folder->path, "file/devices.json");
	struct device_cost cost;
	struct error err;

	assert_not_kept(folder->path, "is a directory");
	assert_refused_with(known_devices_find(folder->path, "wwid:1", &cost, NULL, &err), &err,
			    folder->path, "not a regular file");
	write_file(folder->file, "x", 1);
	assert_not_kept(below_a_file, "Not a directory");
	assert_refused_with(known_devices_find(below_a_file, "wwid:1", &cost, NULL, &err), &err,
			    below_a_file, "Not a directory");
	free(below_a_file);
}

static void assert_path(const char *cache, const char *home, const char *expected)
{
	struct error err;
	char *path;

	if (cache)
		setenv("XDG_CACHE_HOME", cache, 1);
	else
		unsetenv("XDG_CACHE_HOME");
	if (home)
		setenv("HOME", home, 1);
	else
		unsetenv("HOME");
	if (!expected) {
		assert_int_equal(known_devices_path(&path, &err), -ENOENT);
		assert_says(&err, "HOME");
		return;
	}
	assert_ok(known_devices_path(&path, &err), &err);
	assert_string_equal(path, expected);
	free(path);
}

static void the_place_follows_the_environment(void **state)
{
	const char *without = geteuid() == 0 ? "/var/cache/colink/devices.json" : NULL;

	(void)state;
	assert_path("/tmp/cache", "/home/me", "/tmp/cache/colink/devices.json");
	assert_path(NULL, "/home/me", "/home/me/.cache/colink/devices.json");
	assert_path("", "/home/me", "/home/me/.cache/colink/devices.json");
	assert_path("relative", "/home/me", "/home/me/.cache/colink/devices.json");
	assert_path(NULL, NULL, without);
	assert_path(NULL, "", without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(what_was_kept_is_found),
		folder_test(two_devices_do_not_touch_each_other),
		folder_test(a_broken_file_is_told_and_replaced),
		folder_test(where_nothing_can_be_kept_that_is_told),
		cmocka_unit_test(the_place_follows_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
