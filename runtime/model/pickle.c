// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pickle machine that knows the opcodes which Python's picklers (protocols 2,
 * 3 and 4) write for a state dict, and no other. It runs over the bytes once;
 * see pickle_machine.h for why hostile input can neither recurse nor grow
 * without bound.
 *
 * Source: Python's Lib/pickletools.py, which documents every opcode.
 */
#include "model/pickle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pickle_machine.h"

/* A state dict needs a dozen memo entries per tensor, and batches of 1000 members. */
#define STACK_LIMIT (64 * 1024)
#define MEMO_LIMIT (1024 * 1024)
#define CELLS_LIMIT (1024 * 1024)

enum opcode {
	OP_MARK = '(',
	OP_EMPTY_TUPLE = ')',
	OP_STOP = '.',
	OP_BINFLOAT = 'G',
	OP_BININT = 'J',
	OP_BININT1 = 'K',
	OP_BININT2 = 'M',
	OP_NONE = 'N',
	OP_BINPERSID = 'Q',
	OP_REDUCE = 'R',
	OP_BINUNICODE = 'X',
	OP_BUILD = 'b',
	OP_GLOBAL = 'c',
	OP_BINGET = 'h',
	OP_LONG_BINGET = 'j',
	OP_BINPUT = 'q',
	OP_LONG_BINPUT = 'r',
	OP_SETITEM = 's',
	OP_TUPLE = 't',
	OP_SETITEMS = 'u',
	OP_EMPTY_DICT = '}',
	OP_PROTO = 0x80,
	OP_TUPLE1 = 0x85,
	OP_TUPLE2 = 0x86,
	OP_TUPLE3 = 0x87,
	OP_NEWTRUE = 0x88,
	OP_NEWFALSE = 0x89,
	OP_LONG1 = 0x8a,
	OP_SHORT_BINUNICODE = 0x8c,
	OP_STACK_GLOBAL = 0x93,
	OP_MEMOIZE = 0x94,
	OP_FRAME = 0x95,
};

