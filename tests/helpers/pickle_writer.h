/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes pickles opcode by opcode, as Python's pickler (protocol 2) would, or worse. */
#ifndef COLINK_TESTS_HELPERS_PICKLE_WRITER_H
#define COLINK_TESTS_HELPERS_PICKLE_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct pickle_writer {
	uint8_t bytes[64 * 1024];
	size_t length;
};

void pickle_byte(struct pickle_writer *pickle, uint8_t byte);
void pickle_bytes(struct pickle_writer *pickle, const void *bytes, size_t length);

/* PROTO 2; a whole pickle ends with '.', which is pickle_byte()'s business. */
void pickle_start(struct pickle_writer *pickle);

void pickle_integer(struct pickle_writer *pickle, int64_t integer);
void pickle_text(struct pickle_writer *pickle, const char *text);
void pickle_global(struct pickle_writer *pickle, const char *module, const char *name);

/* An empty OrderedDict. */
void pickle_ordered_dict(struct pickle_writer *pickle);

/* The storage of a persistent id. */
void pickle_storage(struct pickle_writer *pickle, const char *type, const char *key,
		    int64_t n_elements);

struct pickle_view {
	const char *type; /* "FloatStorage" */
	const char *key;
	int64_t storage_elements;
	int64_t first_element;
	size_t n_dims;
	const int64_t *sizes;
	const int64_t *strides; /* NULL: those of row-major order */
};

/* A tensor by torch._utils._rebuild_tensor_v2. */
void pickle_view(struct pickle_writer *pickle, const struct pickle_view *view);

#endif
