/* SPDX-License-Identifier: GPL-2.0-only */
/* What picture.c has counted for picture_draw.c to draw. */
#ifndef COLINK_PLACEMENT_PICTURE_PRIVATE_H
#define COLINK_PLACEMENT_PICTURE_PRIVATE_H

#include "base/svg.h"
#include "placement/pair_map.h"
#include "placement/picture.h"
#include "placement/quality.h"

/* Identity, frequency, and the placement's own order. */
#define PICTURE_ORDERS 3

struct picture_order {
	enum order_method method;
	struct order_quality quality;
};

struct picture {
	const struct picture_subject *subject;
	uint32_t layer;
	uint64_t n_tokens; /* that were drawn from */
	struct picture_order orders[PICTURE_ORDERS];
	uint32_t own; /* which of them the placement is */
	uint32_t n_orders; /* fewer where the placement is by one of the others */
	struct pair_map before, after;
};

#define PICTURE_WIDTH 1200
#define PICTURE_HEIGHT 1060

/* Errors of drawing are kept by `svg`; -ENOMEM for what it cannot know of. */
int picture_draw(const struct picture *picture, struct svg *svg, struct error *err);

#endif
