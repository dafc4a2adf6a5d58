// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/io_stat.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/file.h"
#include "base/utf8.h"
#include "io_stat.skel.h"
#include "kernel/bpf_errors.h"
#include "kernel/inode_key.h"

#define REGIONS_PATH "/sys/kernel/debug/colink/regions"

struct followed {
	struct io_file_key key;
	char name[IO_STAT_NAME_SIZE];
	int fd; /* keeps a given file's inode; -1: of a registered one, which the module keeps */
};

struct io_statistics {
	struct io_stat *bpf;
	struct bpf_link *issue; /* the module's events; NULL as long as it is not loaded */
	struct bpf_link *fault;
	struct bpf_link *want;
	struct bpf_link *complete;
	bool sees_regions;
	bool too_many_regions;
	int n_cpus;
	void *per_cpu; /* room for the largest value of all CPUs */
	size_t n_files;
	struct followed files[IO_MAX_FILES];
};

/* What is not UTF-8, or no character to be shown, becomes '?': names end up in JSON. */
static void set_name(char name[IO_STAT_NAME_SIZE], const char *text)
{
	size_t length;

	snprintf(name, IO_STAT_NAME_SIZE, "%s", text);
	length = strlen(name);
	for (size_t at = 0; (at += utf8_valid_prefix(name + at, length - at)) < length;)
		name[at] = '?';
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			name[i] = '?';
}

static bool is_followed(const struct io_statistics *stat, const struct io_file_key *key)
{
	for (size_t i = 0; i < stat->n_files; i++)
		if (stat->files[i].key.inode == key->inode &&
		    stat->files[i].key.device == key->device)
			return true;
	return false;
}

/* --- Files that are given --- */

static int note_file(struct io_statistics *stat, const char *path, struct error *err)
{
	struct followed *file = &stat->files[stat->n_files];
	struct inode_key key;
	uint64_t size;
	int ret;

	if (stat->n_files == IO_MAX_FILES)
		return error_set(err, -E2BIG, "%s: more than %d files", path, IO_MAX_FILES);
	file->fd = file_open_read(path, &size, err);
	if (file->fd < 0)
		return file->fd;
	ret = inode_key_find(file->fd, path, &key, err);
	file->key = (struct io_file_key){
		.inode = key.inode,
		.device = IO_DEVICE(key.major, key.minor),
	};
	if (ret < 0 || is_followed(stat, &file->key)) {
		close(file->fd);
		return ret;
	}
	set_name(file->name, path);
	stat->n_files++;
	return 0;
}

/* --- Programs --- */

static int refused(int error, const char *what, struct error *err)
{
	if (error == -EPERM || error == -EACCES)
		return error_set(err, error, "cannot %s: not permitted (it takes root, and a "
				 "kernel that lets root)", what);
	return error_set(err, error, "cannot %s: %s (it takes Linux 6.1 or later with BPF and BTF)",
			 what, strerror(-error));
}

/* Its slot is its place in stat->files. */
static int follow(struct io_statistics *stat, uint32_t index, struct error *err)
{
	struct io_file file = { .index = index };

	if (bpf_map__update_elem(stat->bpf->maps.files, &stat->files[index].key,
				 sizeof(struct io_file_key), &file, sizeof(file), 0))
		return error_set(err, -errno, "%s: cannot be followed: %s", stat->files[index].name,
				 strerror(errno));
	return 0;
}

static int load(struct io_statistics *stat, struct error *err)
{
	long page_size = sysconf(_SC_PAGESIZE);
	int ret;

	bpf_quiet();
	stat->bpf = io_stat__open();
	if (!stat->bpf)
		return refused(-errno, "open BPF programs", err);
	stat->bpf->rodata->page_shift = (uint32_t)__builtin_ctzl((unsigned long)page_size);
	/* Attached when the module is there. */
	bpf_program__set_autoattach(stat->bpf->progs.on_module_issue, false);
	bpf_program__set_autoattach(stat->bpf->progs.on_module_fault, false);
	bpf_program__set_autoattach(stat->bpf->progs.on_module_want, false);
	bpf_program__set_autoattach(stat->bpf->progs.on_module_complete, false);
	ret = io_stat__load(stat->bpf);
	if (ret < 0)
		return refused(ret, "load BPF programs", err);
	stat->n_cpus = libbpf_num_possible_cpus();
	stat->per_cpu = calloc((size_t)stat->n_cpus, sizeof(struct io_figures));
	return stat->per_cpu ? 0 : error_no_memory(err, "counters");
}

