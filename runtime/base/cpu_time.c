// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/cpu_time.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The kernel's threads are the children of this one (kthreadd). */
#define KERNEL_PARENT 2

struct thread_time {
	int id;
	uint64_t ns;
};

struct cpu_time {
	uint64_t process_ns;
	struct thread_time *threads; /* of the kernel, in the order of /proc */
	size_t n_threads;
};

static uint64_t process_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * UINT64_C(1000000000) +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * UINT64_C(1000);
}

static bool is_kernel_thread(int id)
{
	char path[64], text[512];
	const char *name_end;
	FILE *stat;
	size_t n;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", id);
	stat = fopen(path, "re");
	if (!stat)
		return false;
	n = fread(text, 1, sizeof(text) - 1, stat);
	fclose(stat);
	text[n] = '\0';
	/* A name may have spaces and parentheses in it. */
	name_end = strrchr(text, ')');
	return name_end && sscanf(name_end + 1, " %*c %d", &parent) == 1 &&
	       parent == KERNEL_PARENT;
}

/* False when the thread is gone or the kernel does not say. */
static bool thread_ns(int id, uint64_t *ns)
{
	char path[64];
	FILE *stat;
	bool found;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", id);
	stat = fopen(path, "re");
	if (!stat)
		return false;
	found = fscanf(stat, "%" SCNu64, ns) == 1;
	fclose(stat);
	return found;
}

static int read_threads(struct thread_time **threads, size_t *n, struct error *err)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t room = 0;

	*threads = NULL;
	*n = 0;
	if (!proc)
		return error_set(err, -errno, "cannot open /proc: %s", strerror(errno));
	while ((entry = readdir(proc))) {
		int id = atoi(entry->d_name);
		uint64_t ns;

		if (id <= 0 || !is_kernel_thread(id) || !thread_ns(id, &ns))
			continue;
		if (*n == room) {
			struct thread_time *larger;

			room = room ? 2 * room : 64;
			larger = realloc(*threads, room * sizeof(*larger));
			if (!larger) {
				free(*threads);
				closedir(proc);
				return error_no_memory(err, "the kernel's threads");
			}
			*threads = larger;
		}
		(*threads)[(*n)++] = (struct thread_time){ id, ns };
	}
	closedir(proc);
	return 0;
}

int cpu_time_begin(struct cpu_time **time, struct error *err)
{
	struct cpu_time *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return error_no_memory(err, "CPU times");
	ret = read_threads(&new->threads, &new->n_threads, err);
	if (ret < 0) {
		free(new);
		return ret;
	}
	new->process_ns = process_ns();
	*time = new;
	return 0;
}

static uint64_t ns_before(const struct cpu_time *time, int id)
{
	for (size_t i = 0; i < time->n_threads; i++)
		if (time->threads[i].id == id)
			return time->threads[i].ns;
	return 0;
}

int cpu_time_end(struct cpu_time *time, uint64_t *own_ns, uint64_t *kernel_ns, bool *kernel_known,
		 struct error *err)
{
	struct thread_time *threads;
	size_t n;
	int ret;

	*own_ns = process_ns() - time->process_ns;
	*kernel_ns = 0;
	ret = read_threads(&threads, &n, err);
	if (ret < 0)
		return ret;
	*kernel_known = n > 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t before = ns_before(time, threads[i].id);

		/* Less than before: another thread has the number now. */
		*kernel_ns += threads[i].ns - (before <= threads[i].ns ? before : 0);
	}
	free(threads);
	return 0;
}

void cpu_time_free(struct cpu_time *time)
{
	if (!time)
		return;
	free(time->threads);
	free(time);
}
