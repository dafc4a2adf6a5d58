// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/folder_test.h"

#include <stdlib.h>

int folder_set_up(void **state)
{
	struct folder *folder = malloc(sizeof(*folder));

	assert_non_null(folder);
	folder->path = make_folder();
	folder->file = path_in(folder->path, "file");
	*state = folder;
	return 0;
}

int folder_tear_down(void **state)
{
	struct folder *folder = *state;

	remove_folder(folder->path);
	free(folder->file);
	free(folder);
	return 0;
}
