// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/known_devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

#define VERSION 1
/* Far more than anybody has devices. */
#define MAX_BYTES ((size_t)16 << 20)

int known_devices_path(char **path, struct error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int length;

	/* Relative ones are to be ignored, says the XDG Base Directory Specification. */
	if (cache && cache[0] == '/')
		length = asprintf(path, "%s/colink/devices.json", cache);
	else if (home && home[0] == '/')
		length = asprintf(path, "%s/.cache/colink/devices.json", home);
	else if (geteuid() == 0)
		length = asprintf(path, "/var/cache/colink/devices.json");
	else
		return error_set(err, -ENOENT, "results have no place: neither XDG_CACHE_HOME "
				 "nor HOME is set");
	return length < 0 ? error_no_memory(err, "a path") : 0;
}

/* The object with all devices, which the caller releases. NULL: there is no file. */
static int load_devices(const char *path, json_t **devices, struct error *err)
{
	uint64_t version = 0;
	json_t *root;
	int ret;

	*devices = NULL;
	if (access(path, F_OK))
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", path,
						       strerror(errno));
	ret = json_load_object(path, MAX_BYTES, &root, err);
	if (ret < 0)
		return ret;
	ret = json_get_u64(root, "version", UINT32_MAX, path, &version, err);
	if (ret == 0 && version != VERSION)
		ret = error_set(err, -EINVAL, "%s: its version is %llu, this program knows %d",
				path, (unsigned long long)version, VERSION);
	if (ret == 0) {
		*devices = json_incref(json_object_get(root, "devices"));
		if (!json_is_object(*devices)) {
			json_decref(*devices);
			*devices = NULL;
			ret = error_set(err, -EINVAL, "%s: devices: not an object", path);
		}
	}
	json_decref(root);
	return ret;
}

int known_devices_find(const char *path, const char *id, struct device_cost *cost, json_t **report,
		       struct error *err)
{
	json_t *devices, *found;
	struct device_cost said;
	int ret;

	ret = load_devices(path, &devices, err);
	if (ret < 0)
		return ret;
	found = json_object_get(devices, id);
	if (!found)
		goto out;
	said.a_us = json_number_value(json_object_get(found, "a_us"));
	said.b_us_per_mib = json_number_value(json_object_get(found, "b_us_per_mib"));
	if (!json_is_number(json_object_get(found, "a_us")) || !device_cost_is_possible(said)) {
		ret = error_set(err, -EINVAL, "%s: %s: has no a_us and b_us_per_mib that a device "
				"can have", path, id);
		goto out;
	}
	*cost = said;
	if (report)
		*report = json_incref(found);
	ret = 1;
out:
	json_decref(devices);
	return ret;
}

/* Every folder on the way to a file. What cannot be made shows when the file is. */
static int make_folders(const char *path, struct error *err)
{
	char *folder = strdup(path);

	if (!folder)
		return error_no_memory(err, path);
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(folder, 0700);
		*slash = '/';
	}
	free(folder);
	return 0;
}

static int write_file(const char *path, const char *text, struct error *err)
{
	struct output_file *file;
	int ret;

	ret = make_folders(path, err);
	if (ret == 0)
		ret = output_file_create(path, &file, err);
	if (ret < 0)
		return ret;
	ret = output_file_write(file, text, strlen(text), err);
	if (ret == 0)
		ret = output_file_write(file, "\n", 1, err);
	if (ret == 0)
		return output_file_commit(file, err);
	output_file_abort(file);
	return ret;
}

int known_devices_keep(const char *path, const char *id, json_t *report, struct error *err)
{
	json_t *devices, *root;
	char *text = NULL;
	int ret;

	if (load_devices(path, &devices, NULL) < 0 || !devices)
		devices = json_object();
	json_object_set(devices, id, report);
	root = json_pack("{s:i, s:O}", "version", VERSION, "devices", devices);
	if (json_object_get(devices, id) == report && root)
		text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	ret = text ? write_file(path, text, err) : error_no_memory(err, path);
	free(text);
	json_decref(root);
	json_decref(devices);
	return ret;
}
