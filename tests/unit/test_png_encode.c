// SPDX-License-Identifier: GPL-2.0-only
/* Images of all sizes, read again by libpng's reader. */
#include "helpers/test.h"

#include <stdlib.h>

#include "base/png_encode.h"
#include "base/random.h"
#include "helpers/picture_reader.h"

static void assert_comes_back(struct palette_image image)
{
	struct pixels pixels;
	uint8_t *png;
	size_t length;
	struct error err;

	assert_ok(png_encode(&image, &png, &length, &err), &err);
	pixels = read_png(png, length);
	assert_int_equal(pixels.width, image.width);
	assert_int_equal(pixels.height, image.height);
	for (size_t i = 0; i < (size_t)image.width * image.height; i++)
		assert_memory_equal(pixels.rgb + 3 * i, &image.palette[image.pixels[i]], 3);
	free(pixels.rgb);
	free(png);
}

static void what_is_encoded_comes_back(void **state)
{
	static const uint32_t sizes[][3] = { { 1, 1, 1 },     { 1, 300, 2 },  { 300, 1, 16 },
					     { 33, 65, 256 }, { 512, 512, 3 } };
	struct random_state random;
	struct colour palette[PALETTE_MAX];

	(void)state;
	random_seed(&random, 1);
	for (int i = 0; i < PALETTE_MAX; i++) {
		uint64_t bits = random_next(&random);

		palette[i] = (struct colour){ bits & 255, bits >> 8 & 255, bits >> 16 & 255 };
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = (size_t)sizes[i][0] * sizes[i][1];
		uint8_t *pixels = malloc(n);

		for (size_t at = 0; at < n; at++)
			pixels[at] = (uint8_t)random_below(&random, sizes[i][2]);
		assert_comes_back((struct palette_image){ sizes[i][0], sizes[i][1], pixels, palette,
							  sizes[i][2] });
		free(pixels);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_comes_back),
	};

	return cmocka_run_group_tests_name("png_encode", tests, NULL, NULL);
}
