/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fuzzers share. */
#ifndef COLINK_TESTS_FUZZ_H
#define COLINK_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/tensor_file.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Crash, which the fuzzer reports, unless it is so. */
void require(bool condition);

/*
 * The path of a file in memory that holds these bytes; valid until the next call.
 * The file is made once and reused: one fuzzing process needs one.
 */
const char *fuzz_file(const uint8_t *data, size_t size);

/* Reads every readable tensor, all of it and then its last element, and closes the file. */
void fuzz_read_all(struct tensor_file *file);

#endif
