// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/pickle_writer.h"

#include <string.h>

#include "helpers/test.h"

void pickle_bytes(struct pickle_writer *pickle, const void *bytes, size_t length)
{
	assert_true(length <= sizeof(pickle->bytes) - pickle->length);
	memcpy(pickle->bytes + pickle->length, bytes, length);
	pickle->length += length;
}

void pickle_byte(struct pickle_writer *pickle, uint8_t byte)
{
	pickle_bytes(pickle, &byte, 1);
}

void pickle_start(struct pickle_writer *pickle)
{
	pickle->length = 0;
	pickle_bytes(pickle, "\x80\2", 2);
}

void pickle_integer(struct pickle_writer *pickle, int64_t integer)
{
	pickle_bytes(pickle, "\x8a\x08", 2); /* LONG1 */
	pickle_bytes(pickle, &integer, sizeof(integer));
}

void pickle_text(struct pickle_writer *pickle, const char *text)
{
	uint32_t length = (uint32_t)strlen(text);

	pickle_byte(pickle, 'X');
	pickle_bytes(pickle, &length, sizeof(length));
	pickle_bytes(pickle, text, length);
}

void pickle_global(struct pickle_writer *pickle, const char *module, const char *name)
{
	pickle_byte(pickle, 'c');
	pickle_bytes(pickle, module, strlen(module));
	pickle_byte(pickle, '\n');
	pickle_bytes(pickle, name, strlen(name));
	pickle_byte(pickle, '\n');
}

void pickle_ordered_dict(struct pickle_writer *pickle)
{
	pickle_global(pickle, "collections", "OrderedDict");
	pickle_bytes(pickle, ")R", 2);
}

void pickle_storage(struct pickle_writer *pickle, const char *type, const char *key,
		    int64_t n_elements)
{
	pickle_byte(pickle, '(');
	pickle_text(pickle, "storage");
	pickle_global(pickle, "torch", type);
	pickle_text(pickle, key);
	pickle_text(pickle, "cpu");
	pickle_integer(pickle, n_elements);
	pickle_bytes(pickle, "tQ", 2);
}

static void sizes_tuple(struct pickle_writer *pickle, const int64_t *sizes, size_t n)
{
	pickle_byte(pickle, '(');
	for (size_t i = 0; i < n; i++)
		pickle_integer(pickle, sizes[i]);
	pickle_byte(pickle, 't');
}

void pickle_view(struct pickle_writer *pickle, const struct pickle_view *view)
{
	int64_t strides[8];

	assert_true(view->n_dims <= 8);
	for (size_t i = view->n_dims; i-- > 0;)
		strides[i] = i + 1 == view->n_dims ? 1 : strides[i + 1] * view->sizes[i + 1];
	pickle_global(pickle, "torch._utils", "_rebuild_tensor_v2");
	pickle_byte(pickle, '(');
	pickle_storage(pickle, view->type, view->key, view->storage_elements);
	pickle_integer(pickle, view->first_element);
	sizes_tuple(pickle, view->sizes, view->n_dims);
	sizes_tuple(pickle, view->strides ? view->strides : strides, view->n_dims);
	pickle_byte(pickle, 0x89);   /* requires_grad: False */
	pickle_ordered_dict(pickle); /* hooks */
	pickle_bytes(pickle, "tR", 2);
}
