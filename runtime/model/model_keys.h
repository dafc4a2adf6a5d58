/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model's configuration as keys of its file. An architecture's own keys begin with
 * its name and are those that GGUF has for it; what GGUF lacks is under "colink.".
 * Documentation/file-formats.rst lists them.
 */
#ifndef COLINK_MODEL_MODEL_KEYS_H
#define COLINK_MODEL_MODEL_KEYS_H

#include "base/error.h"
#include "model/gguf.h"
#include "model/gguf_writer.h"
#include "model/model_layout.h"

/* Of files without copies of bundles, and of those with such. */
#define MODEL_FILE_VERSION 1
#define MODEL_FILE_VERSION_COPIES 2

/* As in "general.architecture": "opt", "llama". */
const char *model_architecture_name(enum model_architecture architecture);

/* As in "colink.ffn.activation": "relu", "fatrelu", "relu-both". */
const char *model_activation_name(enum model_activation activation);

/*
 * Fills *config; every number is checked, so that sizes derived from it fit 64 bits and
 * nothing is divided by 0. -EINVAL with the key otherwise.
 */
int model_keys_read(const struct gguf *gguf, struct model_config *config, struct error *err);

/* As in "colink.version". */
uint32_t model_file_version(const struct model_config *config);

/* All keys of the configuration, after those that say which architecture it is. */
void model_keys_write(struct gguf_writer *writer, const struct model_config *config);

#endif
