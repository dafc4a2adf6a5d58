/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the module share: the device, test files, which pages of a file
 * are resident, how much its disk has read. Helpers end the test program when something
 * fails that is not under test.
 */
#ifndef COLINK_TEST_H
#define COLINK_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/colink.h>

#include "kselftest_harness.h"

/*
 * Seconds that a test may take. What takes one on a real machine takes minutes in an
 * emulated one with a debug kernel, on a busy host.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/* What a fixture's setup exits with to skip the test: in the harness before Linux 6.9, another. */
#ifdef KSELFTEST_PRIO_TEST
#define SKIPPED KSFT_SKIP
#else
#define SKIPPED 255
#endif

#define PAGE ((size_t)4096)

/* Where the test files are: an ext4 disk, and one with few I/Os per second. */
static inline const char *disk(void)
{
	const char *path = getenv("COLINK_DISK");

	return path ? path : "/tmp";
}

static inline const char *slow_disk(void)
{
	const char *path = getenv("COLINK_SLOW");

	return path ? path : disk();
}

static inline void need(bool good, const char *what)
{
	if (!good)
		ksft_exit_fail_msg("%s: %s\n", what, strerror(errno));
}

/* The path of a file system below $COLINK_MOUNTS; false when it is not mounted. */
static inline bool mounted_path(const char *name, char *path, size_t size)
{
	struct stat here, above;
	char parent[256];

	snprintf(path, size, "%s/%s", getenv("COLINK_MOUNTS") ?: "/mnt", name);
	snprintf(parent, sizeof(parent), "%s/..", path);
	return !stat(path, &here) && !stat(parent, &above) && here.st_dev != above.st_dev;
}

/* -errno instead of -1. */
static inline int errno_of(int result)
{
	return result < 0 ? -errno : result;
}

