/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's fault injection (Documentation/fault-injection/ there): calls are made to
 * fail, where the kernel is built for that.
 */
#ifndef COLINK_FAULTS_H
#define COLINK_FAULTS_H

#include "colink_test.h"

#define FAULTS "/sys/kernel/debug"

/* A setting of one of the kernel's kinds of faults. False where there is no such thing. */
static inline bool set_fault(const char *kind, const char *name, const char *value)
{
	char path[128];
	bool good;
	int fd;

	snprintf(path, sizeof(path), FAULTS "/%s/%s", kind, name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	good = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return good;
}

static inline void set_allocation_faults(const char *name, const char *value)
{
	set_fault("failslab", name, value);
	set_fault("fail_page_alloc", name, value);
}

static inline void set_all_faults(const char *name, const char *value)
{
	set_allocation_faults(name, value);
	set_fault("fail_usercopy", name, value);
	set_fault("fail_make_request", name, value);
}

/* Allocations that may sleep can fail too, and nothing is logged. False: no faults here. */
static inline bool faults_prepared(void)
{
	set_all_faults("verbose", "0");
	set_all_faults("times", "-1");
	return set_fault("failslab", "ignore-gfp-wait", "N") &&
	       set_fault("fail_page_alloc", "ignore-gfp-wait", "N") &&
	       set_fault("fail_page_alloc", "ignore-gfp-highmem", "N") &&
	       set_fault("fail_page_alloc", "min-order", "0");
}

/* Can faults be kept to calls that come from the module? */
static inline bool faults_in_module(void)
{
	return !access(FAULTS "/failslab/require-start", F_OK);
}

/* Let them happen in whichever task, but only with the module on the stack; or anywhere. */
static inline void only_in_module(bool on)
{
	unsigned long start = 0, end = -1UL, size;
	char name[64], text[32];
	bool found = false;
	FILE *modules;

	if (on) {
		modules = fopen("/proc/modules", "r");
		need(modules, "/proc/modules");
		while (!found && fscanf(modules, "%63s %lu %*d %*s %*s %lx%*[^\n]", name, &size,
					&start) == 3)
			found = !strcmp(name, "colink");
		fclose(modules);
		need(found && start, "where the module is");
		end = start + size;
	}
	snprintf(text, sizeof(text), "%lu", start);
	set_all_faults("require-start", text);
	snprintf(text, sizeof(text), "%lu", end);
	set_all_faults("require-end", text);
	set_all_faults("stacktrace-depth", "32");
}

#endif /* COLINK_FAULTS_H */
