/* SPDX-License-Identifier: MIT
 *
 * The face of a fuzz target, as libFuzzer has it.
 */
#ifndef HADAL_TESTS_FUZZ_FUZZ_H
#define HADAL_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer alone: the target's own way of changing an input, and the library's. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
