/* SPDX-License-Identifier: MIT
 *
 * Random numbers and random weights for the tests of operations and kernels: the same
 * on every machine, for a seed.
 */
#ifndef HADAL_TESTS_OPS_RANDOM_H
#define HADAL_TESTS_OPS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "model/quant.h"

struct random {
    uint64_t state;
};

uint32_t random_bits(struct random *r);
/* Uniform in [-1, 1). */
float random_float(struct random *r);
void random_floats(struct random *r, float *x, size_t n);
/* n values (a multiple of the block) of any type: random codes and scales, with values
 * of about the size 1 / sqrt(n_in). */
void random_row(struct random *r, const struct quant_type *type, unsigned char *row,
                int n);

/* The types that hold weights. */
extern const enum tensor_type random_types[];
extern const size_t random_n_types;

#endif
