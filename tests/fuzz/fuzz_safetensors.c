// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as a .safetensors file: refused, or every tensor can be read. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tensor_file *file;
	struct error err;

	if (safetensors_open(fuzz_file(data, size), &file, &err) == 0)
		fuzz_read_all(file);
	return 0;
}
