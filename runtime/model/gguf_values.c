// SPDX-License-Identifier: GPL-2.0-only
/* Looking up the keyed values of a GGUF header, with their types checked. */
#include "model/gguf_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t gguf_value_type_size(uint32_t type)
{
	switch (type) {
	case GGUF_UINT8:
	case GGUF_INT8:
	case GGUF_BOOL:
		return 1;
	case GGUF_UINT16:
	case GGUF_INT16:
		return 2;
	case GGUF_UINT32:
	case GGUF_INT32:
	case GGUF_FLOAT32:
		return 4;
	case GGUF_UINT64:
	case GGUF_INT64:
	case GGUF_FLOAT64:
		return 8;
	default:
		return 0;
	}
}

static const struct gguf_value *find_value(const struct gguf *gguf, const char *key)
{
	for (uint64_t i = 0; i < gguf->n_values; i++)
		if (!strcmp(gguf->values[i].key, key))
			return &gguf->values[i];
	return NULL;
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
	return find_value(gguf, key);
}

static const struct gguf_value *require(const struct gguf *gguf, const char *key, bool is_array,
					struct error *err)
{
	const struct gguf_value *value = find_value(gguf, key);

	if (!value)
		error_set(err, -EINVAL, "%s: key %s is missing", gguf->path, key);
	else if (value->is_array != is_array) {
		error_set(err, -EINVAL, "%s: key %s is %s", gguf->path, key,
			  is_array ? "not an array" : "an array");
		value = NULL;
	}
	return value;
}

static int wrong_type(const struct gguf *gguf, const char *key, const char *expected,
		      struct error *err)
{
	return error_set(err, -EINVAL, "%s: key %s is not %s", gguf->path, key, expected);
}

/* One integer of any integer type at a place in the header; false: not one, or negative. */
static bool integer_at(const struct gguf *gguf, uint32_t type, uint64_t position, uint64_t *out)
{
	const char *at = gguf->header + position;
	size_t size = gguf_value_type_size(type);
	uint64_t bits = 0;

	if (type == GGUF_FLOAT32 || type == GGUF_FLOAT64 || type == GGUF_BOOL || !size)
		return false;
	memcpy(&bits, at, size);
	if (type == GGUF_INT8 || type == GGUF_INT16 || type == GGUF_INT32 || type == GGUF_INT64)
		if (bits >> (8 * size - 1))
			return false;
	*out = bits;
	return true;
}

int gguf_get_u64(const struct gguf *gguf, const char *key, uint64_t *out, struct error *err)
{
	const struct gguf_value *value = require(gguf, key, false, err);

	if (!value)
		return -EINVAL;
	if (!integer_at(gguf, value->type, value->position, out))
		return wrong_type(gguf, key, "a whole number from 0", err);
	return 0;
}

int gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *out, struct error *err)
{
	uint64_t wide;
	int ret = gguf_get_u64(gguf, key, &wide, err);

	if (ret < 0)
		return ret;
	if (wide > UINT32_MAX)
		return wrong_type(gguf, key, "below 2^32", err);
	*out = (uint32_t)wide;
	return 0;
}

int gguf_get_f32(const struct gguf *gguf, const char *key, float *out, struct error *err)
{
	const struct gguf_value *value = require(gguf, key, false, err);

	if (!value)
		return -EINVAL;
	if (value->type != GGUF_FLOAT32)
		return wrong_type(gguf, key, "a 32-bit float", err);
	memcpy(out, gguf->header + value->position, sizeof(*out));
	return 0;
}

int gguf_get_bool(const struct gguf *gguf, const char *key, bool *out, struct error *err)
{
	const struct gguf_value *value = require(gguf, key, false, err);

	if (!value)
		return -EINVAL;
	if (value->type != GGUF_BOOL)
		return wrong_type(gguf, key, "true or false", err);
	*out = gguf->header[value->position];
	return 0;
}

int gguf_get_string(const struct gguf *gguf, const char *key, const char **out, struct error *err)
{
	const struct gguf_value *value = require(gguf, key, false, err);

	if (!value)
		return -EINVAL;
	if (value->type != GGUF_STRING)
		return wrong_type(gguf, key, "a string", err);
	*out = value->string;
	return 0;
}

/*
 * Strings of arrays are copied on request: one block holds the pointers and,
 * behind them, the NUL-terminated texts.
 */
int gguf_get_strings(const struct gguf *gguf, const char *key, const char ***values,
		     size_t *count, struct error *err)
{
	const struct gguf_value *value = require(gguf, key, true, err);
	const char *from;
	const char **pointers;
	uint64_t bytes = 0;
	char *to;

	if (!value)
		return -EINVAL;
	if (value->type != GGUF_STRING)
		return wrong_type(gguf, key, "an array of strings", err);
	from = gguf->header + value->position;
	for (uint64_t i = 0; i < value->count; i++) {
		uint64_t length;

		memcpy(&length, from, sizeof(length));
		if (memchr(from + sizeof(length), '\0', length))
			return wrong_type(gguf, key, "free of NUL bytes", err);
		from += sizeof(length) + length;
		bytes += length + 1;
	}
	/* Each string took at least 8 bytes of the header, so this cannot overflow. */
	pointers = malloc(value->count * sizeof(*pointers) + bytes + 1);
	if (!pointers)
		return error_no_memory(err, key);
	to = (char *)(pointers + value->count);
	from = gguf->header + value->position;
	for (uint64_t i = 0; i < value->count; i++) {
		uint64_t length;

		memcpy(&length, from, sizeof(length));
		from += sizeof(length);
		pointers[i] = to;
		memcpy(to, from, length);
		to[length] = '\0';
		from += length;
		to += length + 1;
	}
	*values = pointers;
	*count = value->count;
	return 0;
}

int gguf_get_u32s(const struct gguf *gguf, const char *key, uint32_t **values, size_t *count,
		  struct error *err)
{
	const struct gguf_value *value = require(gguf, key, true, err);
	size_t step;
	uint32_t *out;

	if (!value)
		return -EINVAL;
	step = gguf_value_type_size(value->type);
	out = malloc(value->count * sizeof(*out) + 1);
	if (!out)
		return error_no_memory(err, key);
	for (uint64_t i = 0; i < value->count; i++) {
		uint64_t wide;

		if (!integer_at(gguf, value->type, value->position + i * step, &wide) ||
		    wide > UINT32_MAX) {
			free(out);
			return wrong_type(gguf, key, "an array of whole numbers below 2^32", err);
		}
		out[i] = (uint32_t)wide;
	}
	*values = out;
	*count = value->count;
	return 0;
}
