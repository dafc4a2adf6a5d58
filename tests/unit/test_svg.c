// SPDX-License-Identifier: GPL-2.0-only
/* What is put into an SVG file, byte by byte, and that it appears only when it is complete. */
#include "helpers/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/svg.h"

static const struct svg_style plain = { 12, "start", "#222", false, 0 };

/* A file of one element, made by `add`; the caller frees the text. */
static char *drawn(const char *folder, void (*add)(struct svg *svg, const void *arg),
		   const void *arg)
{
	char *path = path_in(folder, "a.svg"), *text;
	struct svg *svg;
	struct error err;
	size_t length;

	assert_ok(svg_create(path, 100, 50.5, &svg, &err), &err);
	add(svg, arg);
	assert_int_equal(count_entries(folder), 0);
	assert_ok(svg_commit(svg), &err);
	text = file_contents(path, &length);
	assert_int_equal(strlen(text), length);
	remove(path);
	free(path);
	return text;
}

static void assert_drawn(void (*add)(struct svg *svg, const void *arg), const void *arg,
			 const char *expected)
{
	char *folder = make_folder();
	char *text = drawn(folder, add, arg);

	if (!strstr(text, expected))
		fail_msg("no %s in %s", expected, text);
	free(text);
	remove_folder(folder);
}

static void add_text(struct svg *svg, const void *arg)
{
	svg_text(svg, &plain, 1, 2.25, "%s", (const char *)arg);
}

static void text_is_escaped(void **state)
{
	(void)state;
	assert_drawn(add_text, "a<b>&\"c\"", ">a&lt;b>&amp;\"c\"</text>");
	assert_drawn(add_text, "tab\tnew\nline\x7f", ">tab?new?line?</text>");
	assert_drawn(add_text, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		     ">\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80<");
	/* No UTF-8, a character cut short, U+0085, U+FFFE and U+FFFF. */
	assert_drawn(add_text, "\xff" "a\xc3", ">?a?<");
	assert_drawn(add_text, "\xc2\x85\xef\xbf\xbe\xef\xbf\xbf", ">?\?\?<");
}

static void long_text_is_cut(void **state)
{
	char text[2000], expected[530];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	memset(expected, 'a', 511);
	expected[0] = '>';
	strcpy(expected + 511, "a</text>");
	assert_drawn(add_text, text, expected);
}

static void add_styled(struct svg *svg, const void *arg)
{
	const struct svg_style style = { 9.5, "end", "red", true, -90 };

	(void)arg;
	svg_text(svg, &style, 1, 2.25, "%d", 7);
}

static void add_shapes(struct svg *svg, const void *arg)
{
	static const char *const colours[] = { "#fff", "blue", "#000" };

	(void)arg;
	svg_rect(svg, (struct svg_box){ 1, 2, 3, 4 }, "green", "none");
	svg_line(svg, 1, 2, 3, 4.06, "#123");
	svg_gradient(svg, (struct svg_box){ 1, 2, 3, 4 }, colours, 3);
}

static void shapes(void **state)
{
	(void)state;
	assert_drawn(add_styled, NULL,
		     "<text x=\"1.0\" y=\"2.2\" font-size=\"9.5\" text-anchor=\"end\" fill=\"red\" "
		     "font-weight=\"bold\" transform=\"rotate(-90 1.0 2.2)\">7</text>\n");
	assert_drawn(add_shapes, NULL,
		     "viewBox=\"0 0 100 50.5\" font-family=\"sans-serif\">\n"
		     "<rect x=\"0.0\" y=\"0.0\" width=\"100.0\" height=\"50.5\" fill=\"white\" "
		     "stroke=\"none\"/>\n"
		     "<rect x=\"1.0\" y=\"2.0\" width=\"3.0\" height=\"4.0\" fill=\"green\" "
		     "stroke=\"none\"/>\n"
		     "<line x1=\"1.0\" y1=\"2.0\" x2=\"3.0\" y2=\"4.1\" stroke=\"#123\"/>\n"
		     "<defs><linearGradient id=\"scale\">"
		     "<stop offset=\"0.0000\" stop-color=\"#fff\"/>"
		     "<stop offset=\"0.5000\" stop-color=\"blue\"/>"
		     "<stop offset=\"1.0000\" stop-color=\"#000\"/></linearGradient></defs>\n");
}

static void add_image(struct svg *svg, const void *arg)
{
	svg_png(svg, (struct svg_box){ 0, 0, 5, 5 }, arg, strlen(arg));
}

/* The test vectors of RFC 4648, section 10. */
static void images_are_base64(void **state)
{
	(void)state;
	assert_drawn(add_image, "", "base64,\"/>\n</svg>\n");
	assert_drawn(add_image, "f", "base64,Zg==\"/>");
	assert_drawn(add_image, "fo", "base64,Zm8=\"/>");
	assert_drawn(add_image, "foo", "base64,Zm9v\"/>");
	assert_drawn(add_image, "foobar", "base64,Zm9vYmFy\"/>");
	assert_drawn(add_image, "\xff\xfb\xf0?~", "base64,//vwP34=\"/>");
}

static void what_is_given_up_leaves_nothing(void **state)
{
	char *folder = make_folder();
	char *path = path_in(folder, "a.svg"), *nowhere = path_in(folder, "none/a.svg");
	struct svg *svg;
	struct error err;

	(void)state;
	assert_ok(svg_create(path, 10, 10, &svg, &err), &err);
	svg_line(svg, 1, 2, 3, 4, "red");
	svg_abort(svg);
	assert_int_equal(count_entries(folder), 0);
	assert_refused_with(svg_create(nowhere, 10, 10, &svg, &err), &err, nowhere, "No such file");
	free(path);
	free(nowhere);
	remove_folder(folder);
}

/* What fails in the middle is said in the end, and nothing is there. */
static void what_does_not_fit_is_told(void **state)
{
	struct rlimit limit, unlimited;
	const size_t length = 4 << 20;
	char *folder = make_folder();
	char *path = path_in(folder, "a.svg");
	uint8_t *image = calloc(1, length);
	struct svg *svg;
	struct error err;
	int ret;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	limit = unlimited;
	limit.rlim_cur = 1 << 20;
	assert_ok(svg_create(path, 10, 10, &svg, &err), &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	svg_png(svg, (struct svg_box){ 0, 0, 5, 5 }, image, length);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
	svg_line(svg, 1, 2, 3, 4, "red");
	ret = svg_commit(svg);
	assert_refused_with(ret, &err, path, "File too large");
	assert_int_equal(count_entries(folder), 0);
	free(image);
	free(path);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_base64),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(shapes),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(what_does_not_fit_is_told),
		cmocka_unit_test(what_is_given_up_leaves_nothing),
	};

	return cmocka_run_group_tests_name("svg", tests, NULL, NULL);
}
