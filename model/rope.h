/* SPDX-License-Identifier: MIT
 *
 * Rotary embedding: the angle per position of every pair, with the scalings that
 * stretch a model's context (spec/decoder.md 2.4, 2.5, 10.4). Numbers only; where they
 * come from is the caller's business.
 */
#ifndef HADAL_MODEL_ROPE_H
#define HADAL_MODEL_ROPE_H

#include <stdbool.h>

#include "model/shape.h"
#include "src/base/err.h"

enum rope_scaling {
    ROPE_PLAIN,
    ROPE_LINEAR, /* every angle divided by the factor */
    ROPE_YARN,   /* slow pairs divided, fast ones kept (arXiv:2309.00071) */
};

/* All numbers are finite, and checked by the caller: dim even, base > 1, factor >= 1,
 * betas and ctx_train > 0. */
struct rope_params {
    int dim;
    double base;
    enum rope_scaling scaling;
    double factor;               /* by how much the context was stretched */
    double ctx_train;            /* positions before that */
    double beta_fast, beta_slow; /* turns within ctx_train: above kept, below divided */
    const float *divisor;        /* [dim/2] on each angle (Llama 3), or NULL */
};

/* Fills dim, pair_stride 1 and inv_freq; multiplier is left at 1. ERR_MEMORY. */
bool rope_init(struct rope *rope, const struct rope_params *p,
               struct err *err) MUST_USE;
void rope_release(struct rope *rope); /* accepts zeroed storage */

/* YaRN's m(s, k) = 0.1 k ln s + 1, and 1 for s <= 1. */
double rope_yarn_magnitude(double factor, double k);

#endif
