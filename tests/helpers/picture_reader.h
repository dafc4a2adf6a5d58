/* SPDX-License-Identifier: GPL-2.0-only */
/* PNG images, and those within an SVG file, as pixels; by libpng's own reader. */
#ifndef COLINK_TESTS_HELPERS_PICTURE_READER_H
#define COLINK_TESTS_HELPERS_PICTURE_READER_H

#include <stddef.h>
#include <stdint.h>

struct pixels {
	uint32_t width, height;
	uint8_t *rgb; /* (height, width, 3) */
};

/* Fails the test when it is no PNG. The caller frees rgb. */
struct pixels read_png(const uint8_t *png, size_t length);

/* The nth (from 0) embedded image of a picture; the caller frees rgb. */
struct pixels read_embedded(const char *svg, int nth);

/* 0 to 765: how dark a pixel is. */
int darkness(const struct pixels *pixels, uint32_t x, uint32_t y);

#endif
