/* SPDX-License-Identifier: GPL-2.0-only */
/* config.json of an OPT checkpoint (Hugging Face transformers, OPTConfig). */
#ifndef COLINK_MODEL_OPT_CONFIG_H
#define COLINK_MODEL_OPT_CONFIG_H

#include <stdbool.h>

#include "base/error.h"
#include "model/model_layout.h"

struct opt_config {
	struct model_config model;
	bool biases; /* linear layers have biases (enable_bias) */
};

/* Refuses what would compute something else than OPT with ReLU, by key and value. */
int opt_config_load(const char *directory, struct opt_config *config, struct error *err);

#endif
