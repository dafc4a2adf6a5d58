/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Figures of the benchmarks: each sample is a struct of doubles, of which fields are
 * named for JSON, and summed up over the repeats by their medians.
 */
#ifndef COLINK_CLI_SAMPLE_FIELDS_H
#define COLINK_CLI_SAMPLE_FIELDS_H

#include <stddef.h>

#include <jansson.h>

struct sample_field {
	const char *name;
	size_t offset; /* of a double in the struct */
};

/* What a benchmark's samples are made of. */
struct sample_form {
	size_t sample_bytes;
	const struct sample_field *fields;
	size_t n_fields;
};

/* Set each field of `medians` to the median over n > 0 samples; `scratch` has room for n. */
void sample_medians(const struct sample_form *form, const void *samples, size_t n, double *scratch,
		    void *medians);

/* The fields as an object, which the caller owns. */
json_t *sample_json(const struct sample_form *form, const void *sample);

/* The medians as an object, with all of the samples in it, which the caller owns. */
json_t *samples_json(const struct sample_form *form, const void *samples, size_t n,
		     const void *medians);

#endif
