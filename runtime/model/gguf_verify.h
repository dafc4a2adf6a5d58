/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checksums of a file that colink wrote: tensor GGUF_CHECKSUMS, the last one,
 * I64, holds the XXH3-64 of
 *   [0]      the header, from byte 0 to the first tensor
 *   [1..n]   each tensor of the table before it, with the padding behind it
 *   [n + 1]  the entries above, as bytes
 * so that every byte of the file is covered by one of them.
 */
#ifndef COLINK_MODEL_GGUF_VERIFY_H
#define COLINK_MODEL_GGUF_VERIFY_H

#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "model/gguf.h"

/*
 * Read the checksums, check them against themselves and the header against its
 * own. *checksums has one entry per tensor before the last, in table order; the
 * caller frees it.
 */
int gguf_load_checksums(const struct gguf *gguf, uint64_t **checksums, struct error *err);

/*
 * Read tensor `i` and its padding and compare. With `data`, the bytes (without
 * padding) are also stored there; otherwise they pass through a fixed buffer.
 */
int gguf_verify_tensor(const struct gguf *gguf, const uint64_t *checksums, size_t i, void *data,
		       struct error *err);

/* All of the above for the whole file. Progress counts bytes. */
int gguf_verify(const struct gguf *gguf, struct progress *progress, struct error *err);

#endif
