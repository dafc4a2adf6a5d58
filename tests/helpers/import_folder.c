// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/import_folder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helpers/test.h"
#include "model/import_opt.h"

int import_folder_make(void **state)
{
	struct import_folder *folder = malloc(sizeof(*folder));

	assert_non_null(folder);
	folder->path = make_folder();
	folder->source = path_in(folder->path, "opt-tiny");
	folder->results = path_in(folder->path, "results");
	folder->output = path_in(folder->results, "model.gguf");
	assert_int_equal(mkdir(folder->source, 0700), 0);
	assert_int_equal(mkdir(folder->results, 0700), 0);
	*state = folder;
	return 0;
}

int import_folder_remove(void **state)
{
	struct import_folder *folder = *state;

	remove_folder(folder->path);
	free(folder->source);
	free(folder->results);
	free(folder->output);
	free(folder);
	return 0;
}

void clear_folder(const char *path)
{
	remove_folder(strdup(path));
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Only an empty folder can be removed. */
void assert_empty(const char *path)
{
	if (rmdir(path) < 0)
		fail_msg("%s is not empty", path);
	assert_int_equal(mkdir(path, 0700), 0);
}

void write_source(const struct import_folder *folder, const struct opt_shape *shape)
{
	struct opt_checkpoint *checkpoint = opt_checkpoint_make(shape, OPT_PREFIX, CHECKPOINT_F32);

	clear_folder(folder->source);
	opt_checkpoint_write(checkpoint, folder->source, TEST_SAFETENSORS);
	opt_checkpoint_free(checkpoint);
}

void import_source(const struct import_folder *folder)
{
	struct error err;

	assert_ok(import_opt(folder->source, folder->output, NULL, &err), &err);
}
