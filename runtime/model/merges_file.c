// SPDX-License-Identifier: GPL-2.0-only
/* Lines are cut in place: the array of merges points into the file's text. */
#define _GNU_SOURCE
#include "model/merges_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)

int merges_file_read(const char *directory, struct merges_file *file, struct error *err)
{
	size_t valid;
	int ret;

	*file = (struct merges_file){ 0 };
	if (asprintf(&file->path, "%s/merges.txt", directory) < 0) {
		file->path = NULL;
		return error_no_memory(err, directory);
	}
	ret = file_read_text(file->path, MAX_FILE_BYTES, &file->text, &file->length, err);
	if (ret < 0)
		return ret;
	valid = utf8_valid_prefix(file->text, file->length);
	if (valid != file->length || strlen(file->text) != file->length)
		return error_set(err, -EINVAL, "%s: not UTF-8 text: offset %zu", file->path,
				 valid != file->length ? valid : strlen(file->text));
	return 0;
}

void merges_file_free(struct merges_file *file)
{
	free(file->path);
	free(file->text);
}

static bool is_merge(const char *line)
{
	const char *blank = strchr(line, ' ');

	return blank && blank != line && blank[1] && !strchr(blank + 1, ' ');
}

/* Cut off the line that starts at `line`; returns the start of the next one, or NULL. */
static char *cut_line(char *line)
{
	char *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	if (end > line && end[-1] == '\r')
		end[-1] = '\0';
	return end + 1;
}

int merges_file_list(struct merges_file *file, const char ***result, uint32_t *n_merges,
		     struct error *err)
{
	const char **merges;
	size_t lines = 1;
	uint32_t number = 0;
	uint32_t n = 0;

	for (size_t i = 0; i < file->length; i++)
		lines += file->text[i] == '\n';
	merges = malloc(lines * sizeof(*merges));
	if (!merges)
		return error_no_memory(err, file->path);
	for (char *line = file->text, *next; line; line = next) {
		next = cut_line(line);
		number++;
		if (!*line || (number == 1 && !strncmp(line, "#version", 8)))
			continue;
		if (!is_merge(line)) {
			free(merges);
			return error_set(err, -EINVAL,
					 "%s: line %u is not two tokens with a blank between them",
					 file->path, number);
		}
		merges[n++] = line;
	}
	*result = merges;
	*n_merges = n;
	return 0;
}
