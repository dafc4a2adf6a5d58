// SPDX-License-Identifier: GPL-2.0-only
/* A posix_fadvise(2) for each run: the caller itself brings the reads on their way. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "library/prefetcher.h"

static int fadvise_open(struct colink_prefetcher *prefetcher, struct error *err)
{
	int error = posix_fadvise(prefetcher->fd, 0, 1, POSIX_FADV_WILLNEED);

	if (error)
		return error_set(err, -error, "%s: posix_fadvise: %s", prefetcher->name,
				 strerror(error));
	return 0;
}

static void fadvise_close(struct colink_prefetcher *prefetcher)
{
	(void)prefetcher;
}

static int fadvise_ask(struct colink_prefetcher *prefetcher, unsigned int flags,
		       struct colink_prefetch_counts *counts)
{
	struct advice_cursor cursor = { 0 };
	uint64_t offset, bytes;
	int ret = advice_plan(prefetcher, counts);

	if (ret < 0)
		return ret;
	while (advice_next(prefetcher, &cursor, &offset, &bytes)) {
		int error = posix_fadvise(prefetcher->fd, (off_t)offset, (off_t)bytes,
					  POSIX_FADV_WILLNEED);

		if (error)
			return error_set(&prefetcher->error, -error, "%s: posix_fadvise of %"
					 PRIu64 " bytes at %" PRIu64 ": %s", prefetcher->name,
					 bytes, offset, strerror(error));
		counts->ios++;
	}
	return flags & COLINK_PREFETCH_WAIT ? advice_wait(prefetcher) : 0;
}

const struct prefetch_backend prefetch_backend_fadvise = {
	.id = COLINK_BACKEND_FADVISE,
	.name = "posix_fadvise",
	.open = fadvise_open,
	.close = fadvise_close,
	.ask = fadvise_ask,
};