int pickle_refuse(struct pickle_machine *machine, const char *format, ...)
{
	char why[ERROR_MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return error_set(machine->err, -EINVAL, "%s: data.pkl, offset %zu: %s", machine->path,
			 machine->opcode_at, why);
}

int pickle_append(struct pickle_machine *machine, struct pickle_array *array, const void *item,
		  size_t item_size, size_t limit, const char *what)
{
	if (array->n >= limit)
		return pickle_refuse(machine, "more than %zu %s", limit, what);
	if (array->n == array->capacity) {
		size_t capacity = array->capacity ? array->capacity * 2 : 64;
		void *grown = reallocarray(array->items, capacity, item_size);

		if (!grown)
			return error_no_memory(machine->err, machine->path);
		array->items = grown;
		array->capacity = capacity;
	}
	memcpy((char *)array->items + array->n * item_size, item, item_size);
	array->n++;
	return 0;
}

static int push(struct pickle_machine *machine, const struct pickle_value *value)
{
	return pickle_append(machine, &machine->stack, value, sizeof(*value), STACK_LIMIT,
			     "values on the stack");
}

/* The lowest place of the stack that may be popped: what is below belongs to a mark. */
static size_t stack_floor(const struct pickle_machine *machine)
{
	const uint32_t *marks = machine->marks.items;

	return machine->marks.n ? marks[machine->marks.n - 1] : 0;
}

/* The `n` topmost values, lowest first; they stay until drop(). */
static int top(struct pickle_machine *machine, size_t n, const struct pickle_value **values)
{
	const struct pickle_value *stack = machine->stack.items;

	if (machine->stack.n - stack_floor(machine) < n)
		return pickle_refuse(machine, "an opcode needs %zu values, the stack has fewer", n);
	*values = n ? stack + machine->stack.n - n : NULL; /* an empty stack may be NULL */
	return 0;
}

static void drop(struct pickle_machine *machine, size_t n)
{
	machine->stack.n -= n;
}

/* Replace the `n` topmost values. */
static int replace(struct pickle_machine *machine, size_t n, const struct pickle_value *value)
{
	drop(machine, n);
	return push(machine, value);
}

/* Remove the last mark; *n values are above it. */
static int pop_mark(struct pickle_machine *machine, size_t *n)
{
	if (!machine->marks.n)
		return pickle_refuse(machine, "an opcode needs a mark, there is none");
	*n = machine->stack.n - stack_floor(machine);
	machine->marks.n--;
	return 0;
}

/* The next `n` bytes of the pickle. */
static int take(struct pickle_machine *machine, size_t n, const uint8_t **bytes)
{
	if (machine->length - machine->position < n)
		return pickle_refuse(machine, "the pickle ends early");
	*bytes = machine->bytes + machine->position;
	machine->position += n;
	return 0;
}

/* An unsigned little-endian number of `n` bytes, at most 8. */
static int take_number(struct pickle_machine *machine, size_t n, uint64_t *number)
{
	const uint8_t *bytes = NULL;
	int ret = take(machine, n, &bytes);

	if (ret < 0)
		return ret;
	*number = 0;
	while (n)
		*number = *number << 8 | bytes[--n];
	return 0;
}

static int push_kind(struct pickle_machine *machine, enum pickle_kind kind, int64_t integer)
{
	struct pickle_value value = { .kind = kind, .integer = integer };

	return push(machine, &value);
}

/* A two's complement number of `n` bytes; `is_signed` tells what its top bit means. */
static int push_integer(struct pickle_machine *machine, size_t n, bool is_signed)
{
	uint64_t number = 0;
	int ret;

	if (n > sizeof(number))
		return pickle_refuse(machine, "an integer of %zu bytes", n);
	ret = take_number(machine, n, &number);
	if (ret < 0)
		return ret;
	if (is_signed && n && n < sizeof(number) && number >> (8 * n - 1))
		number |= UINT64_MAX << (8 * n);
	return push_kind(machine, PICKLE_INTEGER, (int64_t)number);
}

/* The number's length comes first, in one byte. */
static int push_long(struct pickle_machine *machine)
{
	uint64_t length = 0;
	int ret = take_number(machine, 1, &length);

	return ret < 0 ? ret : push_integer(machine, length, true);
}

static int skip_and_push_plain(struct pickle_machine *machine, size_t n)
{
	const uint8_t *bytes = NULL;
	int ret = take(machine, n, &bytes);

	return ret < 0 ? ret : push_kind(machine, PICKLE_PLAIN, 0);
}

static int push_text(struct pickle_machine *machine, size_t length_size)
{
	struct pickle_value value = { .kind = PICKLE_TEXT };
	const uint8_t *bytes = NULL;
	uint64_t length = 0;
	int ret;

	ret = take_number(machine, length_size, &length);
	if (ret < 0)
		return ret;
	ret = take(machine, length, &bytes);
	if (ret < 0)
		return ret;
	value.text = (const char *)bytes;
	value.length = (uint32_t)length;
	return push(machine, &value);
}

/* The `n` topmost values become one tuple. */
static int make_tuple(struct pickle_machine *machine, size_t n)
{
	struct pickle_value value = { .kind = PICKLE_TUPLE,
				      .length = (uint32_t)n,
				      .index = (uint32_t)machine->cells.n };
	const struct pickle_value *values = NULL;
	int ret = top(machine, n, &values);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < n; i++) {
		ret = pickle_append(machine, &machine->cells, &values[i], sizeof(values[i]),
				    CELLS_LIMIT, "members of tuples");
		if (ret < 0)
			return ret;
	}
	return replace(machine, n, &value);
}

static int push_mark(struct pickle_machine *machine)
{
	uint32_t height = (uint32_t)machine->stack.n;

	return pickle_append(machine, &machine->marks, &height, sizeof(height), STACK_LIMIT,
			     "marks");
}

static int make_marked_tuple(struct pickle_machine *machine)
{
	size_t n = 0;
	int ret = pop_mark(machine, &n);

	return ret < 0 ? ret : make_tuple(machine, n);
}

/* `n` values, key and value in turns, go into the dictionary below them. */
static int set_items(struct pickle_machine *machine, size_t n)
{
	const struct pickle_value *values = NULL;
	int ret;

	if (n % 2)
		return pickle_refuse(machine, "a key without a value");
	ret = top(machine, n + 1, &values);
	for (size_t i = 1; ret == 0 && i < n + 1; i += 2)
		ret = pickle_set_item(machine, &values[0], &values[i], &values[i + 1]);
	if (ret == 0)
		drop(machine, n);
	return ret;
}

static int set_marked_items(struct pickle_machine *machine)
{
	size_t n = 0;
	int ret = pop_mark(machine, &n);

	return ret < 0 ? ret : set_items(machine, n);
}

