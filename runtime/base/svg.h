/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SVG files: text, lines, boxes and images that are embedded, so that the file needs no other.
 * Lengths are in CSS pixels from the upper left corner; a colour is what CSS takes ("#222").
 *
 *	ret = svg_create(path, 640, 480, &svg, err);
 *	if (ret < 0)
 *		return ret;
 *	svg_text(svg, &style, 20, 30, "%u layers", n);
 *	...
 *	return svg_commit(svg);
 *
 * What fails in between is remembered: nothing more is written, and svg_commit() says it.
 */
#ifndef COLINK_BASE_SVG_H
#define COLINK_BASE_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct svg;

struct svg_box {
	double x, y, width, height;
};

struct svg_style {
	double size; /* of the font */
	const char *anchor; /* which part of the text is at x: "start", "middle", "end" */
	const char *colour;
	bool bold;
	double degrees; /* turned to the right about (x, y) */
};

/* A white page. Nothing is at `path` before svg_commit(). `err` is used until then. */
int svg_create(const char *path, double width, double height, struct svg **svg, struct error *err);

void svg_rect(struct svg *svg, struct svg_box box, const char *fill, const char *stroke);
void svg_line(struct svg *svg, double x1, double y1, double x2, double y2, const char *stroke);

/* One line of at most 511 bytes; what is no text in XML becomes '?'. */
void svg_text(struct svg *svg, const struct svg_style *style, double x, double y,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A box of colours that go from left to right: colours[0] to colours[n - 1]. Once in a file. */
void svg_gradient(struct svg *svg, struct svg_box box, const char *const *colours, size_t n);

/* A PNG image, stretched to the box. */
void svg_png(struct svg *svg, struct svg_box box, const uint8_t *png, size_t length);

/* As output_file_commit() and output_file_abort(), base/file.h. Both free `svg`. */
int svg_commit(struct svg *svg);
void svg_abort(struct svg *svg);

#endif
