// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page, from above: title, the two matrices side by side, the scale of their colours, the
 * run lengths. Dark is often: pairs differ by orders of magnitude, so the scale is logarithmic.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/png_encode.h"
#include "placement/picture_private.h"

#define LEFT 70
#define RIGHT 1162
#define MATRIX_SIDE 512 /* half of the most dots: each pixel is of whole dots */
#define MATRIX_TOP 124
#define SCALE_TOP 708
#define CHART_TOP 830
#define CHART_BOTTOM 1010

#define INK "#222"
#define FAINT "#666"

static const struct svg_style title = { 18, "start", INK, true, 0 };
static const struct svg_style heading = { 14, "start", INK, true, 0 };
static const struct svg_style note = { 13, "start", FAINT, false, 0 };
static const struct svg_style tick = { 12, "middle", FAINT, false, 0 };
static const struct svg_style tick_left = { 12, "end", FAINT, false, 0 };

/* Of a matrix: white where two never fire together, then levels of these. */
#define LEVELS 15 /* more make the file larger, and noise no clearer */
static const char *const scale_colours[] = { "#fff7c8", "#c3e5b2", "#45b4c2", "#2260a9",
					     "#0a1550" };
#define SCALE_COLOURS (sizeof(scale_colours) / sizeof(scale_colours[0]))

static const char *colour_of(const struct picture_order *order)
{
	switch (order->method) {
	case ORDER_IDENTITY:
		return "#b0b7c3";
	case ORDER_FREQUENCY:
		return "#6b9bd1";
	default:
		return "#1f5fa8";
	}
}

/* The shares that the first and the last level stand for. */
struct scale {
	double low, high;
};

/* What is rarer than this part of the highest share is not told apart. */
#define SCALE_RANGE 1e-4

static void widen(struct scale *scale, const struct pair_map *map)
{
	for (size_t i = 0; i < (size_t)map->n_cells * map->n_cells; i++) {
		if (map->shares[i] > scale->high)
			scale->high = map->shares[i];
		if (map->shares[i] > 0 && map->shares[i] < scale->low)
			scale->low = map->shares[i];
	}
}

static struct scale scale_of(const struct picture *picture)
{
	struct scale scale = { .low = 1, .high = 0 };

	widen(&scale, &picture->before);
	widen(&scale, &picture->after);
	if (!(scale.high > 0))
		scale.high = 1; /* nothing fired */
	if (scale.low < scale.high * SCALE_RANGE)
		scale.low = scale.high * SCALE_RANGE;
	if (scale.low > scale.high / 10)
		scale.low = scale.high / 10;
	return scale;
}

/* Where a share lies on the scale: 0 to 1. */
static double position(const struct scale *scale, double share)
{
	double part = log(share / scale->low) / log(scale->high / scale->low);

	return part < 0 ? 0 : part > 1 ? 1 : part;
}

static struct colour parse_colour(const char *text)
{
	unsigned long value = strtoul(text + 1, NULL, 16);

	return (struct colour){ value >> 16 & 255, value >> 8 & 255, value & 255 };
}

static uint8_t mix(uint8_t a, uint8_t b, double part)
{
	return (uint8_t)lround(a + (b - a) * part);
}

static void fill_palette(struct colour palette[LEVELS + 1])
{
	palette[0] = (struct colour){ 255, 255, 255 };
	for (int level = 0; level < LEVELS; level++) {
		double at = (SCALE_COLOURS - 1) * (double)level / (LEVELS - 1);
		size_t first = at < SCALE_COLOURS - 2 ? (size_t)at : SCALE_COLOURS - 2;
		struct colour a = parse_colour(scale_colours[first]);
		struct colour b = parse_colour(scale_colours[first + 1]);
		double part = at - (double)first;

		palette[level + 1] = (struct colour){ mix(a.red, b.red, part),
						      mix(a.green, b.green, part),
						      mix(a.blue, b.blue, part) };
	}
}

