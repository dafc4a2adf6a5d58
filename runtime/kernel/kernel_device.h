/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module, as a program uses it: /dev/colink, opened, and regions on it.
 *
 * Thin over include/uapi/linux/colink.h, where every field is explained; what it adds
 * is one line that says why, and what to do, when the kernel refuses. Everything ends
 * with close(). Any thread may use an open device.
 */
#ifndef COLINK_KERNEL_KERNEL_DEVICE_H
#define COLINK_KERNEL_KERNEL_DEVICE_H

#include <stdint.h>

#include <linux/colink.h>

#include "base/error.h"

#define KERNEL_DEVICE_PATH "/dev/colink"

/* *device: a descriptor that the caller close()s, not inherited by programs it runs. */
int kernel_device_open(int *device, struct error *err);

/*
 * Register the file that is open as `fd` (`path` is for messages), with the geometry of
 * its layers; BPF's requests collapse gaps up to gap_bytes. *region is the id, > 0.
 */
int kernel_device_register(int device, int fd, const char *path,
			   const struct colink_layer *layers, uint32_t n_layers,
			   uint64_t gap_bytes, uint32_t *region, struct error *err);

/* The call as it is, `args->size` filled in here: for who wants to know what it says. */
int kernel_device_register_args(int device, const char *path, struct colink_register *args,
				uint32_t *region, struct error *err);

/* The call as it is, `args->size` filled in here. `path` is for messages. */
int kernel_device_prefetch(int device, const char *path, struct colink_prefetch *args,
			   struct error *err);

/* The call as it is, `args->size` filled in here. `path` is for messages. */
int kernel_device_drop(int device, const char *path, struct colink_drop *args, struct error *err);

#endif
