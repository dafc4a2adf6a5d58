// SPDX-License-Identifier: GPL-2.0-only
#include "storage/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The device's own, its disk's if it is a partition, that of a file system without one. */
static const char *const places[] = {
	"/sys/dev/block/%u:%u/queue/read_ahead_kb",
	"/sys/dev/block/%u:%u/../queue/read_ahead_kb",
	"/sys/class/bdi/%u:%u/read_ahead_kb",
};

struct setting {
	char path[64];
	int fd; /* for reading, and where it may be for writing */
	uint32_t kib;
};

static int read_value(struct setting *setting)
{
	char text[16] = "";
	ssize_t got = pread(setting->fd, text, sizeof(text) - 1, 0);
	char *end;

	setting->kib = (uint32_t)strtoul(text, &end, 10);
	return got > 0 && end != text ? 0 : -ENODATA;
}

static int open_setting(const char *path, int flags, struct setting *setting, struct error *err)
{
	struct stat status;
	int code = ENODATA;

	if (stat(path, &status))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	setting->fd = -1;
	for (size_t i = 0; setting->fd < 0 && i < COUNT_OF(places); i++) {
		snprintf(setting->path, sizeof(setting->path), places[i], major(status.st_dev),
			 minor(status.st_dev));
		setting->fd = open(setting->path, flags | O_CLOEXEC);
		if (setting->fd < 0 && errno != ENOENT)
			code = errno;
	}
	if (setting->fd < 0)
		return error_set(err, -code, "%s: cannot open read_ahead_kb of its device: %s",
				 path, strerror(code));
	if (read_value(setting) < 0) {
		close(setting->fd);
		return error_set(err, -ENODATA, "%s: no number", setting->path);
	}
	return 0;
}

int read_ahead_get(const char *path, uint32_t *kib, struct error *err)
{
	struct setting setting;
	int ret = open_setting(path, O_RDONLY, &setting, err);

	if (ret < 0)
		return ret;
	*kib = setting.kib;
	close(setting.fd);
	return 0;
}

static int write_value(const struct setting *setting, uint32_t kib, struct error *err)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", kib);

	if (pwrite(setting->fd, text, (size_t)length, 0) != length)
		return error_set(err, -errno, "%s: cannot write %u: %s", setting->path, kib,
				 strerror(errno));
	return 0;
}

static int open_file(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd : error_set(err, -errno, "%s: %s", path, strerror(errno));
}

/* Between the changes, nothing can get between. */
static int open_file_with(const struct setting *setting, const char *path, uint32_t kib,
			  struct error *err)
{
	sigset_t all, before;
	int fd, ret;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	fd = write_value(setting, kib, err);
	if (fd == 0) {
		fd = open_file(path, err);
		ret = write_value(setting, setting->kib, err);
		if (ret < 0 && fd >= 0)
			close(fd);
		fd = ret < 0 ? ret : fd;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

int read_ahead_open(const char *path, uint32_t kib, struct error *err)
{
	struct setting setting;
	uint32_t now;
	int fd, ret;

	if (read_ahead_get(path, &now, err) == 0 && now == kib)
		return open_file(path, err);
	ret = open_setting(path, O_RDWR, &setting, err);
	if (ret < 0)
		return ret;
	fd = open_file_with(&setting, path, kib, err);
	close(setting.fd);
	return fd;
}
