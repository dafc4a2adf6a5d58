/* SPDX-License-Identifier: GPL-2.0-only */
/* Images in PNG, in memory: pictures of matrices, to be embedded in an SVG file. */
#ifndef COLINK_BASE_PNG_ENCODE_H
#define COLINK_BASE_PNG_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct colour {
	uint8_t red, green, blue;
};

/* Most colours of a palette. */
#define PALETTE_MAX 256

struct palette_image {
	uint32_t width, height; /* pixels, at least 1 */
	const uint8_t *pixels; /* (height, width): a colour's place in the palette */
	const struct colour *palette; /* (n_colours) */
	uint32_t n_colours; /* 1 to PALETTE_MAX */
};

/*
 * The caller frees *png. -ENOMEM is the only error. The bytes depend on the image and on the
 * versions of libpng and zlib. Thread-safe.
 */
int png_encode(const struct palette_image *image, uint8_t **png, size_t *length,
	       struct error *err);

#endif
