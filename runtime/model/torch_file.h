/* SPDX-License-Identifier: GPL-2.0-only */
/* A state dict as torch.save() of PyTorch 1.6 and later writes it: a zip archive. */
#ifndef COLINK_MODEL_TORCH_FILE_H
#define COLINK_MODEL_TORCH_FILE_H

#include "base/error.h"
#include "model/tensor_file.h"

/* Reads and checks everything but the data. The caller calls (*file)->close(*file). */
int torch_file_open(const char *path, struct tensor_file **file, struct error *err);

#endif
