/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NumPy's .npy files, as reference results are kept in: 32-bit floats ('<f4') or
 * integers ('<i4'), C order, any number of dimensions up to NPY_MAX_DIMS. What
 * else a file may hold fails the test.
 */
#ifndef COLINK_TESTS_HELPERS_NPY_H
#define COLINK_TESTS_HELPERS_NPY_H

#include <stddef.h>
#include <stdint.h>

#define NPY_MAX_DIMS 8

struct npy {
	uint32_t n_dims;
	size_t dims[NPY_MAX_DIMS]; /* outermost first */
	size_t count; /* elements: the product of dims */
	float *f4; /* (dims...), or NULL when the file holds integers */
	int32_t *i4; /* (dims...), or NULL when the file holds floats */
};

/* Read a file; the caller calls npy_free(). */
void npy_load(const char *path, struct npy *array);
void npy_free(struct npy *array);

#endif