/* A small matrix is enlarged here: a viewer would blur it. */
static int draw_dots(struct svg *svg, struct svg_box box, const struct pair_map *map,
		     const struct scale *scale, struct error *err)
{
	struct colour palette[LEVELS + 1];
	uint32_t factor = map->n_cells < MATRIX_SIDE ? MATRIX_SIDE / map->n_cells : 1;
	uint32_t side = map->n_cells * factor;
	uint8_t *pixels = malloc((size_t)side * side);
	struct palette_image image = { side, side, pixels, palette, LEVELS + 1 };
	uint8_t *png;
	size_t length;
	int ret;

	if (!pixels)
		return error_no_memory(err, "a picture");
	fill_palette(palette);
	for (uint32_t y = 0; y < side; y++)
		for (uint32_t x = 0; x < side; x++) {
			double share = map->shares[(size_t)(y / factor) * map->n_cells + x / factor];
			double level = position(scale, share) * (LEVELS - 1);

			pixels[(size_t)y * side + x] =
				share > 0 ? (uint8_t)(1 + lround(level)) : 0;
		}
	ret = png_encode(&image, &png, &length, err);
	free(pixels);
	if (ret < 0)
		return ret;
	svg_png(svg, box, png, length);
	free(png);
	return 0;
}

static void draw_slots(struct svg *svg, struct svg_box box, uint32_t n_neurons)
{
	const double bottom = box.y + box.height;
	const struct svg_style upward = { 12, "middle", FAINT, false, -90 };

	svg_rect(svg, box, "none", "#444");
	for (int i = 0; i <= 4; i++) {
		double along = box.width * i / 4;
		uint32_t slot = (uint32_t)((uint64_t)n_neurons * i / 4);

		svg_line(svg, box.x + along, bottom, box.x + along, bottom + 5, "#444");
		svg_text(svg, &tick, box.x + along, bottom + 19, "%u", slot);
		svg_line(svg, box.x - 5, box.y + along, box.x, box.y + along, "#444");
		svg_text(svg, &tick_left, box.x - 8, box.y + along + 4, "%u", slot);
	}
	svg_text(svg, &tick, box.x + box.width / 8, bottom + 19, "slot");
	svg_text(svg, &upward, box.x - 12, box.y + box.height / 8, "slot");
}

static int draw_matrix(struct svg *svg, const struct picture *picture, double x, const char *when,
		       const struct picture_order *order, const struct pair_map *map,
		       const struct scale *scale, struct error *err)
{
	const struct svg_box box = { x, MATRIX_TOP, MATRIX_SIDE, MATRIX_SIDE };
	int ret;

	svg_text(svg, &heading, x, MATRIX_TOP - 28, "%s: %s order", when,
		 order_method_name(order->method));
	svg_text(svg, &note, x, MATRIX_TOP - 10, "%.1f reads per token, %.2f bundles in a run",
		 order->quality.reads_per_token, order->quality.run_length_mean);
	ret = draw_dots(svg, box, map, scale, err);
	draw_slots(svg, box, picture->subject->placement->n_neurons);
	return ret;
}

static void draw_scale(struct svg *svg, const struct picture *picture, const struct scale *scale)
{
	static const double steps[] = { 1, 2, 5 };
	const struct svg_box never = { LEFT, SCALE_TOP, 16, 16 };
	const struct svg_box box = { LEFT + 40, SCALE_TOP, MATRIX_SIDE - 40, 16 };
	/* Two decades have room for 2 and 5 as well. */
	int n_steps = scale->high / scale->low > 110 ? 1 : 3;
	uint32_t side = picture->before.slots_per_cell;

	svg_text(svg, &heading, LEFT, SCALE_TOP - 14,
		 "How often two slots fire for the same token, in %% of tokens");
	svg_rect(svg, never, "white", "#444");
	svg_text(svg, &tick, LEFT + 8, SCALE_TOP + 33, "0");
	svg_gradient(svg, box, scale_colours, SCALE_COLOURS);
	for (int decade = -12; decade <= 2; decade++)
		for (int i = 0; i < n_steps; i++) {
			double share = steps[i] * pow(10, decade - 2);
			double x = box.x + box.width * position(scale, share);

			if (share < scale->low || share > scale->high)
				continue;
			svg_line(svg, x, box.y + 16, x, box.y + 21, "#444");
			svg_text(svg, &tick, x, SCALE_TOP + 33, "%g", 100 * share);
		}
	if (side > 1)
		svg_text(svg, &note, RIGHT - MATRIX_SIDE, SCALE_TOP + 12,
			 "A dot is the mean of %u x %u pairs of slots.", side, side);
	else
		svg_text(svg, &note, RIGHT - MATRIX_SIDE, SCALE_TOP + 12,
			 "A dot is a pair of slots.");
	svg_text(svg, &note, RIGHT - MATRIX_SIDE, SCALE_TOP + 31,
		 "The scale is logarithmic and the same for both; it begins at %.2g %%.",
		 100 * scale->low);
}

