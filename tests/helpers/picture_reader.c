// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/picture_reader.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/test.h"

struct pixels read_png(const uint8_t *png, size_t length)
{
	png_image image = { .version = PNG_IMAGE_VERSION };
	struct pixels pixels;

	assert_true(png_image_begin_read_from_memory(&image, png, length));
	image.format = PNG_FORMAT_RGB;
	pixels.width = image.width;
	pixels.height = image.height;
	pixels.rgb = malloc(PNG_IMAGE_SIZE(image));
	assert_true(png_image_finish_read(&image, NULL, pixels.rgb, 0, NULL));
	assert_int_equal(image.warning_or_error, 0);
	return pixels;
}

static int digit_value(char digit)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, digit);

	return digit && at ? (int)(at - digits) : -1;
}

struct pixels read_embedded(const char *svg, int nth)
{
	static const char start[] = "xlink:href=\"data:image/png;base64,";
	struct pixels pixels;
	uint8_t *png;
	size_t length = 0, n_bits = 0;
	uint32_t bits = 0;

	for (int i = 0; i <= nth; i++) {
		svg = strstr(svg, start);
		assert_non_null(svg);
		svg += strlen(start);
	}
	png = malloc(strcspn(svg, "\""));
	for (; digit_value(*svg) >= 0; svg++) {
		bits = bits << 6 | (uint32_t)digit_value(*svg);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			png[length++] = (uint8_t)(bits >> n_bits);
		}
	}
	assert_int_equal(svg[strspn(svg, "=")], '"');
	pixels = read_png(png, length);
	free(png);
	return pixels;
}

int darkness(const struct pixels *pixels, uint32_t x, uint32_t y)
{
	const uint8_t *rgb = pixels->rgb + 3 * ((size_t)y * pixels->width + x);

	return 765 - rgb[0] - rgb[1] - rgb[2];
}
