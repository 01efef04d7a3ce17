/* SPDX-License-Identifier: MIT
 *
 * Which kernels this processor can run.
 */
#ifndef HADAL_MODEL_CPU_DETECT_H
#define HADAL_MODEL_CPU_DETECT_H

#include "model/cpu/kernels.h"
#include "src/base/err.h"

/* The best table for this processor, or the one that the environment variable HADAL_CPU
 * names (scalar, avx2, avx512; for tests). NULL with ERR_DEVICE when that one is
 * unknown or cannot run here. */
const struct cpu_kernels *detect_kernels(struct err *err) MUST_USE;

/* The i-th table that can run here, best first; NULL after the last. */
const struct cpu_kernels *detect_nth(int i);

/* Products of BF16 beside the table k, or NULL. */
const struct wide_kernels *detect_bf16(const struct cpu_kernels *k);

/* How many bits activations keep in products with quantised weights: *bits unchanged,
 * or what the environment variable HADAL_ACTIVATIONS says (8, 16; for tests and
 * benches). ERR_DEVICE for anything else. */
bool detect_activation_bits(int *bits, struct err *err) MUST_USE;

#endif
