// SPDX-License-Identifier: GPL-2.0-only
/*
 * libpng reports errors by longjmp(). It is given an array that grows, so that memory is all
 * that it can lack.
 */
#include "base/png_encode.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct colour) == sizeof(png_color), "a palette is given as it is");

struct buffer {
	uint8_t *bytes;
	size_t length;
	size_t room;
};

static void append(png_structp png, png_bytep data, size_t length)
{
	struct buffer *buffer = png_get_io_ptr(png);

	if (length > buffer->room - buffer->length) {
		size_t room = 2 * buffer->room + length;
		uint8_t *bytes = realloc(buffer->bytes, room);

		if (!bytes)
			png_error(png, "out of memory");
		buffer->bytes = bytes;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->length, data, length);
	buffer->length += length;
}

/* libpng's own writes to stderr. */
static void fail(png_structp png, png_const_charp message)
{
	(void)message;
	png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
	(void)png;
	(void)message;
}

static void write_image(png_structp png, png_infop info, const struct palette_image *image)
{
	png_set_IHDR(png, info, image->width, image->height, 8, PNG_COLOR_TYPE_PALETTE,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_set_PLTE(png, info, (png_const_colorp)image->palette, (int)image->n_colours);
	/* Neighbouring indices are no neighbouring colours: differences only make it larger. */
	png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
	png_write_info(png, info);
	for (uint32_t y = 0; y < image->height; y++)
		png_write_row(png, image->pixels + (size_t)y * image->width);
	png_write_end(png, info);
}

/* Nothing that setjmp() could lose is kept in variables. 0, or -ENOMEM. */
static int write_or_fail(png_structp png, png_infop info, const struct palette_image *image)
{
	if (setjmp(png_jmpbuf(png)))
		return -ENOMEM;
	write_image(png, info, image);
	return 0;
}

int png_encode(const struct palette_image *image, uint8_t **result, size_t *length,
	       struct error *err)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, fail, ignore);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	struct buffer buffer = { 0 };
	int ret = -ENOMEM;

	if (info) {
		png_set_write_fn(png, &buffer, append, NULL);
		ret = write_or_fail(png, info, image);
	}
	png_destroy_write_struct(&png, &info);
	if (ret < 0) {
		free(buffer.bytes);
		return error_no_memory(err, "a picture");
	}
	*result = buffer.bytes;
	*length = buffer.length;
	return 0;
}
