/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was measured of devices, kept in a file for later runs: devices.json, an object with
 * "version": 1 and "devices", in which each device's id (storage/device_identity.h) has the
 * report of its measurement. Of a report only "a_us" and "b_us_per_mib" have to be there.
 *
 * It is a cache: it may be deleted at any time, and one that cannot be understood is as good
 * as none, and replaced by the next result. When two processes keep results at the same
 * time, one of the two may be lost; the file is whole in any case.
 */
#ifndef COLINK_STORAGE_KNOWN_DEVICES_H
#define COLINK_STORAGE_KNOWN_DEVICES_H

#include <jansson.h>

#include "base/error.h"
#include "storage/device.h"

/*
 * Where that file is: $XDG_CACHE_HOME/colink, else $HOME/.cache/colink, else, for root,
 * /var/cache/colink. The caller frees *path. -ENOENT when there is no such place.
 */
int known_devices_path(char **path, struct error *err);

/*
 * The cost of a device, and with `report` not NULL the whole object, which the caller
 * releases. 1 when it is known; 0 when it is not, or there is no file; -EINVAL, or another
 * negative errno, with a line on why the file is of no use.
 */
int known_devices_find(const char *path, const char *id, struct device_cost *cost, json_t **report,
		       struct error *err);

/*
 * Add a device, or replace what was known of it; makes the folder of the file, with those
 * above it. A file that is of no use is replaced. The file changes in one step.
 */
int known_devices_keep(const char *path, const char *id, json_t *report, struct error *err);

#endif
