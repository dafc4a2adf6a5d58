// SPDX-License-Identifier: GPL-2.0-only
#include "base/svg.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"

#define LINE_BYTES 1024 /* of any element that is written at once */
#define TEXT_BYTES 512

struct svg {
	struct output_file *file;
	struct error *err;
	int failed; /* the first error, 0: none */
};

static void put_bytes(struct svg *svg, const char *bytes, size_t length)
{
	if (!svg->failed)
		svg->failed = output_file_write(svg->file, bytes, length, svg->err);
}

static void put(struct svg *svg, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct svg *svg, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	put_bytes(svg, line, strlen(line));
}

int svg_create(const char *path, double width, double height, struct svg **result,
	       struct error *err)
{
	struct svg *svg = malloc(sizeof(*svg));
	int ret;

	if (!svg)
		return error_no_memory(err, path);
	*svg = (struct svg){ .err = err };
	ret = output_file_create(path, &svg->file, err);
	if (ret < 0) {
		free(svg);
		return ret;
	}
	put(svg,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" "
	    "xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"%g\" height=\"%g\" "
	    "viewBox=\"0 0 %g %g\" font-family=\"sans-serif\">\n",
	    width, height, width, height);
	svg_rect(svg, (struct svg_box){ 0, 0, width, height }, "white", "none");
	*result = svg;
	return 0;
}

void svg_rect(struct svg *svg, struct svg_box box, const char *fill, const char *stroke)
{
	put(svg,
	    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
	    "stroke=\"%s\"/>\n",
	    box.x, box.y, box.width, box.height, fill, stroke);
}

void svg_line(struct svg *svg, double x1, double y1, double x2, double y2, const char *stroke)
{
	put(svg, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1,
	    x2, y2, stroke);
}

/* Text may quote the name of a file: any bytes. */
static void put_escaped(struct svg *svg, const char *text)
{
	while (*text) {
		size_t valid = utf8_valid_prefix(text, strlen(text));
		uint32_t code = 0;
		size_t length = valid ? utf8_decode(text, &code) : 1;

		if (code == '&')
			put_bytes(svg, "&amp;", 5);
		else if (code == '<')
			put_bytes(svg, "&lt;", 4);
		else if (code < ' ' || (code >= 0x7f && code < 0xa0) || code == 0xfffe ||
			 code == 0xffff)
			put_bytes(svg, "?", 1);
		else
			put_bytes(svg, text, length);
		text += length;
	}
}

void svg_text(struct svg *svg, const struct svg_style *style, double x, double y,
	      const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(svg, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\" fill=\"%s\"", x, y,
	    style->size, style->anchor, style->colour);
	if (style->bold)
		put(svg, " font-weight=\"bold\"");
	if (style->degrees != 0)
		put(svg, " transform=\"rotate(%g %.1f %.1f)\"", style->degrees, x, y);
	put(svg, ">");
	put_escaped(svg, text);
	put(svg, "</text>\n");
}

void svg_gradient(struct svg *svg, struct svg_box box, const char *const *colours, size_t n)
{
	put(svg, "<defs><linearGradient id=\"scale\">");
	for (size_t i = 0; i < n; i++)
		put(svg, "<stop offset=\"%.4f\" stop-color=\"%s\"/>",
		    n > 1 ? (double)i / (double)(n - 1) : 0, colours[i]);
	put(svg, "</linearGradient></defs>\n");
	svg_rect(svg, box, "url(#scale)", "#444");
}

/* RFC 4648, section 4. */
static void put_base64(struct svg *svg, const uint8_t *bytes, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		size_t n = length - i < 3 ? length - i : 3;
		uint32_t bits = (uint32_t)bytes[i] << 16;
		char out[4];

		if (n > 1)
			bits |= (uint32_t)bytes[i + 1] << 8;
		if (n > 2)
			bits |= bytes[i + 2];
		for (int digit = 0; digit < 4; digit++)
			out[digit] = digits[bits >> (18 - 6 * digit) & 63];
		memset(out + n + 1, '=', 3 - n);
		put_bytes(svg, out, sizeof(out));
	}
}

void svg_png(struct svg *svg, struct svg_box box, const uint8_t *png, size_t length)
{
	/* SVG 1.1's xlink:href is what every viewer knows. */
	put(svg,
	    "<image x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
	    "preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64,",
	    box.x, box.y, box.width, box.height);
	put_base64(svg, png, length);
	put(svg, "\"/>\n");
}

int svg_commit(struct svg *svg)
{
	int ret;

	put(svg, "</svg>\n");
	ret = svg->failed;
	if (ret < 0)
		output_file_abort(svg->file);
	else
		ret = output_file_commit(svg->file, svg->err);
	free(svg);
	return ret;
}

void svg_abort(struct svg *svg)
{
	output_file_abort(svg->file);
	free(svg);
}
