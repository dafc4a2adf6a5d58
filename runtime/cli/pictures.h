/* SPDX-License-Identifier: GPL-2.0-only */
/* The pictures that `colink place` was asked for (placement/picture.h). */
#ifndef COLINK_CLI_PICTURES_H
#define COLINK_CLI_PICTURES_H

#include <stdint.h>

#include "placement/picture.h"

#define PICTURE_LAYER_MIDDLE UINT32_MAX

struct picture_step {
	const char *file; /* one layer's picture, or NULL */
	uint32_t layer;	  /* which one, or PICTURE_LAYER_MIDDLE */
	const char *folder; /* for one of each layer, or NULL */
};

/* What should show before the search: no such layer, nothing to draw, nowhere to write. */
int pictures_check(const struct picture_step *step, const struct picture_subject *subject,
		   struct error *err);

/* With a progress bar. Those that are complete stay when one fails. */
int pictures_write(const struct picture_step *step, const struct picture_subject *subject,
		   struct thread_pool *pool, struct error *err);

/* The last part of a path, to name a file in a title. */
const char *picture_name(const char *path);

#endif
