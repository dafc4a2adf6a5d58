/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests that need one file in a folder of their own, as a cmocka fixture. */
#ifndef COLINK_TESTS_HELPERS_FOLDER_TEST_H
#define COLINK_TESTS_HELPERS_FOLDER_TEST_H

#include "helpers/test.h"

/* The state of such a test. */
struct folder {
	char *path; /* fresh and empty */
	char *file; /* in the folder; not there at first */
};

int folder_set_up(void **state);
int folder_tear_down(void **state);

/* Such a test in a list of tests. */
#define folder_test(test) cmocka_unit_test_setup_teardown(test, folder_set_up, folder_tear_down)

#endif
