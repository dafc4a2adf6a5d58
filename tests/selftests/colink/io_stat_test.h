/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of io_stat share: the program attached to a file of 1024 pages, its figures. */
#ifndef IO_STAT_TEST_H
#define IO_STAT_TEST_H

#include <sys/sysmacros.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "colink_test.h"
#include "io_stat.h"
#include "io_stat.skel.h"

#define PAGES 1024

FIXTURE(io_stat) {
	struct rig rig;
	struct io_stat *bpf;
	struct bpf_link *issue;
	struct bpf_link *want;
	struct bpf_link *complete;
};

static inline void follow(struct io_stat *bpf, int fd, __u32 index)
{
	struct io_file file = { .index = index };
	struct io_file_key key = {};
	struct stat status;

	need(!fstat(fd, &status), "fstat");
	key.inode = status.st_ino;
	key.device = IO_DEVICE(major(status.st_dev), minor(status.st_dev));
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.files), &key, &file, 0), "files");
}

FIXTURE_SETUP(io_stat)
{
	struct io_stat *bpf = io_stat__open();

	rig_open(&self->rig, disk(), PAGES * PAGE);
	/* Only what is asked for comes in. */
	need(!posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
	self->bpf = bpf;
	need(bpf, "open skeleton");
	bpf_program__set_autoattach(bpf->progs.on_module_issue, false);
	bpf_program__set_autoattach(bpf->progs.on_module_fault, false);
	bpf_program__set_autoattach(bpf->progs.on_module_want, false);
	bpf_program__set_autoattach(bpf->progs.on_module_complete, false);
	need(!io_stat__load(bpf), "load");
	follow(bpf, self->rig.file.fd, 0);
	need(!io_stat__attach(bpf), "attach");
	self->complete = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_complete,
							    "colink_complete");
	self->issue = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_issue,
							 "colink_issue");
	self->want = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_want, "colink_want");
	need(self->issue && self->want && self->complete, "attach to the module");
}

FIXTURE_TEARDOWN(io_stat)
{
	bpf_link__destroy(self->issue);
	bpf_link__destroy(self->want);
	bpf_link__destroy(self->complete);
	io_stat__destroy(self->bpf);
	rig_close(&self->rig);
}

static inline void sum_up(const struct bpf_map *map, __u32 index, void *sums, size_t n)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	__u64 each[cpus * n], *sum = sums;
	size_t i;

	need(!bpf_map_lookup_elem(bpf_map__fd(map), &index, each), bpf_map__name(map));
	memset(sums, 0, n * sizeof(*sum));
	for (cpu = 0; cpu < cpus; cpu++)
		for (i = 0; i < n; i++)
			sum[i] += each[cpu * n + i];
}

static inline struct io_figures figures_of(const struct bpf_map *map, __u32 index)
{
	struct io_figures figures;

	sum_up(map, index, &figures, sizeof(figures) / sizeof(__u64));
	return figures;
}

static inline struct io_figures file_figures(const struct io_stat *bpf)
{
	return figures_of(bpf->maps.file_figures, 0);
}

/* Of the disk that a file is on; all zeros before its first I/O. */
static inline struct io_figures disk_figures(const struct io_stat *bpf, int fd)
{
	struct stat status;
	struct io_disk disk;
	__u32 device;

	need(!fstat(fd, &status), "fstat");
	device = IO_DEVICE(major(status.st_dev), minor(status.st_dev));
	if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.disks), &device, &disk))
		return (struct io_figures){};
	return figures_of(bpf->maps.disk_figures, disk.index);
}

static inline struct io_cache cache(const struct io_stat *bpf)
{
	struct io_cache sums;

	sum_up(bpf->maps.file_cache, 0, &sums, sizeof(sums) / sizeof(__u64));
	return sums;
}

static inline __u64 lost(const struct io_stat *bpf, __u32 what)
{
	__u64 sum;

	sum_up(bpf->maps.lost, what, &sum, 1);
	return sum;
}

/* Events that the kernel did not give to a program since that was running already. */
static inline __u64 lost_events(const struct io_stat *bpf)
{
	struct bpf_program *program;
	__u64 sum = 0;

	bpf_object__for_each_program(program, bpf->obj) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		need(!bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size), "info");
		sum += info.recursion_misses;
	}
	return sum;
}

/* Nothing was lost, and every page that was prefetched is accounted for. */
static inline bool whole(const struct io_stat *bpf, __u64 waiting)
{
	struct io_cache c = cache(bpf);
	__u32 i;

	for (i = 0; i < IO_LOST_COUNTERS; i++)
		if (lost(bpf, i))
			return false;
	return c.prefetched == c.used + c.mapped + c.evicted + waiting;
}

static inline void read_pages(int fd, size_t first, size_t n)
{
	static char buffer[64 * PAGE] __attribute__((aligned(4096)));

	need(pread(fd, buffer, n * PAGE, first * PAGE) == (ssize_t)(n * PAGE), "pread");
}

static inline void touch_page(const struct test_file *file, size_t page)
{
	*(volatile __u8 *)&file->map[page * PAGE];
}

static inline void prefetch_pages(const struct rig *rig, size_t first, size_t n, __u32 flags)
{
	struct colink_extent extent = pages_extent(first, n);
	struct colink_prefetch args = prefetch_args(rig->region, &extent, 1);

	args.flags = flags;
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	need(args.result.pages_issued == n, "pages_issued");
}

/* The disk itself, past its page cache. */
static inline int open_disk(int fd)
{
	char path[64], target[256];
	struct stat status;
	ssize_t n;
	int disk;

	need(!fstat(fd, &status), "fstat");
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(status.st_dev),
		 minor(status.st_dev));
	n = readlink(path, target, sizeof(target) - 1);
	need(n > 0, path);
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/%s", strrchr(target, '/') + 1);
	disk = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	need(disk >= 0, path);
	return disk;
}

#endif /* IO_STAT_TEST_H */
