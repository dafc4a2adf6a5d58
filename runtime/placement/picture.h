/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A picture of what placing did to a layer, as one SVG file that needs no other: which pairs
 * of slots fire together before (the checkpoint's order) and after, and how long the runs are.
 * All of it is drawn from tokens that the placement was not made from.
 */
#ifndef COLINK_PLACEMENT_PICTURE_H
#define COLINK_PLACEMENT_PICTURE_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/placement.h"
#include "placement/trace.h"

/* Dots of a matrix, a side: larger layers have several pairs in a dot. */
#define PICTURE_MAX_CELLS 1024

struct picture_subject {
	const struct placement *placement;
	const struct trace *trace; /* from which it was made: its unseen chunks are drawn */
	const struct trace *unseen; /* or all of this, unless NULL */
	const char *name; /* of the model or trace, for the title */
};

/*
 * Whether there is something to draw, before a long search: -ERANGE for a layer that is not
 * there, -ENODATA for a trace without unseen tokens. `placement` may be NULL yet.
 */
int picture_check(const struct picture_subject *subject, uint32_t layer, struct error *err);

/*
 * Besides what picture_check() says, what reading a trace and writing a file (base/file.h) can.
 * Takes the layer's activity and 24 MiB. The picture does not depend on the pool.
 */
int picture_write(const struct picture_subject *subject, uint32_t layer, const char *path,
		  struct thread_pool *pool, struct error *err);

#endif
