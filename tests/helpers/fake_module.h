/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module, for tests of who uses it, in place of runtime/kernel/kernel_device.c: programs
 * that include this are linked with --wrap for its functions (Makefile). It brings pages into
 * the page cache as the module does, counts them, and tells by the eventfd when the test lets it.
 */
#ifndef COLINK_TESTS_HELPERS_FAKE_MODULE_H
#define COLINK_TESTS_HELPERS_FAKE_MODULE_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/colink.h>

#define FAKE_MODULE_EXTENTS 256 /* of the last call, remembered */

struct fake_module {
	int open_error; /* negative errno: it cannot be opened */
	int prefetch_error; /* negative errno: of every call */
	bool reads_nothing; /* calls succeed, and bring nothing in */
	bool holds; /* eventfds are not told before fake_module_tell() */

	uint32_t calls;
	struct colink_prefetch last; /* its extents are below */
	struct colink_extent extents[FAKE_MODULE_EXTENTS];
	uint32_t drops; /* calls */
	uint64_t dropped_bytes; /* asked to be dropped */
	uint64_t pages_issued, pages_resident, ios; /* sums of all results */
	int held[16]; /* eventfds of calls that wait to be told, in order; duplicates */
	uint32_t n_held;
};

/* One for the program: how it behaves, and what it was asked. */
extern struct fake_module fake_module;

/* As if new. */
void fake_module_reset(void);

/* The held call number i is done. */
void fake_module_tell(uint32_t i);

#endif
