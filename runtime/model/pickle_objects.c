// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a state dict's pickle is made of: the few globals that may be named, the
 * storages that persistent ids stand for, the tensors rebuilt from storages, and
 * the dictionary that names them.
 *
 * Source: PyTorch's torch/_utils.py (_rebuild_tensor_v2, _rebuild_parameter) and
 * torch/serialization.py (persistent ids).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/pickle_machine.h"
#include "model/tensor_file.h"

#define ITEMS_LIMIT (1024 * 1024)
#define TENSORS_LIMIT (256 * 1024)

/* Most bytes of a foreign name that a message quotes. */
#define QUOTED_LIMIT 80

enum global_role {
	ORDERED_DICT,
	REBUILD_TENSOR,
	REBUILD_PARAMETER,
	STORAGE_TYPE,
};

static const struct {
	const char *module;
	const char *name;
	enum global_role role;
	enum checkpoint_dtype dtype;
	uint32_t element_size;
} globals[] = {
	{ "collections", "OrderedDict", ORDERED_DICT, CHECKPOINT_OTHER, 0 },
	{ "torch", "BFloat16Storage", STORAGE_TYPE, CHECKPOINT_BF16, 2 },
	{ "torch", "BoolStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 1 },
	{ "torch", "ByteStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 1 },
	{ "torch", "CharStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 1 },
	{ "torch", "ComplexDoubleStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 16 },
	{ "torch", "ComplexFloatStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 8 },
	{ "torch", "DoubleStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 8 },
	{ "torch", "FloatStorage", STORAGE_TYPE, CHECKPOINT_F32, 4 },
	{ "torch", "HalfStorage", STORAGE_TYPE, CHECKPOINT_F16, 2 },
	{ "torch", "IntStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 4 },
	{ "torch", "LongStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 8 },
	{ "torch", "ShortStorage", STORAGE_TYPE, CHECKPOINT_OTHER, 2 },
	{ "torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, CHECKPOINT_OTHER, 0 },
	{ "torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, CHECKPOINT_OTHER, 0 },
};

static bool same(const char *text, size_t length, const char *expected)
{
	return length == strlen(expected) && !memcmp(text, expected, length);
}

/* For a message: at most QUOTED_LIMIT bytes. */
static int quoted(size_t length)
{
	return length < QUOTED_LIMIT ? (int)length : QUOTED_LIMIT;
}

int pickle_find_global(struct pickle_machine *machine, const char *module, size_t module_length,
		       const char *name, size_t name_length, struct pickle_value *value)
{
	for (uint32_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++) {
		if (!same(module, module_length, globals[i].module) ||
		    !same(name, name_length, globals[i].name))
			continue;
		*value = (struct pickle_value){ .kind = PICKLE_GLOBAL, .index = i };
		return 0;
	}
	return pickle_refuse(machine,
			     "\"%.*s.%.*s\" has no place in a state dict and is never run; save "
			     "the tensors with torch.save(model.state_dict(), ...)",
			     quoted(module_length), module, quoted(name_length), name);
}

int pickle_new_dict(struct pickle_machine *machine, struct pickle_value *result)
{
	if (machine->n_dicts == ITEMS_LIMIT)
		return pickle_refuse(machine, "more than %d dictionaries", ITEMS_LIMIT);
	*result = (struct pickle_value){ .kind = PICKLE_DICT, .index = machine->n_dicts++ };
	return 0;
}

int pickle_set_item(struct pickle_machine *machine, const struct pickle_value *dict,
		    const struct pickle_value *key, const struct pickle_value *value)
{
	struct pickle_item item = { .dict = dict->index, .key = *key, .value = *value };

	if (dict->kind != PICKLE_DICT)
		return pickle_refuse(machine, "an item for something else than a dictionary");
	return pickle_append(machine, &machine->items, &item, sizeof(item), ITEMS_LIMIT,
			     "items of dictionaries");
}

/* The cells of a tuple of `min` to `max` members; NULL when it is anything else. */
static const struct pickle_value *members(const struct pickle_machine *machine,
					  const struct pickle_value *tuple, size_t min, size_t max)
{
	static const struct pickle_value none;
	const struct pickle_value *cells = machine->cells.items;

	if (tuple->kind != PICKLE_TUPLE || tuple->length < min || tuple->length > max)
		return NULL;
	return tuple->length ? cells + tuple->index : &none;
}

int pickle_load_storage(struct pickle_machine *machine, const struct pickle_value *id,
			struct pickle_value *result)
{
	const struct pickle_value *part = members(machine, id, 5, 5);
	struct pickle_storage storage;

	if (!part || part[0].kind != PICKLE_TEXT ||
	    !same(part[0].text, part[0].length, "storage") || part[1].kind != PICKLE_GLOBAL ||
	    globals[part[1].index].role != STORAGE_TYPE || part[2].kind != PICKLE_TEXT ||
	    part[4].kind != PICKLE_INTEGER || part[4].integer < 0)
		return pickle_refuse(machine, "a persistent id that is not "
					      "(\"storage\", type, key, location, size)");
	storage.key = part[2].text;
	storage.key_length = part[2].length;
	storage.global = part[1].index;
	storage.n_elements = (uint64_t)part[4].integer;
	*result = (struct pickle_value){ .kind = PICKLE_STORAGE,
					 .index = (uint32_t)machine->storages.n };
	return pickle_append(machine, &machine->storages, &storage, sizeof(storage), TENSORS_LIMIT,
			     "storages");
}

/* Whether the strides are those of row-major order; those of a size 1 do not matter. */
static bool is_contiguous(const struct pickle_value *sizes, const struct pickle_value *strides,
			  size_t n, uint64_t n_elements)
{
	uint64_t expected = 1;

	if (!n_elements)
		return true;
	while (n--) {
		if (sizes[n].integer != 1 && (uint64_t)strides[n].integer != expected)
			return false;
		expected *= (uint64_t)sizes[n].integer;
	}
	return true;
}

static int add_shape(struct pickle_machine *machine, const struct pickle_value *sizes,
		     const struct pickle_value *strides, size_t n, struct pickle_tensor *tensor)
{
	for (size_t i = 0; i < n; i++) {
		if (sizes[i].kind != PICKLE_INTEGER || sizes[i].integer < 0 ||
		    strides[i].kind != PICKLE_INTEGER || strides[i].integer < 0)
			return pickle_refuse(machine, "a tensor's size or stride is no size");
		if (checkpoint_tensor_add_dim(&tensor->tensor, (uint64_t)sizes[i].integer) < 0)
			return pickle_refuse(machine, "a tensor has too many elements to count");
	}
	tensor->contiguous = is_contiguous(sizes, strides, n, tensor->tensor.n_elements);
	return 0;
}

/* (storage, first element, sizes, strides, requires_grad, hooks[, metadata]) */
static int rebuild_tensor(struct pickle_machine *machine, const struct pickle_value *arguments,
			  struct pickle_value *result)
{
	const struct pickle_value *part = members(machine, arguments, 6, 7);
	const struct pickle_storage *storage = machine->storages.items;
	const struct pickle_value *sizes, *strides;
	struct pickle_tensor tensor = { .tensor.n_elements = 1 };
	int ret;

	if (!part || part[0].kind != PICKLE_STORAGE || part[1].kind != PICKLE_INTEGER ||
	    part[1].integer < 0)
		return pickle_refuse(machine,
				     "_rebuild_tensor_v2 with other arguments than its own");
	sizes = members(machine, &part[2], 0, SIZE_MAX);
	if (!sizes)
		return pickle_refuse(machine, "a tensor's sizes are no tuple");
	strides = members(machine, &part[3], part[2].length, part[2].length);
	if (!strides)
		return pickle_refuse(machine, "a tensor has not as many strides as sizes");
	storage += part[0].index;
	tensor.tensor.dtype = globals[storage->global].dtype;
	tensor.element_size = globals[storage->global].element_size;
	tensor.storage = storage->key;
	tensor.storage_length = storage->key_length;
	tensor.storage_elements = storage->n_elements;
	tensor.first_element = (uint64_t)part[1].integer;
	ret = add_shape(machine, sizes, strides, part[2].length, &tensor);
	if (ret < 0)
		return ret;
	*result = (struct pickle_value){ .kind = PICKLE_TENSOR,
					 .index = (uint32_t)machine->tensors.n };
	return pickle_append(machine, &machine->tensors, &tensor, sizeof(tensor), TENSORS_LIMIT,
			     "tensors");
}

int pickle_reduce(struct pickle_machine *machine, const struct pickle_value *callable,
		  const struct pickle_value *arguments, struct pickle_value *result)
{
	const struct pickle_value *part;

	if (callable->kind != PICKLE_GLOBAL || globals[callable->index].role == STORAGE_TYPE)
		return pickle_refuse(machine, "a call of something that cannot be called");
	switch (globals[callable->index].role) {
	case ORDERED_DICT:
		if (!members(machine, arguments, 0, 0))
			return pickle_refuse(machine, "OrderedDict with arguments");
		return pickle_new_dict(machine, result);
	case REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
		part = members(machine, arguments, 3, 3);
		if (!part || part->kind != PICKLE_TENSOR)
			return pickle_refuse(machine, "_rebuild_parameter without a tensor");
		*result = *part;
		return 0;
	case REBUILD_TENSOR:
	case STORAGE_TYPE:
		break;
	}
	return rebuild_tensor(machine, arguments, result);
}

static int add_named(struct pickle_machine *machine, const struct pickle_item *item,
		     struct pickle_tensor *named)
{
	const struct pickle_tensor *tensors = machine->tensors.items;

	if (item->key.kind != PICKLE_TEXT)
		return pickle_refuse(machine, "a tensor whose name is no text");
	if (memchr(item->key.text, '\0', item->key.length))
		return pickle_refuse(machine, "a tensor whose name has a NUL byte");
	*named = tensors[item->value.index];
	named->name = item->key.text;
	named->name_length = item->key.length;
	return 0;
}

/* A tensor in another dictionary than the top-level one. */
static int refuse_nested(struct pickle_machine *machine, const struct pickle_value *root,
			 const struct pickle_item *nested)
{
	const struct pickle_item *items = machine->items.items;

	for (size_t i = 0; i < machine->items.n; i++)
		if (items[i].dict == root->index && items[i].value.kind == PICKLE_DICT &&
		    items[i].value.index == nested->dict && items[i].key.kind == PICKLE_TEXT)
			return pickle_refuse(machine,
					     "the tensors are in a dictionary under \"%.*s\"; save "
					     "that dictionary by itself with torch.save()",
					     quoted(items[i].key.length), items[i].key.text);
	return pickle_refuse(machine, "tensors in dictionaries inside the dictionary; save one "
				      "dictionary of tensors with torch.save()");
}

int pickle_collect(struct pickle_machine *machine, const struct pickle_value *root,
		   struct pickle_tensor **tensors, size_t *n_tensors)
{
	const struct pickle_item *items = machine->items.items;
	struct pickle_tensor *found;
	size_t n = 0;
	int ret = 0;

	if (root->kind != PICKLE_DICT)
		return pickle_refuse(machine,
				     "the pickle holds no dictionary; save the tensors with "
				     "torch.save(model.state_dict(), ...)");
	found = calloc(machine->items.n + 1, sizeof(*found));
	if (!found)
		return error_no_memory(machine->err, machine->path);
	for (size_t i = 0; ret == 0 && i < machine->items.n; i++) {
		if (items[i].value.kind != PICKLE_TENSOR)
			continue;
		if (items[i].dict == root->index)
			ret = add_named(machine, &items[i], &found[n++]);
		else
			ret = refuse_nested(machine, root, &items[i]);
	}
	if (ret == 0 && !n)
		ret = pickle_refuse(machine, "the dictionary holds no tensors");
	if (ret < 0) {
		free(found);
		return ret;
	}
	*tensors = found;
	*n_tensors = n;
	return 0;
}
