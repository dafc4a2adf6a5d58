// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/kernel_device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

static const char *why_not_open(int error)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
		return "the module is not loaded (insmod colink.ko)";
	case EACCES:
	case EPERM:
		return "only root may, or whom a udev rule lets (Documentation/kernel-module.rst)";
	default:
		return strerror(error);
	}
}

int kernel_device_open(int *device, struct error *err)
{
	int fd = open(KERNEL_DEVICE_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, -errno, "cannot open %s: %s", KERNEL_DEVICE_PATH,
				 why_not_open(errno));
	*device = fd;
	return 0;
}

static const char *why_not_registered(int error)
{
	switch (error) {
	case EDQUOT:
		return "too many regions on one open device (module parameter max_regions)";
	case EOPNOTSUPP:
		return "its file system has no page cache (copy it to a disk)";
	case EINVAL:
		return "not a regular file";
	default:
		return strerror(error);
	}
}

int kernel_device_register_args(int device, const char *path, struct colink_register *args,
				uint32_t *region, struct error *err)
{
	int id;

	args->size = sizeof(*args);
	id = ioctl(device, COLINK_REGISTER, args);
	if (id < 0)
		return error_set(err, -errno, "%s: the module does not take it: %s", path,
				 why_not_registered(errno));
	*region = id;
	return 0;
}

int kernel_device_register(int device, int fd, const char *path,
			   const struct colink_layer *layers, uint32_t n_layers,
			   uint64_t gap_bytes, uint32_t *region, struct error *err)
{
	struct colink_register args = {
		.fd = fd,
		.n_layers = n_layers,
		.layers = (uintptr_t)layers,
		.gap_bytes = gap_bytes,
	};

	return kernel_device_register_args(device, path, &args, region, err);
}

int kernel_device_prefetch(int device, const char *path, struct colink_prefetch *args,
			   struct error *err)
{
	args->size = sizeof(*args);
	if (ioctl(device, COLINK_PREFETCH, args))
		return error_set(err, -errno, "%s: the module cannot prefetch: %s%s", path,
				 strerror(errno),
				 errno == EDQUOT ? " (module parameters max_*)" : "");
	return 0;
}

int kernel_device_drop(int device, const char *path, struct colink_drop *args, struct error *err)
{
	args->size = sizeof(*args);
	if (ioctl(device, COLINK_DROP, args))
		return error_set(err, -errno, "%s: the module cannot drop: %s", path,
				 strerror(errno));
	return 0;
}
