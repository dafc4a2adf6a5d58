/* SPDX-License-Identifier: GPL-2.0-only */
/* The safetensors format: one JSON header, then the tensors' bytes without gaps. */
#ifndef COLINK_MODEL_SAFETENSORS_H
#define COLINK_MODEL_SAFETENSORS_H

#include "base/error.h"
#include "model/tensor_file.h"

/* Reads and checks the header. The caller calls (*file)->close(*file). */
int safetensors_open(const char *path, struct tensor_file **file, struct error *err);

#endif
