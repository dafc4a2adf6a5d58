// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as the pickle of a state dict. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "model/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pickle_tensor *tensors;
	struct error err;
	size_t n;

	if (pickle_read_state_dict(data, size, "fuzz", &tensors, &n, &err) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) /* the strings lie inside the pickle */
		if (tensors[i].name + tensors[i].name_length > (const char *)data + size ||
		    tensors[i].storage + tensors[i].storage_length > (const char *)data + size)
			abort();
	free(tensors);
	return 0;
}