/* Picklers number the memo's entries in order, so nothing may be left out. */
static int put_memo(struct pickle_machine *machine, uint64_t index)
{
	struct pickle_value *memo = machine->memo.items;
	const struct pickle_value *value = NULL;
	int ret = top(machine, 1, &value);

	if (ret < 0)
		return ret;
	if (index > machine->memo.n)
		return pickle_refuse(machine, "memo entry %llu after %zu others",
				     (unsigned long long)index, machine->memo.n);
	if (index < machine->memo.n) {
		memo[index] = *value;
		return 0;
	}
	return pickle_append(machine, &machine->memo, value, sizeof(*value), MEMO_LIMIT,
			     "memo entries");
}

static int put_numbered_memo(struct pickle_machine *machine, size_t index_size)
{
	uint64_t index = 0;
	int ret = take_number(machine, index_size, &index);

	return ret < 0 ? ret : put_memo(machine, index);
}

static int get_memo(struct pickle_machine *machine, size_t index_size)
{
	const struct pickle_value *memo = machine->memo.items;
	uint64_t index = 0;
	int ret = take_number(machine, index_size, &index);

	if (ret < 0)
		return ret;
	if (index >= machine->memo.n)
		return pickle_refuse(machine, "memo entry %llu is not there",
				     (unsigned long long)index);
	return push(machine, &memo[index]);
}

/* A line without its newline. */
static int take_line(struct pickle_machine *machine, const char **line, size_t *length)
{
	const uint8_t *start = machine->bytes + machine->position;
	const uint8_t *end = memchr(start, '\n', machine->length - machine->position);

	if (!end)
		return pickle_refuse(machine, "the pickle ends early");
	*line = (const char *)start;
	*length = (size_t)(end - start);
	machine->position += *length + 1;
	return 0;
}

static int push_global(struct pickle_machine *machine)
{
	size_t module_length, name_length;
	const char *module, *name;
	struct pickle_value value;
	int ret;

	ret = take_line(machine, &module, &module_length);
	if (ret < 0)
		return ret;
	ret = take_line(machine, &name, &name_length);
	if (ret < 0)
		return ret;
	ret = pickle_find_global(machine, module, module_length, name, name_length, &value);
	return ret < 0 ? ret : push(machine, &value);
}

static int push_stack_global(struct pickle_machine *machine)
{
	const struct pickle_value *names = NULL;
	struct pickle_value value;
	int ret = top(machine, 2, &names);

	if (ret < 0)
		return ret;
	if (names[0].kind != PICKLE_TEXT || names[1].kind != PICKLE_TEXT)
		return pickle_refuse(machine, "a global whose name is no text");
	ret = pickle_find_global(machine, names[0].text, names[0].length, names[1].text,
				 names[1].length, &value);
	return ret < 0 ? ret : replace(machine, 2, &value);
}

static int reduce(struct pickle_machine *machine)
{
	const struct pickle_value *values = NULL;
	struct pickle_value result;
	int ret = top(machine, 2, &values);

	if (ret < 0)
		return ret;
	ret = pickle_reduce(machine, &values[0], &values[1], &result);
	return ret < 0 ? ret : replace(machine, 2, &result);
}

static int load_persistent(struct pickle_machine *machine)
{
	const struct pickle_value *id = NULL;
	struct pickle_value result;
	int ret = top(machine, 1, &id);

	if (ret < 0)
		return ret;
	ret = pickle_load_storage(machine, id, &result);
	return ret < 0 ? ret : replace(machine, 1, &result);
}

static int push_dict(struct pickle_machine *machine)
{
	struct pickle_value dict;
	int ret = pickle_new_dict(machine, &dict);

	return ret < 0 ? ret : push(machine, &dict);
}

/* Attributes of a dictionary (a state dict's _metadata): of no use here. */
static int drop_attributes(struct pickle_machine *machine)
{
	const struct pickle_value *values = NULL;
	int ret = top(machine, 2, &values);

	if (ret < 0)
		return ret;
	if (values[0].kind != PICKLE_DICT)
		return pickle_refuse(machine, "attributes of something else than a dictionary");
	drop(machine, 1);
	return 0;
}

/* Where a frame ends matters only to readers that read ahead. */
static int skip_frame_length(struct pickle_machine *machine)
{
	uint64_t length = 0;

	return take_number(machine, 8, &length);
}

