// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

void assert_refused_with(int ret, const struct error *err, const char *text, const char *other)
{
	if (ret >= 0)
		fail_msg("accepted, where \"%s\" was expected", text);
	assert_int_equal(err->code, ret);
	assert_says(err, text);
	assert_says(err, other);
}

char *make_folder(void)
{
	const char *parent = getenv("TMPDIR");
	char *folder;

	if (asprintf(&folder, "%s/colink-test-XXXXXX", parent ? parent : "/tmp") < 0 ||
	    !mkdtemp(folder))
		fail_msg("cannot make a folder: %s", strerror(errno));
	return folder;
}

void remove_folder(char *folder)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		char *path;
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		path = path_in(folder, entry->d_name);
		if (!lstat(path, &st) && S_ISDIR(st.st_mode)) {
			remove_folder(path);
			continue;
		}
		unlink(path);
		free(path);
	}
	closedir(directory);
	rmdir(folder);
	free(folder);
}

char *path_in(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		fail_msg("out of memory");
	return path;
}

char *data_path(const char *name)
{
	const char *top = getenv("COLINK_TOP");
	char *path;

	if (asprintf(&path, "%s/tests/data/%s", top ? top : ".", name) < 0)
		fail_msg("out of memory");
	return path;
}

void write_file(const char *path, const void *data, size_t length)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(data, 1, length, file) != length || fclose(file))
		fail_msg("%s: %s", path, strerror(errno));
}

char *file_contents(const char *path, size_t *length)
{
	struct error err;
	char *text;

	assert_ok(file_read_text(path, 64 << 20, &text, length, &err), &err);
	return text;
}

size_t count_entries(const char *folder)
{
	DIR *directory = opendir(folder);
	size_t n = 0;

	assert_non_null(directory);
	while (readdir(directory))
		n++;
	closedir(directory);
	return n - 2; /* "." and ".." */
}
