/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model in colink's form: a GGUF file with the tensors of model_layout.h and
 * the keys below. `colink import` writes one in which slots are neurons (identity
 * placement) and nothing predicts; `colink pack` writes the linked one. Both are
 * read here, and nothing else knows the keys. Documentation/file-formats.rst.
 */
#ifndef COLINK_MODEL_MODEL_FILE_H
#define COLINK_MODEL_MODEL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "model/gguf.h"
#include "model/gguf_writer.h"
#include "model/model_layout.h"
#include "model/vocabulary.h"

/* Every tensor starts at a multiple of this: a page of any CPU, a block of any flash. */
#define MODEL_ALIGNMENT 16384

/* What the keys say beside the configuration. */
struct model_origin {
	char name[64]; /* "general.name": the checkpoint directory's last part */
	uint64_t model_id; /* hash of the imported weights; pack keeps it */
	char placement[16]; /* "identity" for an imported model */
	uint64_t placement_tokens; /* of trace that the placement was made from */
};

struct model_file {
	struct gguf *gguf;
	struct model_config config;
	struct model_origin origin;
	struct model_layout layout;
	uint64_t *bundle_offsets; /* (n_layers): of the first bundle in the file */
};

/*
 * Opens, checks header and list of checksums, and that exactly the tensors that
 * the configuration asks for are there. The data of tensors is not read.
 */
int model_file_open(const char *path, struct model_file **file, struct error *err);
void model_file_close(struct model_file *file);

/* The vocabulary kept in the file; the caller calls vocabulary_free(). */
int model_file_vocabulary(const struct model_file *file, struct vocabulary **vocabulary,
			  struct error *err);

/* Position of a tensor in layout.tensors and in the GGUF table; SIZE_MAX: not there. */
size_t model_file_find(const struct model_file *file, enum model_tensor_id id, uint32_t layer);

/*
 * Read one tensor into `data` (model_tensor_bytes() of it) and check it against
 * its checksum. Reads the list of checksums each time: for a few tensors.
 */
int model_file_read(const struct model_file *file, size_t tensor, void *data, struct error *err);

/*
 * Where a layer's neurons are: slot_of[neuron] = slot, the inverse of neuron[slot],
 * both (n_ffn). -EINVAL, with the slot, unless `neuron` is a permutation: files are
 * not trusted to hold one, and it is used as an index.
 */
int model_file_invert(const struct model_file *file, uint32_t layer, const uint32_t *neuron,
		      uint32_t *slot_of, struct error *err);

/*
 * Where a layer's bundles are: slot_at, (model_positions()), has the slot of each; primary,
 * (n_ffn), the position of each slot's primary place (model/places.h). Without copies both count from 0 on.
 * Read and checked as by model_file_read(); -EINVAL, with the layer, for places that cannot be.
 */
int model_file_places(const struct model_file *file, uint32_t layer, uint32_t *slot_at,
		      uint32_t *primary, struct error *err);

/*
 * Every byte against its checksum, as gguf_verify(), and every copy of a bundle against its
 * primary place: -EBADMSG, with layer and position. Progress counts bytes of the former.
 */
int model_file_verify(const struct model_file *file, struct progress *progress,
		      struct error *err);

/*
 * Begin a model file: all keys and the table; the data of `layout`'s tensors then
 * follows in order by gguf_writer_data(). *model_id_place is for
 * gguf_writer_set_u64(), since a model's id is known after its data.
 */
int model_file_create(const char *path, const struct model_config *config,
		      const struct model_origin *origin, const struct vocabulary *vocabulary,
		      const struct model_layout *layout, struct gguf_writer **writer,
		      size_t *model_id_place, struct error *err);

#endif
