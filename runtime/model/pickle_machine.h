/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pickle machine's state, shared by pickle.c (opcodes: stack, marks, memo)
 * and pickle_objects.c (what the opcodes build: storages, tensors, dictionaries).
 *
 * Values are small and copied. A tuple is a range of `cells`; a dictionary is a
 * number, and its items are those of the list `items` that carry this number. So
 * nothing is ever walked recursively, and however deep a pickle nests its
 * objects, no depth can exhaust anything. Every opcode adds a bounded number of
 * entries, and every array has a limit.
 */
#ifndef COLINK_MODEL_PICKLE_MACHINE_H
#define COLINK_MODEL_PICKLE_MACHINE_H

#include "model/pickle.h"

enum pickle_kind {
	PICKLE_PLAIN, /* None, a float: may be a member, is never looked at */
	PICKLE_BOOL,
	PICKLE_INTEGER,
	PICKLE_TEXT,
	PICKLE_TUPLE,
	PICKLE_DICT,
	PICKLE_GLOBAL,
	PICKLE_STORAGE,
	PICKLE_TENSOR,
};

struct pickle_value {
	enum pickle_kind kind;
	uint32_t length; /* of a text in bytes, of a tuple in cells */
	union {
		int64_t integer;
		const char *text;
		uint32_t index; /* first cell, or number of the dict, global, storage, tensor */
	};
};

struct pickle_storage {
	const char *key;
	uint32_t key_length;
	uint32_t global; /* its type */
	uint64_t n_elements;
};

struct pickle_item {
	uint32_t dict;
	struct pickle_value key, value;
};

/* A growing array; what it holds stands where it is declared. */
struct pickle_array {
	void *items;
	size_t n, capacity;
};

struct pickle_machine {
	const uint8_t *bytes;
	size_t length;
	size_t position;  /* next byte */
	size_t opcode_at; /* offset of the opcode being run, for messages */
	const char *path;
	struct error *err;

	struct pickle_array stack;    /* struct pickle_value */
	struct pickle_array marks;    /* uint32_t: heights of the stack */
	struct pickle_array memo;     /* struct pickle_value */
	struct pickle_array cells;    /* struct pickle_value: the tuples' elements */
	struct pickle_array items;    /* struct pickle_item */
	struct pickle_array storages; /* struct pickle_storage */
	struct pickle_array tensors;  /* struct pickle_tensor, nameless: one may have several */
	uint32_t n_dicts;
};

/* Returns -EINVAL with a message that starts with file and offset. */
int pickle_refuse(struct pickle_machine *machine, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Append a copy of `item`; more than `limit` are refused as too many `what`. */
int pickle_append(struct pickle_machine *machine, struct pickle_array *array, const void *item,
		  size_t item_size, size_t limit, const char *what);

/* The value that `module`.`name` stands for; anything unknown is refused by name. */
int pickle_find_global(struct pickle_machine *machine, const char *module, size_t module_length,
		       const char *name, size_t name_length, struct pickle_value *value);

/* callable(*arguments), for the few callables that state dicts need. */
int pickle_reduce(struct pickle_machine *machine, const struct pickle_value *callable,
		  const struct pickle_value *arguments, struct pickle_value *result);

/* The storage that a persistent id ("storage", type, key, location, numel) names. */
int pickle_load_storage(struct pickle_machine *machine, const struct pickle_value *id,
			struct pickle_value *result);

int pickle_new_dict(struct pickle_machine *machine, struct pickle_value *result);
int pickle_set_item(struct pickle_machine *machine, const struct pickle_value *dict,
		    const struct pickle_value *key, const struct pickle_value *value);

/* The tensors among the members of `root`, the finished object. */
int pickle_collect(struct pickle_machine *machine, const struct pickle_value *root,
		   struct pickle_tensor **tensors, size_t *n_tensors);

#endif
