/* SPDX-License-Identifier: GPL-2.0-only */
/* Folders for what is imported and what comes of it, as a cmocka fixture. */
#ifndef COLINK_TESTS_HELPERS_IMPORT_FOLDER_H
#define COLINK_TESTS_HELPERS_IMPORT_FOLDER_H

#include "helpers/opt_checkpoint.h"

#define OPT_PREFIX "model.decoder."

struct import_folder {
	char *path; /* the folder of: */
	char *source; /* the checkpoint's folder, "opt-tiny", empty at first */
	char *results; /* the folder of nothing but: */
	char *output;
};

/* The state is a struct import_folder. */
int import_folder_make(void **state);
int import_folder_remove(void **state);

/* A test with such folders in a list of tests. */
#define import_test(test) \
	cmocka_unit_test_setup_teardown(test, import_folder_make, import_folder_remove)

/* An empty folder in place of the one that is there. */
void clear_folder(const char *path);

/* Fails unless the folder is empty. */
void assert_empty(const char *path);

/* A checkpoint of this shape, f32, in one safetensors file, in place of the last one. */
void write_source(const struct import_folder *folder, const struct opt_shape *shape);

/* Import the source to the output; fails unless that works. */
void import_source(const struct import_folder *folder);

#endif
