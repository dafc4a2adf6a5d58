/* SPDX-License-Identifier: GPL-2.0-only */
/* A model's bundles as a store (storage/bundle_store.h): where they are, and the file's hints. */
#ifndef COLINK_INFER_MODEL_STORE_H
#define COLINK_INFER_MODEL_STORE_H

#include "model/model_file.h"
#include "storage/bundle_store.h"

/* Where the bundles are, but for slot_at of those stored again; it lives as long as the file. */
struct bundle_geometry model_store_geometry(const struct model_file *file);

/*
 * With the file's frequencies and places. As bundle_store_open() fails, or if these cannot be
 * read.
 */
int model_store_open(const struct model_file *file, const struct bundle_store_options *options,
		     struct bundle_store **store, struct error *err);

/* Bytes that model_store_open() takes besides, until it is done. */
uint64_t model_store_opening_bytes(const struct model_config *config,
				   const struct bundle_store_options *options);

#endif
