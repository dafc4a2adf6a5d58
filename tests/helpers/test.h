/* SPDX-License-Identifier: GPL-2.0-only */
/* What every test program in C needs: cmocka, errors, files and temporary folders. */
#ifndef COLINK_TESTS_HELPERS_TEST_H
#define COLINK_TESTS_HELPERS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

/* Fail with the message of `err` unless `ret` is 0 or more. */
#define assert_ok(ret, err) \
	do { \
		if ((ret) < 0) \
			fail_msg("%s", (err)->message); \
	} while (0)

/* Fail unless the message of `err` has `text` in it. */
#define assert_says(err, text) \
	do { \
		if (!strstr((err)->message, text)) \
			fail_msg("\"%s\" does not say \"%s\"", (err)->message, text); \
	} while (0)

/* A call has failed: `ret` is negative and in `err`, whose message has both texts in it. */
void assert_refused_with(int ret, const struct error *err, const char *text, const char *other);

/* A fresh folder under TMPDIR (or the build folder); removed by remove_folder(). */
char *make_folder(void);
void remove_folder(char *folder);

/* "folder/name"; the caller frees it. */
char *path_in(const char *folder, const char *name);

/* The repository's tests/data/NAME, wherever the test runs; the caller frees it. */
char *data_path(const char *name);

/* Create or replace a file. */
void write_file(const char *path, const void *data, size_t length);

/* A whole file, NUL-terminated; the caller frees it. */
char *file_contents(const char *path, size_t *length);

/* Files and folders in a folder. */
size_t count_entries(const char *folder);

#endif
