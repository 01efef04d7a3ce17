/* SPDX-License-Identifier: MIT
 *
 * Rotary embedding: see rope.h. Everything in double, rounded once at the end: at
 * position 100,000 an error of the angle grows a hundred thousand times.
 */
#include "config.h"

#include "model/rope.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

static const double pi = 3.14159265358979323846;

double rope_yarn_magnitude(double factor, double k)
{
    return factor <= 1.0 ? 1.0 : 0.1 * k * log(factor) + 1.0;
}

/* The pair, as a real number, that makes `turns` turns within the trained context. */
static double pair_of_turns(const struct rope_params *p, double turns)
{
    return p->dim * log(p->ctx_train / (2.0 * pi * turns)) / (2.0 * log(p->base));
}

/* How far pair i is towards being divided by the factor, 0 to 1. */
static double yarn_ramp(const struct rope_params *p, int i)
{
    double low = fmax(floor(pair_of_turns(p, p->beta_fast)), 0.0);
    double high = fmin(ceil(pair_of_turns(p, p->beta_slow)), p->dim - 1.0);
    double ramp;

    if (high <= low) /* equal betas: a step */
        high = low + 0.001;
    ramp = (i - low) / (high - low);
    return fmin(fmax(ramp, 0.0), 1.0);
}

static double scaled(const struct rope_params *p, int i, double f)
{
    double ramp;

    switch (p->scaling) {
    case ROPE_LINEAR:
        return f / p->factor;
    case ROPE_YARN:
        ramp = yarn_ramp(p, i);
        return f * (1.0 - ramp) + f / p->factor * ramp;
    case ROPE_PLAIN:
    default:
        return f;
    }
}

bool rope_init(struct rope *rope, const struct rope_params *p, struct err *err)
{
    size_t n = (size_t)p->dim / 2;

    memset(rope, 0, sizeof(*rope));
    rope->dim = p->dim;
    rope->pair_stride = 1;
    rope->multiplier = 1.0F;
    rope->inv_freq = mem_try(n, sizeof(float), "the rotary table", err);
    if (rope->inv_freq == NULL)
        return false;
    for (int i = 0; i < p->dim / 2; i++) {
        double f = scaled(p, i, pow(p->base, -2.0 * i / p->dim));

        if (p->divisor != NULL)
            f /= (double)p->divisor[i];
        rope->inv_freq[i] = (float)f;
    }
    return true;
}

void rope_release(struct rope *rope)
{
    free(rope->inv_freq);
    memset(rope, 0, sizeof(*rope));
}
