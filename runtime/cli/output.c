// SPDX-License-Identifier: GPL-2.0-only
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"

int report_failure(const struct error *err)
{
	fflush(stdout);
	fprintf(stderr, "colink: %s\n", err->message);
	return EXIT_FAILED;
}

int finish_output(struct error *err)
{
	if (fflush(stdout) || ferror(stdout))
		return error_set(err, -EIO, "cannot write to standard output: %s", strerror(errno));
	return 0;
}

int print_json(json_t *object, struct error *err)
{
	int ret;

	if (!object)
		return error_no_memory(err, "JSON output");
	/* 9 digits bring every f32 back exactly. */
	ret = json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(object);
	if (ret < 0)
		return error_set(err, -EIO, "cannot write JSON to standard output: %s",
				 strerror(errno));
	putchar('\n');
	return finish_output(err);
}

json_t *json_text(const char *text)
{
	struct utf8_stream stream = { 0 };
	size_t length = text ? strlen(text) : 0, n;
	char *valid = text ? malloc(UTF8_STREAM_ROOM(length) + UTF8_STREAM_ROOM(0)) : NULL;
	json_t *string;

	if (!valid)
		return NULL;
	n = utf8_stream_push(&stream, text, length, valid);
	n += utf8_stream_end(&stream, valid + n);
	string = json_stringn(valid, n);
	free(valid);
	return string;
}

json_t *json_u64(uint64_t value)
{
	return value <= INT64_MAX ? json_integer((json_int_t)value) : json_null();
}

json_t *json_u32s(const uint32_t *values, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

char *human_bytes(uint64_t bytes, char out[HUMAN_SIZE])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && unit + 1 < COUNT_OF(units); unit++)
		value /= 1024;
	snprintf(out, HUMAN_SIZE, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

uint64_t mib_bytes(uint64_t mib)
{
	const uint64_t most = UINT64_MAX >> 20;

	return (mib < most ? mib : most) << 20;
}

double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
