/* SPDX-License-Identifier: GPL-2.0-only */
/* A cache beside a plain model of its policy: random calls, and both have to hold the same. */
#ifndef COLINK_TESTS_HELPERS_CACHE_REFERENCE_H
#define COLINK_TESTS_HELPERS_CACHE_REFERENCE_H

#include "storage/cache.h"

#define REFERENCE_LAYERS 3
#define REFERENCE_SLOTS 50
#define REFERENCE_BUNDLES (REFERENCE_LAYERS * REFERENCE_SLOTS)
#define REFERENCE_STRIDE 6

/* A bundle is layer * REFERENCE_SLOTS + slot. Hot ones are not the model's business. */
struct cache_reference {
	const char *policy;
	/* Begin empty, with room for `capacity` bundles (those for hot ones taken off). */
	void (*start)(const struct cache_options *options, uint32_t capacity);
	void (*begin)(void); /* NULL: no matter */
	void (*lookup)(uint32_t bundle); /* NULL: no matter */
	/* Of a bundle that is not in it; not called when everything is pinned. */
	void (*admit)(uint32_t bundle, struct cache_read read);
	bool (*has)(uint32_t bundle);
};

/* For models: has the bundle pins? */
bool reference_pinned(uint32_t bundle);

/* Capacities from none to all, several seeds, with and without hot bundles. */
void follow_reference(const struct cache_reference *reference);

/* The content that a bundle has in tests; checked where it is found. */
void reference_content(uint32_t bundle, char content[REFERENCE_STRIDE]);
void check_reference_content(uint32_t bundle, const char *content);

#endif
