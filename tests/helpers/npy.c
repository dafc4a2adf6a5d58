// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format (NEP 1): "\x93NUMPY", major and minor version, the header's length
 * (two bytes in version 1, four in later ones), the header as a Python dict in
 * ASCII, then the elements.
 */
#include "helpers/npy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "helpers/test.h"

#define NPY_MAX_BYTES ((size_t)1 << 30)

/* The value of `key` in the header, without the blanks before it. */
static const char *member(const char *header, const char *key, const char *path)
{
	const char *at = strstr(header, key);

	if (!at)
		fail_msg("%s: the header has no %s", path, key);
	at += strlen(key);
	return at + strspn(at, ": ");
}

static void parse_shape(const char *shape, struct npy *array, const char *path)
{
	const char *at = shape;

	array->n_dims = 0;
	array->count = 1;
	if (*at++ != '(')
		fail_msg("%s: the shape is not a tuple", path);
	while (*(at += strspn(at, ", ")) != ')') {
		char *end;
		unsigned long long n = strtoull(at, &end, 10);

		if (end == at || array->n_dims == NPY_MAX_DIMS)
			fail_msg("%s: cannot read the shape", path);
		at = end;
		array->dims[array->n_dims++] = n;
		if (__builtin_mul_overflow(array->count, n, &array->count))
			fail_msg("%s: the shape is too large", path);
	}
}

/* The header as a string of its own; returns the offset of the elements. */
static size_t header_of(const char *file, size_t length, char **header, const char *path)
{
	const unsigned char *bytes = (const unsigned char *)file;
	size_t start = 10;
	size_t size;

	if (length < 12 || memcmp(file, "\x93NUMPY", 6) != 0)
		fail_msg("%s: not a .npy file", path);
	size = bytes[8] | (size_t)bytes[9] << 8;
	if (bytes[6] > 1) {
		size |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
		start = 12;
	}
	if (size > length - start)
		fail_msg("%s: ends within its header", path);
	*header = strndup(file + start, size);
	assert_non_null(*header);
	return start + size;
}

void npy_load(const char *path, struct npy *array)
{
	struct error err;
	char *file, *header;
	size_t length, start;
	bool integers;

	assert_ok(file_read_text(path, NPY_MAX_BYTES, &file, &length, &err), &err);
	start = header_of(file, length, &header, path);
	integers = !strncmp(member(header, "'descr'", path), "'<i4'", 5);
	if (!integers && strncmp(member(header, "'descr'", path), "'<f4'", 5) != 0)
		fail_msg("%s: neither <f4 nor <i4", path);
	if (strncmp(member(header, "'fortran_order'", path), "False", 5) != 0)
		fail_msg("%s: not in C order", path);
	parse_shape(member(header, "'shape'", path), array, path);
	if (array->count != (length - start) / 4 || (length - start) % 4)
		fail_msg("%s: %zu bytes of elements for %zu of them", path, length - start,
			 array->count);
	memmove(file, file + start, length - start);
	array->i4 = integers ? (int32_t *)file : NULL;
	array->f4 = integers ? NULL : (float *)file;
	free(header);
}

void npy_free(struct npy *array)
{
	free(array->f4);
	free(array->i4);
}