/* How many classes there are bars for. */
static uint32_t count_classes(const struct picture *picture)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < picture->n_orders; i++)
		for (uint32_t class = n; class < RUN_LENGTH_CLASSES; class++)
			if (picture->orders[i].quality.run_length_shares[class] > 0)
				n = class + 1;
	return n;
}

static void draw_bars(struct svg *svg, const struct picture *picture, uint32_t class, double x,
		      double width)
{
	const struct svg_style value = { 11, "middle", INK, false, 0 };
	double bar = width * 0.8 / picture->n_orders;

	if (bar > 48)
		bar = 48;
	x += (width - bar * picture->n_orders) / 2;
	for (uint32_t i = 0; i < picture->n_orders; i++, x += bar) {
		double share = picture->orders[i].quality.run_length_shares[class];
		double height = share * (CHART_BOTTOM - CHART_TOP);
		const struct svg_box box = { x, CHART_BOTTOM - height, bar - 2, height };

		if (!(share > 0))
			continue;
		svg_rect(svg, box, colour_of(&picture->orders[i]), "none");
		if (bar >= 20)
			svg_text(svg, &value, x + bar / 2 - 1, box.y - 4,
				 "%.*f", share < 0.0005 ? 2 : share < 0.0995, 100 * share);
	}
}

static void draw_key(struct svg *svg, const struct picture *picture, double y)
{
	double x = RIGHT;

	for (uint32_t i = picture->n_orders; i-- > 0;) {
		x -= 120;
		svg_rect(svg, (struct svg_box){ x, y - 11, 12, 12 },
			 colour_of(&picture->orders[i]), "none");
		svg_text(svg, &note, x + 18, y, "%s",
			 order_method_name(picture->orders[i].method));
	}
}

static void draw_run_lengths(struct svg *svg, const struct picture *picture)
{
	uint32_t n_classes = count_classes(picture);
	double width = (double)(RIGHT - LEFT) / n_classes;

	svg_text(svg, &heading, LEFT, CHART_TOP - 40,
		 "Runs: of the bundles that tokens want, %% in runs of so many");
	draw_key(svg, picture, CHART_TOP - 40);
	for (int percent = 0; percent <= 100; percent += 25) {
		double y = CHART_BOTTOM - percent / 100.0 * (CHART_BOTTOM - CHART_TOP);

		svg_line(svg, LEFT, y, RIGHT, y, percent ? "#ddd" : "#444");
		svg_text(svg, &tick_left, LEFT - 8, y + 4, "%d", percent);
	}
	for (uint32_t class = 0; class < n_classes; class++) {
		uint32_t min = run_length_class_min(class), max = run_length_class_max(class);
		double x = LEFT + class * width;

		draw_bars(svg, picture, class, x, width);
		if (min == max)
			svg_text(svg, &tick, x + width / 2, CHART_BOTTOM + 18, "%u", min);
		else
			svg_text(svg, &tick, x + width / 2, CHART_BOTTOM + 18, "%u-%u", min, max);
	}
	svg_text(svg, &tick, (LEFT + RIGHT) / 2.0, CHART_BOTTOM + 38, "run length, in bundles");
}

int picture_draw(const struct picture *picture, struct svg *svg, struct error *err)
{
	const struct placement *placement = picture->subject->placement;
	const struct scale scale = scale_of(picture);
	int ret;

	svg_text(svg, &title, LEFT, 36, "%s: layer %u (of 0 to %u), %s",
		 picture->subject->name, picture->layer, placement->n_layers - 1,
		 order_method_name(placement->method));
	svg_text(svg, &note, LEFT, 60,
		 "Model %016llx, %u neurons a layer; placed from %llu tokens, drawn from %llu that "
		 "placing did not see",
		 (unsigned long long)placement->model_id, placement->n_neurons,
		 (unsigned long long)placement->n_tokens, (unsigned long long)picture->n_tokens);
	ret = draw_matrix(svg, picture, LEFT, "Before", &picture->orders[0], &picture->before,
			  &scale, err);
	if (ret == 0)
		ret = draw_matrix(svg, picture, RIGHT - MATRIX_SIDE, "After",
				  &picture->orders[picture->own], &picture->after, &scale,
				  err);
	if (ret < 0)
		return ret;
	draw_scale(svg, picture, &scale);
	draw_run_lengths(svg, picture);
	return 0;
}
