/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A Hugging Face checkpoint directory as a set of named tensors, whichever of
 * the four forms it has: model.safetensors, model.safetensors.index.json with
 * shards, pytorch_model.bin, pytorch_model.bin.index.json with shards (looked
 * for in this order). Opening reads headers only; data is streamed on request.
 *
 * Checkpoints are untrusted input. Everything that does not fit (a range outside
 * the file, overlapping ranges, a shape that contradicts its bytes, a pickle
 * that asks for anything but tensors) is refused with a message that names the
 * file and the tensor or the offset.
 *
 * Not thread-safe: one thread per checkpoint.
 */
#ifndef COLINK_MODEL_CHECKPOINT_H
#define COLINK_MODEL_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CHECKPOINT_MAX_DIMS 4

enum checkpoint_dtype {
	CHECKPOINT_F32,
	CHECKPOINT_F16,
	CHECKPOINT_BF16,
	CHECKPOINT_OTHER, /* may be listed, cannot be read (position ids, masks) */
};

struct checkpoint_tensor {
	const char *name;
	const char *file; /* path of the file that holds it, for messages */
	enum checkpoint_dtype dtype;
	uint32_t n_dims;
	/*
	 * Row-major, outermost first. With more than four dimensions, a tensor is
	 * CHECKPOINT_OTHER, and its inner ones are multiplied into the fourth.
	 */
	uint64_t dims[CHECKPOINT_MAX_DIMS];
	uint64_t n_elements;
};

struct checkpoint;

/*
 * The caller calls checkpoint_close(). With an index, the checkpoint has exactly
 * the tensors of its weight_map, whatever else the shards hold.
 */
int checkpoint_open(const char *directory, struct checkpoint **checkpoint, struct error *err);

/* NULL is allowed. */
void checkpoint_close(struct checkpoint *checkpoint);

/* Tensors sorted by name; pointers live as long as the checkpoint. */
size_t checkpoint_count(const struct checkpoint *checkpoint);
const struct checkpoint_tensor *checkpoint_at(const struct checkpoint *checkpoint, size_t i);

/* NULL when there is none of that name. */
const struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint,
						const char *name);

/*
 * Elements first .. first+count-1 in row-major order, converted. Memory use is
 * a fixed buffer, whatever `count` is. Reading in ascending order is fast; going
 * back is correct but may start the file over. As f16, a value beyond +-65504
 * or a NaN is refused (-ERANGE) with its tensor and index, never stored as
 * infinity; as f32, every value is passed on as it is.
 */
int checkpoint_read_f32(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
			uint64_t first, uint64_t count, float *out, struct error *err);
int checkpoint_read_f16(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
			uint64_t first, uint64_t count, uint16_t *out, struct error *err);

#endif
