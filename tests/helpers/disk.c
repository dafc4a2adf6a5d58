// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/disk.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helpers/test.h"

void need_disk(const char *folder)
{
	struct stat status;
	char path[64];

	assert_int_equal(stat(folder, &status), 0);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(status.st_dev),
		 minor(status.st_dev));
	if (access(path, R_OK))
		skip();
}
