// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/disk.h"

#include <errno.h>

#include "bench/extent_file.h"
#include "helpers/test.h"

void need_disk(const char *folder)
{
	struct extent_file file;
	struct error err;
	int ret = extent_file_create(folder, EXTENT_PAGE, &file, &err);

	if (ret == -EBUSY || ret == -ENODATA)
		skip();
	assert_ok(ret, &err);
	extent_file_remove(&file);
}