static inline int open_device(void)
{
	int fd = open("/dev/colink", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		ksft_exit_skip("no /dev/colink: the module is not loaded\n");
	need(fd >= 0, "/dev/colink");
	return fd;
}

/* A file of so many bytes, each page of its own content, none of it resident. */
struct test_file {
	char path[256];
	int fd;
	size_t bytes;
	size_t pages;
	__u8 *map;
};

static inline __u8 content(size_t page)
{
	return page * 7 % 251 + 1;
}

static inline size_t resident(const struct test_file *file, __u8 *vector)
{
	size_t i, n = 0;

	need(!mincore(file->map, file->bytes, vector), "mincore");
	for (i = 0; i < file->pages; i++) {
		vector[i] &= 1;
		n += vector[i];
	}
	return n;
}

static inline size_t count_resident(const struct test_file *file)
{
	__u8 *vector = malloc(file->pages);
	size_t n = resident(file, vector);

	free(vector);
	return n;
}

/* Pages that somebody is just looking at, or writing back, leave a little later. */
static inline void evict(const struct test_file *file)
{
	int tries;

	madvise(file->map, file->bytes, MADV_DONTNEED);
	need(!fsync(file->fd) || errno == EINVAL, "fsync"); /* read-only file systems have none */
	for (tries = 0; tries < 200; tries++) {
		need(!posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
		if (!count_resident(file))
			return;
		usleep(10000);
	}
	ksft_exit_fail_msg("the test file does not leave the page cache\n");
}

/* Map a file that is open and whose content is as it should be. */
static inline void map_file(struct test_file *file, size_t bytes)
{
	file->bytes = bytes;
	file->pages = (bytes + PAGE - 1) / PAGE;
	file->map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file->fd, 0);
	need(file->map != MAP_FAILED, "mmap");
	/* Touching one page must not bring in its neighbours. */
	madvise(file->map, bytes, MADV_RANDOM);
	evict(file);
}

static inline void make_file(struct test_file *file, const char *directory, size_t bytes)
{
	__u8 *block = malloc(PAGE);
	size_t i;

	snprintf(file->path, sizeof(file->path), "%s/colink-%d", directory, getpid());
	file->fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	need(file->fd >= 0, file->path);
	for (i = 0; i * PAGE < bytes; i++) {
		size_t n = bytes - i * PAGE < PAGE ? bytes - i * PAGE : PAGE;

		memset(block, content(i), PAGE);
		need(write(file->fd, block, n) == (ssize_t)n, "write");
	}
	free(block);
	map_file(file, bytes);
}

static inline void remove_file(struct test_file *file)
{
	munmap(file->map, file->bytes);
	close(file->fd);
	unlink(file->path);
}

static inline int register_layers(int device, int fd, const struct colink_layer *layers,
				  __u32 n_layers)
{
	struct colink_register args = {
		.size = sizeof(args),
		.fd = fd,
		.n_layers = n_layers,
		.layers = (unsigned long)layers,
	};

	return errno_of(ioctl(device, COLINK_REGISTER, &args));
}

static inline int register_file(int device, int fd)
{
	return register_layers(device, fd, NULL, 0);
}

static inline struct colink_prefetch prefetch_args(__u32 region,
						   const struct colink_extent *extents, __u32 n)
{
	return (struct colink_prefetch){
		.size = sizeof(struct colink_prefetch),
		.region = region,
		.flags = COLINK_WAIT,
		.n_extents = n,
		.extents = (unsigned long)extents,
		.eventfd = -1,
	};
}

static inline int prefetch(int device, struct colink_prefetch *args)
{
	return errno_of(ioctl(device, COLINK_PREFETCH, args));
}

static inline struct colink_extent bytes_extent(__u64 first, __u64 count)
{
	return (struct colink_extent){ .first = first, .count = count, .layer = COLINK_BYTES };
}

static inline struct colink_extent pages_extent(__u64 first, __u64 count)
{
	return bytes_extent(first * PAGE, count * PAGE);
}

/* What the disk of a file has read since it was attached. */
struct disk_reads {
	unsigned long long ios;
	unsigned long long bytes;
};

/*
 * The disk that a file is on: its file system's device or, where that is not a disk's
 * (btrfs has devices of its own), what was mounted.
 */
static inline dev_t disk_of(int fd)
{
	char line[512], source[128];
	struct statx status;
	unsigned int mount;
	struct stat disk;
	bool found = false;
	FILE *mounts;

	need(!statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status), "statx");
	if (status.stx_dev_major)
		return makedev(status.stx_dev_major, status.stx_dev_minor);
	mounts = fopen("/proc/self/mountinfo", "r");
	need(mounts, "/proc/self/mountinfo");
	while (!found && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%u", &mount) == 1 && mount == status.stx_mnt_id &&
			sscanf(strstr(line, " - "), " - %*s %127s", source) == 1;
	fclose(mounts);
	need(found && !stat(source, &disk), "the disk of a file");
	return disk.st_rdev;
}

static inline struct disk_reads disk_reads(int fd)
{
	unsigned long long ios, merges, sectors;
	dev_t device = disk_of(fd);
	char path[64];
	FILE *stat;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(device), minor(device));
	stat = fopen(path, "r");
	need(stat, path);
	need(fscanf(stat, "%llu %llu %llu", &ios, &merges, &sectors) == 3, path);
	fclose(stat);
	return (struct disk_reads){ ios, sectors * 512 };
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

/* The value after a key in a group's file; a file with one value has no key. */
static inline unsigned long long group_value(const char *group, const char *file, const char *key)
{
	unsigned long long value;
	char path[256], name[64];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	stream = fopen(path, "r");
	need(stream, path);
	if (!key) {
		need(fscanf(stream, "%llu", &value) == 1, path);
	} else {
		do
			need(fscanf(stream, "%63s %llu", name, &value) == 2, key);
		while (strcmp(name, key));
	}
	fclose(stream);
	return value;
}

/* A counter of the module, since it was loaded. */
static inline unsigned long module_counter(const char *name)
{
	FILE *file = fopen("/sys/kernel/debug/colink/counters", "r");
	unsigned long value;
	char line[64];

	need(file, "counters");
	do
		need(fscanf(file, "%63s %lu", line, &value) == 2, name);
	while (strcmp(line, name));
	fclose(file);
	return value;
}

/* Set a parameter of the module. Returns what it was. */
static inline int parameter(const char *name, int value)
{
	char path[128];
	int before;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/colink/parameters/%s", name);
	file = fopen(path, "r+");
	need(file && fscanf(file, "%d", &before) == 1, path);
	rewind(file);
	need(fprintf(file, "%d\n", value) > 0 && !fclose(file), path);
	return before;
}

/* A small generator with a seed, so that a run can be repeated. */
static inline __u64 random_next(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Reads and touches pages at random until it is killed; ends with 1 on wrong content. */
static inline void read_for_ever(const struct test_file *file, __u64 seed)
{
	for (;;) {
		size_t page = random_next(&seed) % file->pages;
		__u8 byte;

		if (pread(file->fd, &byte, 1, page * PAGE) != 1 || byte != content(page))
			_exit(1);
		page = random_next(&seed) % file->pages;
		if (file->map[page * PAGE] != content(page))
			_exit(1);
	}
}

/* A device and a file of 1024 pages registered with it, by bytes. */
struct rig {
	int device;
	struct test_file file;
	int region;
};

static inline void rig_open(struct rig *rig, const char *directory, size_t bytes)
{
	rig->device = open_device();
	make_file(&rig->file, directory, bytes);
	rig->region = register_file(rig->device, rig->file.fd);
	need(rig->region > 0, "COLINK_REGISTER");
}

static inline void rig_close(struct rig *rig)
{
	close(rig->device);
	remove_file(&rig->file);
}

#endif /* COLINK_TEST_H */
