// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk image whose reads cost what those of flash do: t = a * ios + b * bytes, served
 * one after the other (Documentation/benchmarks.rst). A plugin for nbdkit(1):
 *
 *   nbdkit -U SOCKET -t 32 shaped_disk.so file=IMAGE a_us=N b_us_per_mib=N
 *
 * A read is done when the disk, had it begun when it was free, would be done with it.
 * Writes cost nothing: they are not what is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static char *path;
static unsigned int a_us;
static unsigned int b_us_per_mib;
static int fd = -1;

/* When the disk is free again, on CLOCK_MONOTONIC; under the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t free_at_ns;

static int shaped_config(const char *key, const char *value)
{
	if (!strcmp(key, "file")) {
		path = nbdkit_realpath(value);
		return path ? 0 : -1;
	}
	if (!strcmp(key, "a_us"))
		return nbdkit_parse_unsigned(key, value, &a_us);
	if (!strcmp(key, "b_us_per_mib"))
		return nbdkit_parse_unsigned(key, value, &b_us_per_mib);
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

static int shaped_config_complete(void)
{
	if (path)
		return 0;
	nbdkit_error("file=IMAGE is missing");
	return -1;
}

static int shaped_get_ready(void)
{
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	nbdkit_error("%s: %m", path);
	return -1;
}

static void shaped_unload(void)
{
	if (fd >= 0)
		close(fd);
	free(path);
}

static void *shaped_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t shaped_get_size(void *handle)
{
	struct stat status;

	(void)handle;
	return fstat(fd, &status) ? -1 : status.st_size;
}

/* Take the disk's next stretch of time; returns its end. */
static uint64_t serve(uint32_t bytes)
{
	uint64_t cost = a_us * UINT64_C(1000) + b_us_per_mib * UINT64_C(1000) * bytes / (1 << 20);
	struct timespec now;
	uint64_t now_ns, end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	pthread_mutex_lock(&lock);
	if (free_at_ns < now_ns)
		free_at_ns = now_ns;
	free_at_ns += cost;
	end = free_at_ns;
	pthread_mutex_unlock(&lock);
	return end;
}

static void sleep_until(uint64_t ns)
{
	struct timespec end = { ns / 1000000000, ns % 1000000000 };

	/* Not 50 microseconds later, as threads are woken otherwise. */
	prctl(PR_SET_TIMERSLACK, 1);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
}

static int shaped_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
			uint32_t flags)
{
	uint64_t end = serve(count);

	(void)handle;
	(void)flags;
	if (pread(fd, buffer, count, offset) != (ssize_t)count) {
		nbdkit_error("%s: cannot read %u bytes at %llu", path, count,
			     (unsigned long long)offset);
		return -1;
	}
	sleep_until(end);
	return 0;
}

static int shaped_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
			 uint32_t flags)
{
	(void)handle;
	(void)flags;
	if (pwrite(fd, buffer, count, offset) == (ssize_t)count)
		return 0;
	nbdkit_error("%s: cannot write %u bytes at %llu", path, count, (unsigned long long)offset);
	return -1;
}

static int shaped_flush(void *handle, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "shaped-disk",
	.description = "a disk image with the cost of flash",
	.config = shaped_config,
	.config_complete = shaped_config_complete,
	.get_ready = shaped_get_ready,
	.unload = shaped_unload,
	.open = shaped_open,
	.get_size = shaped_get_size,
	.pread = shaped_pread,
	.pwrite = shaped_pwrite,
	.flush = shaped_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
