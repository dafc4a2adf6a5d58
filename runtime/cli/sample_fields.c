// SPDX-License-Identifier: GPL-2.0-only
#include "cli/sample_fields.h"

#include <stdint.h>
#include <string.h>

#include "base/median.h"

static double field_of(const void *sample, const struct sample_field *field)
{
	double value;

	memcpy(&value, (const uint8_t *)sample + field->offset, sizeof(value));
	return value;
}

void sample_medians(const struct sample_form *form, const void *samples, size_t n, double *scratch,
		    void *medians)
{
	for (size_t f = 0; f < form->n_fields; f++) {
		const struct sample_field *field = &form->fields[f];
		double middle;

		for (size_t i = 0; i < n; i++)
			scratch[i] = field_of((const uint8_t *)samples + i * form->sample_bytes,
					      field);
		middle = median(scratch, n);
		memcpy((uint8_t *)medians + field->offset, &middle, sizeof(middle));
	}
}

json_t *sample_json(const struct sample_form *form, const void *sample)
{
	json_t *object = json_object();

	for (size_t f = 0; f < form->n_fields; f++)
		json_object_set_new(object, form->fields[f].name,
				    json_real(field_of(sample, &form->fields[f])));
	return object;
}

json_t *samples_json(const struct sample_form *form, const void *samples, size_t n,
		     const void *medians)
{
	json_t *object = sample_json(form, medians), *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, sample_json(form, (const uint8_t *)samples +
								i * form->sample_bytes));
	json_object_set_new(object, "samples", array);
	return object;
}
