// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/link_loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf_errors.h"
#include "link_prefetch.skel.h"

struct link_loader {
	struct link_prefetch *bpf;
	const char *path; /* for messages; the caller's */
	uint32_t n_layers;
};

/* Without BTF the kernel's structures and the module's function cannot be found. */
static int check_btf(const char *path, struct error *err)
{
	if (access("/sys/kernel/btf/vmlinux", F_OK))
		return error_set(err, -ENOENT,
				 "%s: cannot be loaded: the kernel has no BTF "
				 "(CONFIG_DEBUG_INFO_BTF)", path);
	if (access("/sys/kernel/btf/colink", F_OK))
		return error_set(err, -ENOENT,
				 "%s: cannot be loaded: the module has no BTF, so BPF programs "
				 "cannot call it (Documentation/kernel-module.rst)", path);
	return 0;
}

/* A map has one entry at least. */
static int set_entries(struct bpf_map *map, uint32_t n)
{
	return bpf_map__set_max_entries(map, n ? n : 1);
}

/* Arrays are written one element at a time, but hints, which are many, through memory. */
static int fill_array(const struct bpf_map *map, const void *elements, size_t size, uint32_t n)
{
	int ret = 0;

	for (uint32_t i = 0; i < n && !ret; i++)
		ret = bpf_map_update_elem(bpf_map__fd(map), &i,
					  (const char *)elements + i * size, 0);
	return ret;
}

static int fill_hints(const struct bpf_map *map, const struct link_hints *hints)
{
	size_t bytes = hints->n_hints * sizeof(hints->hints[0]);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		return -errno;
	memcpy(memory, hints->hints, bytes);
	munmap(memory, bytes);
	return 0;
}

static int fill_maps(struct link_prefetch *bpf, const struct link_hints *hints,
		     const struct link_policy *policy)
{
	int ret;

	ret = fill_hints(bpf->maps.hints, hints);
	if (!ret)
		ret = fill_array(bpf->maps.layers, hints->layers, sizeof(hints->layers[0]),
				 hints->n_layers);
	if (!ret)
		ret = fill_array(bpf->maps.hot_runs, hints->hot_runs, sizeof(hints->hot_runs[0]),
				 hints->n_hot_runs);
	if (!ret)
		ret = fill_array(bpf->maps.policy, policy, sizeof(*policy), 1);
	return ret;
}

/* Returns 0 or a negative errno. */
static int load(struct link_prefetch *bpf, const struct link_hints *hints,
		const struct link_policy *policy)
{
	int ret;

	bpf->rodata->page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	ret = set_entries(bpf->maps.layers, hints->n_layers);
	if (!ret)
		ret = set_entries(bpf->maps.hints, hints->n_hints);
	if (!ret)
		ret = set_entries(bpf->maps.hot_runs, hints->n_hot_runs);
	if (!ret)
		ret = link_prefetch__load(bpf);
	if (!ret)
		ret = fill_maps(bpf, hints, policy);
	return ret;
}

int link_loader_open(const struct link_hints *hints, const struct link_policy *policy,
		     const char *path, struct link_loader **result, struct error *err)
{
	struct link_loader *loader;
	int ret;

	bpf_quiet();
	ret = check_btf(path, err);
	if (ret < 0)
		return ret;
	loader = calloc(1, sizeof(*loader));
	if (!loader)
		return error_no_memory(err, path);
	*loader = (struct link_loader){ .bpf = link_prefetch__open(), .path = path,
					.n_layers = hints->n_layers };
	ret = loader->bpf ? load(loader->bpf, hints, policy) : -errno;
	if (ret) {
		error_set(err, ret, "%s: the kernel does not take the BPF program: %s", path,
			  bpf_why_refused(-ret));
		link_loader_close(loader);
		return ret;
	}
	*result = loader;
	return 0;
}

int link_loader_attach(struct link_loader *loader, const struct link_file *file, uint32_t region,
		       struct error *err)
{
	struct link_region value = { .region = region, .n_layers = loader->n_layers };
	int ret;

	loader->bpf->bss->file_classes[link_file_class(file)] = 1;
	ret = bpf_map_update_elem(bpf_map__fd(loader->bpf->maps.files), file, &value, 0);
	if (!ret)
		ret = link_prefetch__attach(loader->bpf);
	if (ret)
		return error_set(err, ret, "%s: the BPF program cannot be attached: %s",
				 loader->path, bpf_why_refused(-ret));
	return 0;
}

void link_loader_detach(struct link_loader *loader)
{
	link_prefetch__detach(loader->bpf);
}

void link_loader_close(struct link_loader *loader)
{
	if (!loader)
		return;
	link_prefetch__destroy(loader->bpf);
	free(loader);
}

static int map_id(const struct bpf_map *map, uint32_t *id)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	int ret = bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size);

	*id = info.id;
	return ret;
}

int link_loader_map_ids(const struct link_loader *loader, struct link_map_ids *ids,
			struct error *err)
{
	int ret;

	ret = map_id(loader->bpf->maps.policy, &ids->policy);
	if (!ret)
		ret = map_id(loader->bpf->maps.counters, &ids->counters);
	if (ret)
		return error_set(err, ret, "%s: cannot ask for the ids of BPF maps: %s",
				 loader->path, strerror(-ret));
	return 0;
}

/* What is read from a map has its size: an id may have become another map's. */
static bool is_map(int fd, const char *name, uint32_t value_bytes)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, name) &&
	       info.value_size == value_bytes;
}

static int open_map(uint32_t id, const char *name, uint32_t value_bytes, const char *path,
		    int *map, struct error *err)
{
	int fd = bpf_map_get_fd_by_id(id);

	if (fd >= 0 && !is_map(fd, name, value_bytes)) {
		close(fd);
		fd = -ENOENT;
	}
	if (fd < 0)
		return error_set(err, fd, "%s: cannot open the maps of its BPF program: %s", path,
				 fd == -ENOENT ? "it has ended just now" : strerror(-fd));
	*map = fd;
	return 0;
}

int link_policy_open(uint32_t id, const char *path, int *map, struct error *err)
{
	return open_map(id, "policy", sizeof(struct link_policy), path, map, err);
}

int link_counters_open(uint32_t id, const char *path, int *map, struct error *err)
{
	return open_map(id, "counters", sizeof(uint64_t), path, map, err);
}

int link_policy_get(int map, struct link_policy *policy, struct error *err)
{
	uint32_t only = 0;
	int ret = bpf_map_lookup_elem(map, &only, policy);

	return ret ? error_set(err, ret, "cannot read the policy: %s", strerror(-ret)) : 0;
}

int link_policy_set(int map, const struct link_policy *policy, struct error *err)
{
	uint32_t only = 0;
	int ret = bpf_map_update_elem(map, &only, policy, 0);

	return ret ? error_set(err, ret, "cannot change the policy: %s", strerror(-ret)) : 0;
}

int link_counters_get(int map, uint64_t counts[LINK_COUNTERS], struct error *err)
{
	int n_cpus = libbpf_num_possible_cpus(), ret = 0;
	uint64_t *each = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*each)) : NULL;

	if (!each)
		return error_no_memory(err, "the counters of each CPU");
	for (uint32_t i = 0; i < LINK_COUNTERS && !ret; i++) {
		ret = bpf_map_lookup_elem(map, &i, each);
		counts[i] = 0;
		for (int cpu = 0; cpu < n_cpus; cpu++)
			counts[i] += each[cpu];
	}
	free(each);
	return ret ? error_set(err, ret, "cannot read the counters: %s", strerror(-ret)) : 0;
}
