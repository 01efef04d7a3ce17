/* SPDX-License-Identifier: MIT
 *
 * Encoders: float values to the blocks of a type, the inverse of quant_type.to_f32.
 *
 * Each block is chosen for a small square error (fit.h). Nothing depends on threads or
 * on neighbouring blocks, so that the same values always give the same bytes.
 */
#ifndef HADAL_MODEL_QUANT_ENCODE_H
#define HADAL_MODEL_QUANT_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/quant.h"
#include "src/base/err.h"

/* Writes the n values (a multiple of block_elems) to out, which holds quant_row_bytes.
 * False, with out left as it was, where the type is none of weights (I32), or a value
 * is no finite number or too large for the type: beyond 65504 in types with half
 * floats. */
bool encode_row(const struct quant_type *type, const float *x, int64_t n,
                void *out) MUST_USE;

#endif