int io_stat_open(const char *const *paths, size_t n, struct io_statistics **out, struct error *err)
{
	struct io_statistics *stat = calloc(1, sizeof(*stat));
	int ret = 0;

	if (!stat)
		return error_no_memory(err, "counters");
	/* Files first: a wrong name should show to who may not load programs, too. */
	for (size_t i = 0; i < n && ret == 0; i++)
		ret = note_file(stat, paths[i], err);
	if (ret == 0)
		ret = load(stat, err);
	for (uint32_t i = 0; i < stat->n_files && ret == 0; i++)
		ret = follow(stat, i, err);
	if (ret == 0)
		ret = io_stat_refresh(stat, err);
	if (ret == 0) {
		ret = io_stat__attach(stat->bpf);
		if (ret < 0)
			refused(ret, "attach BPF programs", err);
	}
	if (ret < 0) {
		io_stat_close(stat);
		return ret;
	}
	*out = stat;
	return 0;
}

void io_stat_close(struct io_statistics *stat)
{
	if (!stat)
		return;
	bpf_link__destroy(stat->issue);
	bpf_link__destroy(stat->fault);
	bpf_link__destroy(stat->want);
	bpf_link__destroy(stat->complete);
	io_stat__destroy(stat->bpf);
	for (size_t i = 0; i < stat->n_files; i++)
		if (stat->files[i].fd >= 0)
			close(stat->files[i].fd);
	free(stat->per_cpu);
	free(stat);
}

/* --- What comes and goes while they run --- */

/* A line is "id major:minor inode layers name", as kmod/region.c writes it. */
static int follow_region(struct io_statistics *stat, const char *line, struct error *err)
{
	struct followed *file = &stat->files[stat->n_files];
	struct io_file_key key = { 0 };
	unsigned int major, minor;
	unsigned long long inode;
	int name = 0;

	if (sscanf(line, "%*u %u:%u %llu %*u %n", &major, &minor, &inode, &name) != 3 || !name)
		return 0;
	key.inode = inode;
	key.device = IO_DEVICE(major, minor);
	if (is_followed(stat, &key))
		return 0;
	if (stat->n_files == IO_MAX_FILES) {
		stat->too_many_regions = true;
		return 0;
	}
	file->key = key;
	file->fd = -1;
	set_name(file->name, line + name);
	return follow(stat, (uint32_t)stat->n_files++, err);
}

static int follow_regions(struct io_statistics *stat, struct error *err)
{
	FILE *regions = fopen(REGIONS_PATH, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int ret = 0;

	stat->sees_regions = regions;
	if (!regions)
		return 0;
	while (ret == 0 && (length = getline(&line, &room, regions)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		ret = follow_region(stat, line, err);
	}
	free(line);
	fclose(regions);
	return ret;
}

int io_stat_refresh(struct io_statistics *stat, struct error *err)
{
	const struct io_stat *bpf = stat->bpf;

	if (!stat->complete)
		stat->complete = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_complete,
								    "colink_complete");
	if (!stat->fault && stat->complete)
		stat->fault = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_fault,
								 "colink_fault");
	if (!stat->want && stat->complete)
		stat->want = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_want,
								"colink_want");
	if (!stat->issue && stat->complete)
		stat->issue = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_issue,
								 "colink_issue");
	return follow_regions(stat, err);
}

const char *io_stat_missing(const struct io_statistics *stat)
{
	if (!stat->issue && !stat->sees_regions)
		return "the module is not loaded (insmod colink.ko): no registered files, "
		       "no prefetched pages";
	if (!stat->sees_regions)
		return "cannot read " REGIONS_PATH " (debugfs is not mounted, or locked down): "
		       "no registered files but those given";
	if (!stat->issue || !stat->want)
		return "cannot attach to the module's trace events: no prefetched pages";
	if (stat->too_many_regions)
		return "more files are registered than can be followed (64)";
	return NULL;
}

