/* SPDX-License-Identifier: MIT
 *
 * Sampling: from logits to one token. Seeded and reproducible: the same settings, seed
 * and logits give the same token on every machine (own generator, no libc rand).
 *
 * Order: repetition penalty, top-k, temperature, top-p, min-p, draw. temperature 0 is
 * greedy (argmax, lowest id on ties) whatever the rest says.
 */
#ifndef HADAL_MODEL_SAMPLER_H
#define HADAL_MODEL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct sampling {
    float temperature;    /* 0: greedy */
    int top_k;            /* 0: off */
    float top_p;          /* 1: off */
    float min_p;          /* 0: off */
    float repeat_penalty; /* 1: off; over the last 64 tokens, prompt included */
    uint64_t seed;
};

/* A new seed of 32 bits: short enough to be typed again. */
uint64_t sampler_draw_seed(void);

struct sampler;

struct sampler *sampler_open(const struct sampling *how, int vocab) MUST_USE;
void sampler_close(struct sampler *s); /* accepts NULL */

/* Tells which token came (prompt tokens too), for the repetition penalty. */
void sampler_accept(struct sampler *s, int32_t id);

/* Picks from logits[vocab]; those at or above n_allowed (rows without a token) are never
 * picked. Does not accept. Returns -1 when no logit is finite. */
int32_t sampler_pick(struct sampler *s, const float *logits, int n_allowed);

#endif
