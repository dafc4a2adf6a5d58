// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as a torch.save()d file: refused, or reading every tensor ends well or badly. */
#include "fuzz/fuzz.h"
#include "model/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tensor_file *file;
	struct error err;

	if (torch_file_open(fuzz_file(data, size), &file, &err) == 0)
		fuzz_read_all(file);
	return 0;
}
