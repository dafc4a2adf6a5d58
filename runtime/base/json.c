// SPDX-License-Identifier: GPL-2.0-only
#include "base/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/file.h"

/*
 * jansson's lexer ignores a failed allocation (it drops the character, so that a
 * key reads wrong), and other failures end as "invalid token". So its allocations
 * go through here, and a parse during which one failed has no result.
 */
static _Thread_local bool allocation_failed;

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		allocation_failed = true;
	return memory;
}

/* free() stays the way to free what jansson returns. */
static void use_allocate(void)
{
	json_set_alloc_funcs(allocate, free);
}

int json_parse_object(const char *text, size_t length, const char *path, json_t **object,
		      struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t why;
	json_t *root;

	pthread_once(&once, use_allocate);
	allocation_failed = false;
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
	if (allocation_failed) {
		json_decref(root);
		return error_no_memory(err, path);
	}
	if (!root)
		return error_set(err, -EINVAL, "%s: not valid JSON: line %d: %s", path, why.line,
				 why.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return error_set(err, -EINVAL, "%s: the top level is not a JSON object", path);
	}
	*object = root;
	return 0;
}

int json_load_object(const char *path, size_t limit, json_t **object, struct error *err)
{
	size_t length;
	char *text;
	int ret;

	ret = file_read_text(path, limit, &text, &length, err);
	if (ret < 0)
		return ret;
	ret = json_parse_object(text, length, path, object, err);
	free(text);
	return ret;
}

static const json_t *present(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

int json_get_u64_or(const json_t *object, const char *key, uint64_t max, const char *path,
		    uint64_t *value, struct error *err)
{
	const json_t *member = present(object, key);
	json_int_t number;

	if (!member)
		return 0;
	number = json_integer_value(member);
	if (!json_is_integer(member) || number < 0 || (uint64_t)number > max)
		return error_set(err, -EINVAL, "%s: \"%s\" is not a number from 0 to %llu", path,
				 key, (unsigned long long)max);
	*value = (uint64_t)number;
	return 0;
}

int json_get_u64(const json_t *object, const char *key, uint64_t max, const char *path,
		 uint64_t *value, struct error *err)
{
	if (!present(object, key))
		return error_set(err, -EINVAL, "%s: \"%s\" is missing", path, key);
	return json_get_u64_or(object, key, max, path, value, err);
}

int json_get_bool_or(const json_t *object, const char *key, const char *path, bool *value,
		     struct error *err)
{
	const json_t *member = present(object, key);

	if (!member)
		return 0;
	if (!json_is_boolean(member))
		return error_set(err, -EINVAL, "%s: \"%s\" is neither true nor false", path, key);
	*value = json_is_true(member);
	return 0;
}

int json_get_string_or_null(const json_t *object, const char *key, const char *path,
			    const char **value, struct error *err)
{
	const json_t *member = present(object, key);

	*value = NULL;
	if (!member)
		return 0;
	if (!json_is_string(member))
		return error_set(err, -EINVAL, "%s: \"%s\" is not a string", path, key);
	*value = json_string_value(member);
	return 0;
}
