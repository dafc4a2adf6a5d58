// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as the pickle of a state dict. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "model/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *end = (const char *)data + size;
	struct pickle_tensor *tensors;
	struct error err;
	size_t n;

	if (pickle_read_state_dict(data, size, "fuzz", &tensors, &n, &err) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) /* the strings lie inside the pickle */
		require(tensors[i].name + tensors[i].name_length <= end &&
			tensors[i].storage + tensors[i].storage_length <= end);
	free(tensors);
	return 0;
}
