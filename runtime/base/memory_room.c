// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/memory_room.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of the same files in both versions of cgroups. */
struct group_files {
	const char *limits[2]; /* "max", or a very large number: none */
	const char *usage;
	const char *cached[2]; /* lines of memory.stat: page cache that can be given back */
};

static const struct group_files files_v1 = {
	.limits = { "memory.limit_in_bytes" },
	.usage = "memory.usage_in_bytes",
	.cached = { "total_inactive_file ", "total_active_file " },
};

static const struct group_files files_v2 = {
	.limits = { "memory.max", "memory.high" },
	.usage = "memory.current",
	.cached = { "inactive_file ", "active_file " },
};

static FILE *open_in(const char *folder, const char *name)
{
	FILE *file;
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return NULL;
	file = fopen(path, "re");
	free(path);
	return file;
}

/* The number that a file of the group has; false where it has none. */
static bool read_number(const char *folder, const char *name, uint64_t *number)
{
	FILE *file = open_in(folder, name);
	bool found;

	if (!file)
		return false;
	found = fscanf(file, "%" SCNu64, number) == 1;
	fclose(file);
	return found;
}

/* The number behind `name` at the beginning of a line, or 0. */
static uint64_t number_of_line(FILE *file, const char *name)
{
	uint64_t number = 0;
	char line[256];

	rewind(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), "%" SCNu64, &number);
	return number;
}

static uint64_t cached_bytes(const char *folder, const struct group_files *files)
{
	FILE *file = open_in(folder, "memory.stat");
	uint64_t bytes;

	if (!file)
		return 0;
	bytes = number_of_line(file, files->cached[0]) + number_of_line(file, files->cached[1]);
	fclose(file);
	return bytes;
}

static uint64_t room_of_group(const char *folder, const struct group_files *files)
{
	uint64_t limit = UINT64_MAX, usage, cached;

	for (size_t i = 0; i < 2 && files->limits[i]; i++) {
		uint64_t other;

		if (read_number(folder, files->limits[i], &other) && other < limit)
			limit = other;
	}
	if (limit == UINT64_MAX || !read_number(folder, files->usage, &usage))
		return UINT64_MAX;
	cached = cached_bytes(folder, files);
	usage -= cached < usage ? cached : usage;
	return limit > usage ? limit - usage : 0;
}

/* Of this process's group and of all above it. */
static uint64_t room_of_groups(const struct memory_controller_sources *sources)
{
	struct memory_controller controller;
	uint64_t least = UINT64_MAX;

	if (memory_controller_find(sources, &controller, NULL) == 0) {
		size_t top = strlen(controller.mount);
		char *end;

		do {
			uint64_t room = room_of_group(controller.own, controller.v2 ? &files_v2 :
										      &files_v1);

			least = room < least ? room : least;
			end = strrchr(controller.own, '/');
			if (end)
				*end = '\0';
		} while (end && strlen(controller.own) >= top);
	}
	memory_controller_free(&controller);
	return least;
}

static uint64_t room_of_machine(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t kib;

	if (!file)
		return UINT64_MAX;
	kib = number_of_line(file, "MemAvailable:");
	fclose(file);
	return kib ? kib << 10 : UINT64_MAX;
}

uint64_t memory_room(const struct memory_room_sources *sources)
{
	uint64_t machine = room_of_machine(sources->machine);
	uint64_t groups = room_of_groups(&sources->groups);

	return groups < machine ? groups : machine;
}
