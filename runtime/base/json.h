/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading JSON files (config.json, vocab.json, safetensors headers) with errors
 * that name file and key. The parser is jansson; objects with a key twice are
 * refused, since two readers could see two different values.
 */
#ifndef COLINK_BASE_JSON_H
#define COLINK_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Parse `length` bytes; the top level must be an object. `path` is for messages. */
int json_parse_object(const char *text, size_t length, const char *path, json_t **object,
		      struct error *err);

/* The same from a file of at most `limit` bytes. The caller calls json_decref(). */
int json_load_object(const char *path, size_t limit, json_t **object, struct error *err);

/* A member that must be there, of the named type and within [0, max]. */
int json_get_u64(const json_t *object, const char *key, uint64_t max, const char *path,
		 uint64_t *value, struct error *err);

/* A member that may be missing (or null): *value then keeps what it had. */
int json_get_bool_or(const json_t *object, const char *key, const char *path, bool *value,
		     struct error *err);
int json_get_u64_or(const json_t *object, const char *key, uint64_t max, const char *path,
		    uint64_t *value, struct error *err);

/* *value points into the object and lives as long as it; NULL when missing or null. */
int json_get_string_or_null(const json_t *object, const char *key, const char *path,
			    const char **value, struct error *err);

#endif