/* --- Counters --- */

/* Sum the u64s of a value over all CPUs. */
static int sum_up(const struct io_statistics *stat, const struct bpf_map *map, uint32_t index,
		  __u64 *sums, size_t n, struct error *err)
{
	const __u64 *each = stat->per_cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(map), &index, stat->per_cpu))
		return error_set(err, -errno, "cannot read the map %s: %s", bpf_map__name(map),
				 strerror(errno));
	memset(sums, 0, n * sizeof(sums[0]));
	for (size_t cpu = 0; cpu < (size_t)stat->n_cpus; cpu++)
		for (size_t i = 0; i < n; i++)
			sums[i] += each[cpu * n + i];
	return 0;
}

static int read_figures(const struct io_statistics *stat, const struct bpf_map *map, uint32_t index,
			struct io_figures *figures, struct error *err)
{
	return sum_up(stat, map, index, (__u64 *)figures, sizeof(*figures) / sizeof(__u64), err);
}

/* The last part of what /sys/dev/block/major:minor points to. */
static void name_disk(uint32_t device, char name[IO_STAT_NAME_SIZE])
{
	unsigned int major = device >> 20, minor = device & ((1U << 20) - 1);
	char path[64], target[512], number[32];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major, minor);
	length = readlink(path, target, sizeof(target) - 1);
	snprintf(number, sizeof(number), "%u:%u", major, minor);
	target[length > 0 ? length : 0] = '\0';
	set_name(name, strrchr(target, '/') ? strrchr(target, '/') + 1 : number);
}

static int read_disks(const struct io_statistics *stat, struct io_stat_snapshot *snapshot,
		      struct error *err)
{
	const struct bpf_map *disks = stat->bpf->maps.disks;
	uint32_t device, *previous = NULL;
	struct io_disk disk;
	int ret = 0;

	snapshot->n_disks = 0;
	while (ret == 0 &&
	       !bpf_map__get_next_key(disks, previous, &device, sizeof(device))) {
		previous = &device;
		if (bpf_map__lookup_elem(disks, &device, sizeof(device), &disk, sizeof(disk), 0) ||
		    disk.index >= IO_MAX_DISKS)
			continue;
		name_disk(device, snapshot->disks[disk.index].name);
		ret = read_figures(stat, stat->bpf->maps.disk_figures, disk.index,
				   &snapshot->disks[disk.index].figures, err);
		if (disk.index >= snapshot->n_disks)
			snapshot->n_disks = disk.index + 1;
	}
	return ret;
}

static int read_files(const struct io_statistics *stat, struct io_stat_snapshot *snapshot,
		      struct error *err)
{
	int ret = 0;

	snapshot->n_files = stat->n_files;
	for (uint32_t i = 0; i < stat->n_files && ret == 0; i++) {
		struct io_stat_file *file = &snapshot->files[i];

		memcpy(file->name, stat->files[i].name, sizeof(file->name));
		ret = read_figures(stat, stat->bpf->maps.file_figures, i, &file->figures, err);
		if (ret == 0)
			ret = sum_up(stat, stat->bpf->maps.file_cache, i, (__u64 *)&file->cache,
				     sizeof(file->cache) / sizeof(__u64), err);
	}
	return ret;
}

/* The kernel skips a program that would interrupt itself, and counts how often it did. */
static uint64_t lost_events(const struct io_statistics *stat)
{
	struct bpf_program *program;
	uint64_t sum = 0;

	bpf_object__for_each_program(program, stat->bpf->obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		if (!bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			sum += info.recursion_misses;
	}
	return sum;
}

int io_stat_read(struct io_statistics *stat, struct io_stat_snapshot *snapshot, struct error *err)
{
	int ret;

	memset(snapshot, 0, sizeof(*snapshot));
	for (uint32_t i = 0; i < IO_LOST_COUNTERS; i++) {
		ret = sum_up(stat, stat->bpf->maps.lost, i, &snapshot->lost[i], 1, err);
		if (ret < 0)
			return ret;
	}
	snapshot->lost_events = lost_events(stat);
	ret = read_disks(stat, snapshot, err);
	return ret < 0 ? ret : read_files(stat, snapshot, err);
}
