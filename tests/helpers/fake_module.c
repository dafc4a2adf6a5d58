// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/fake_module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define PAGE 4096

struct fake_module fake_module;

static int file = -1; /* the registered one */

int __wrap_kernel_device_open(int *device, struct error *err);
int __wrap_kernel_device_register(int device, int fd, const char *path,
				  const struct colink_layer *layers, uint32_t n_layers,
				  uint64_t gap_bytes, uint32_t *region, struct error *err);
int __wrap_kernel_device_prefetch(int device, const char *path, struct colink_prefetch *args,
				  struct error *err);
int __wrap_kernel_device_drop(int device, const char *path, struct colink_drop *args,
			      struct error *err);

void fake_module_reset(void)
{
	for (uint32_t i = 0; i < fake_module.n_held; i++)
		close(fake_module.held[i]);
	memset(&fake_module, 0, sizeof(fake_module));
}

int __wrap_kernel_device_open(int *device, struct error *err)
{
	if (fake_module.open_error)
		return error_set(err, fake_module.open_error, "cannot open /dev/colink: %s",
				 strerror(-fake_module.open_error));
	*device = open("/dev/null", O_RDWR | O_CLOEXEC);
	return *device < 0 ? -errno : 0;
}

int __wrap_kernel_device_register(int device, int fd, const char *path,
				  const struct colink_layer *layers, uint32_t n_layers,
				  uint64_t gap_bytes, uint32_t *region, struct error *err)
{
	(void)device;
	(void)path;
	(void)layers;
	(void)n_layers;
	(void)gap_bytes;
	(void)err;
	file = fd;
	*region = 1;
	return 0;
}

/* Bring one extent in: each stretch of missing pages is an I/O. */
static void bring(const struct colink_extent *extent, const char *map, struct colink_result *result)
{
	uint64_t first = extent->first / PAGE, last = (extent->first + extent->count - 1) / PAGE;
	bool before_was_missing = false;

	for (uint64_t page = first; page <= last; page++) {
		unsigned char resident = 0;
		char byte;

		mincore((void *)(map + page * PAGE), PAGE, &resident);
		if (resident & 1) {
			result->pages_resident++;
		} else {
			result->pages_issued++;
			result->ios += !before_was_missing;
			/* Alone: nothing is read around it. */
			if (pread(file, &byte, 1, page * PAGE) < 0)
				abort();
		}
		before_was_missing = !(resident & 1);
	}
}

static void bring_all(const struct colink_prefetch *args, struct colink_result *result)
{
	const struct colink_extent *extents = (const void *)(uintptr_t)args->extents;
	struct stat st;
	char *map;

	posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
	fstat(file, &st);
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, file, 0);
	for (uint32_t i = 0; i < args->n_extents; i++)
		bring(&extents[i], map, result);
	munmap(map, st.st_size);
}

void fake_module_tell(uint32_t i)
{
	uint64_t one = 1;

	if (write(fake_module.held[i], &one, sizeof(one)) != sizeof(one))
		abort();
}

static void tell_or_hold(int eventfd)
{
	fake_module.held[fake_module.n_held] = dup(eventfd);
	if (!fake_module.holds) {
		fake_module_tell(fake_module.n_held);
		close(fake_module.held[fake_module.n_held]);
	} else {
		fake_module.n_held++;
	}
}

int __wrap_kernel_device_prefetch(int device, const char *path, struct colink_prefetch *args,
				  struct error *err)
{
	const struct colink_extent *extents = (const void *)(uintptr_t)args->extents;
	uint32_t remembered = args->n_extents;

	(void)device;
	if (remembered > FAKE_MODULE_EXTENTS)
		remembered = FAKE_MODULE_EXTENTS;
	fake_module.calls++;
	fake_module.last = *args;
	memcpy(fake_module.extents, extents, remembered * sizeof(*extents));
	if (fake_module.prefetch_error)
		return error_set(err, fake_module.prefetch_error, "%s: the module cannot prefetch",
				 path);
	args->result = (struct colink_result){ .extents = args->n_extents };
	if (!fake_module.reads_nothing)
		bring_all(args, &args->result);
	fake_module.pages_issued += args->result.pages_issued;
	fake_module.pages_resident += args->result.pages_resident;
	fake_module.ios += args->result.ios;
	if (args->eventfd >= 0)
		tell_or_hold(args->eventfd);
	return 0;
}

/* What is mapped stays, as with the module. */
int __wrap_kernel_device_drop(int device, const char *path, struct colink_drop *args,
			      struct error *err)
{
	const struct colink_extent *extents = (const void *)(uintptr_t)args->extents;

	(void)device;
	(void)path;
	(void)err;
	fake_module.drops++;
	for (uint32_t i = 0; i < args->n_extents; i++) {
		fake_module.dropped_bytes += extents[i].count;
		posix_fadvise(file, extents[i].first, extents[i].count, POSIX_FADV_DONTNEED);
	}
	return 0;
}
