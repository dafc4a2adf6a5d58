// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/random_file.h"

#include <stdlib.h>

#include "base/random.h"
#include "helpers/test.h"

void random_file_make(struct random_file *file, uint64_t seed, size_t size)
{
	struct random_state random;

	file->folder = make_folder();
	file->path = path_in(file->folder, "file");
	file->content = malloc(size);
	file->size = size;
	assert_non_null(file->content);
	random_seed(&random, seed);
	for (size_t i = 0; i < size; i++)
		file->content[i] = (char)random_next(&random);
	random_file_restore(file);
}

void random_file_remove(struct random_file *file)
{
	free(file->content);
	free(file->path);
	remove_folder(file->folder);
}

void random_file_restore(const struct random_file *file)
{
	write_file(file->path, file->content, file->size);
}
