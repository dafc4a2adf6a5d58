/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tensors that a pickled PyTorch state dict (data.pkl of a torch.save()d
 * file) describes. Nothing is executed: what is not needed to describe tensors is
 * refused by name.
 */
#ifndef COLINK_MODEL_PICKLE_H
#define COLINK_MODEL_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/checkpoint.h"

/* Strings point into the pickle and have no NUL at their end. */
struct pickle_tensor {
	struct checkpoint_tensor tensor; /* `name` and `file` stay NULL */
	const char *name;		 /* without NUL */
	size_t name_length;
	const char *storage; /* the key of its storage: entry data/KEY of the archive */
	size_t storage_length;
	uint32_t element_size;
	uint64_t storage_elements; /* as the pickle declares them */
	uint64_t first_element;	   /* of the storage */
	bool contiguous;	   /* row-major, without gaps */
};

/*
 * The members of the top-level dictionary that are tensors, in the pickle's
 * order; other members are left out. A dictionary without tensors, or with
 * tensors in dictionaries inside it, is refused. `path` is for messages. The
 * caller frees *tensors.
 */
int pickle_read_state_dict(const uint8_t *pickle, size_t length, const char *path,
			   struct pickle_tensor **tensors, size_t *n_tensors, struct error *err);

#endif
