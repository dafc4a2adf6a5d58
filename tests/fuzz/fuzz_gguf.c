// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as a GGUF file: refused, or every value and every tensor can be read. */
#include <stdlib.h>

#include "base/file.h"
#include "fuzz/fuzz.h"
#include "model/gguf_private.h"
#include "model/gguf_verify.h"

/* Ask for a key as everything that it may or may not be. */
static void read_value(const struct gguf *gguf, const char *key)
{
	const char **strings, *string;
	struct error err;
	uint32_t *numbers;
	uint64_t number;
	size_t count;
	float real;
	bool truth;
	int found = 0;

	require(gguf_has(gguf, key));
	if (gguf_get_strings(gguf, key, &strings, &count, &err) == 0) {
		for (size_t i = 0; i < count; i++)
			found += strings[i][0] != '\0';
		free(strings);
	}
	if (gguf_get_u32s(gguf, key, &numbers, &count, &err) == 0) {
		for (size_t i = 0; i < count; i++)
			found += numbers[i] != 0;
		free(numbers);
	}
	found += gguf_get_u64(gguf, key, &number, &err) == 0 && number;
	found += gguf_get_f32(gguf, key, &real, &err) == 0 && real > 0;
	found += gguf_get_bool(gguf, key, &truth, &err) == 0 && truth;
	found += gguf_get_string(gguf, key, &string, &err) == 0 && string[0];
	require(found >= 0);
}

static void read_tensor(const struct gguf *gguf, const struct gguf_tensor *tensor)
{
	struct error err;
	char byte;

	require(tensor->offset <= gguf_file_size(gguf));
	require(tensor->size <= gguf_file_size(gguf) - tensor->offset);
	require(gguf_find_tensor(gguf, tensor->name) == tensor);
	if (tensor->size)
		require(file_read_at(gguf_descriptor(gguf), &byte, 1,
				     tensor->offset + tensor->size - 1, gguf_path(gguf),
				     &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gguf *gguf;
	struct error err;

	if (gguf_open(fuzz_file(data, size), &gguf, &err) < 0)
		return 0;
	for (uint64_t i = 0; i < gguf->n_values; i++)
		read_value(gguf, gguf->values[i].key);
	for (size_t i = 0; i < gguf_n_tensors(gguf); i++)
		read_tensor(gguf, gguf_tensor_at(gguf, i));
	gguf_verify(gguf, NULL, &err);
	gguf_close(gguf);
	return 0;
}