static int refuse_opcode(struct pickle_machine *machine, uint8_t opcode)
{
	return pickle_refuse(machine,
			     "opcode 0x%02x has no place in a state dict; save the tensors with "
			     "torch.save(model.state_dict(), ...)",
			     opcode);
}

/* The opcodes that move values around; the others are in run_opcode(). */
static int run_stack_opcode(struct pickle_machine *machine, uint8_t opcode)
{
	switch (opcode) {
	case OP_MARK:
		return push_mark(machine);
	case OP_BINGET:
		return get_memo(machine, 1);
	case OP_LONG_BINGET:
		return get_memo(machine, 4);
	case OP_BINPUT:
		return put_numbered_memo(machine, 1);
	case OP_LONG_BINPUT:
		return put_numbered_memo(machine, 4);
	case OP_MEMOIZE:
		return put_memo(machine, machine->memo.n);
	case OP_SETITEM:
		return set_items(machine, 2);
	case OP_SETITEMS:
		return set_marked_items(machine);
	case OP_BUILD:
		return drop_attributes(machine);
	case OP_FRAME:
		return skip_frame_length(machine);
	}
	return refuse_opcode(machine, opcode);
}

static int run_opcode(struct pickle_machine *machine, uint8_t opcode)
{
	switch (opcode) {
	case OP_NONE:
		return push_kind(machine, PICKLE_PLAIN, 0);
	case OP_NEWTRUE:
		return push_kind(machine, PICKLE_BOOL, 1);
	case OP_NEWFALSE:
		return push_kind(machine, PICKLE_BOOL, 0);
	case OP_BININT:
		return push_integer(machine, 4, true);
	case OP_BININT1:
		return push_integer(machine, 1, false);
	case OP_BININT2:
		return push_integer(machine, 2, false);
	case OP_LONG1:
		return push_long(machine);
	case OP_BINFLOAT:
		return skip_and_push_plain(machine, 8);
	case OP_BINUNICODE:
		return push_text(machine, 4);
	case OP_SHORT_BINUNICODE:
		return push_text(machine, 1);
	case OP_EMPTY_TUPLE:
		return make_tuple(machine, 0);
	case OP_TUPLE1:
	case OP_TUPLE2:
	case OP_TUPLE3:
		return make_tuple(machine, opcode - OP_TUPLE1 + 1);
	case OP_TUPLE:
		return make_marked_tuple(machine);
	case OP_EMPTY_DICT:
		return push_dict(machine);
	case OP_GLOBAL:
		return push_global(machine);
	case OP_STACK_GLOBAL:
		return push_stack_global(machine);
	case OP_REDUCE:
		return reduce(machine);
	case OP_BINPERSID:
		return load_persistent(machine);
	}
	return run_stack_opcode(machine, opcode);
}

/* Up to and including STOP; leaves the finished object on the stack. */
static int run(struct pickle_machine *machine)
{
	const uint8_t *bytes = NULL;
	int ret = take(machine, 2, &bytes);

	if (ret < 0)
		return ret;
	if (bytes[0] != OP_PROTO || bytes[1] < 2 || bytes[1] > 4)
		return pickle_refuse(machine, "not a pickle of protocol 2, 3 or 4");
	for (;;) {
		machine->opcode_at = machine->position;
		ret = take(machine, 1, &bytes);
		if (ret < 0)
			return ret;
		if (bytes[0] == OP_STOP)
			return 0;
		ret = run_opcode(machine, bytes[0]);
		if (ret < 0)
			return ret;
	}
}

int pickle_read_state_dict(const uint8_t *pickle, size_t length, const char *path,
			   struct pickle_tensor **tensors, size_t *n_tensors, struct error *err)
{
	struct pickle_machine machine = {
		.bytes = pickle, .length = length, .path = path, .err = err
	};
	int ret = run(&machine);

	if (ret == 0 && (machine.stack.n != 1 || machine.marks.n))
		ret = pickle_refuse(&machine, "the pickle stops with %zu values on its stack",
				    machine.stack.n);
	if (ret == 0)
		ret = pickle_collect(&machine, machine.stack.items, tensors, n_tensors);
	free(machine.stack.items);
	free(machine.marks.items);
	free(machine.memo.items);
	free(machine.cells.items);
	free(machine.items.items);
	free(machine.storages.items);
	free(machine.tensors.items);
	return ret;
}
