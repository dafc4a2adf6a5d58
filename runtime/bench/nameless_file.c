// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/nameless_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int nameless_file_open(const char *directory, const char *path)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || errno != EOPNOTSUPP)
		return fd;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		unlink(path);
	return fd;
}
