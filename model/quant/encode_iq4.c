/* SPDX-License-Identifier: MIT
 *
 * Encoders of IQ4_NL and IQ4_XS, whose codes stand for the sixteen values of a table
 * that lie closer together around zero.
 */
#include "config.h"

#include <string.h>

#include "model/blocks.h"
#include "model/quant/encode_priv.h"
#include "model/quant/fit.h"

enum {
    N_CODES = 16,
    LANES = 8,
    STEPS = 7, /* starting scales to either side of the one that spans the table */
    REFINEMENTS = 3,
    SUB_BLOCKS = 8,
    MIN_SCALE = -32, /* sub-blocks of IQ4_XS */
    MAX_SCALE = 31,
};

/* Between the table's values: beyond middle[c] lies code c + 1. */
static const float middle[N_CODES - 1] = {
    -115.5f, -93.5f, -74,   -57,   -42, -28.5f, -16, -4.5f,
    7,       19,     31.5f, 45.5f, 61,  79,     101,
};

/* The code whose value is nearest to v: four steps of a binary search. */
static int nearest_code(float v)
{
    int code = 0;

    for (int step = N_CODES / 2; step > 0; step /= 2)
        code += v > middle[code + step - 1] ? step : 0;
    return code;
}

/* The values that are nearest to v[0..LANES): each middle that is passed adds the
 * distance of its neighbours. Written so that compilers make vectors of it. */
static void nearest_values(const float v[LANES], float q[LANES])
{
    for (int l = 0; l < LANES; l++)
        q[l] = block_iq4_values[0];
    for (int c = 0; c < N_CODES - 1; c++) {
        float step = (float)(block_iq4_values[c + 1] - block_iq4_values[c]);

        for (int l = 0; l < LANES; l++)
            q[l] += v[l] > middle[c] ? step : 0;
    }
}

struct table_fit {
    float scale, gain;
};

static struct table_fit try_scale(const float *x, const float *w, float inverse)
{
    struct table_fit fit = {0, 0};
    float xq = 0;
    float qq = 0;

    for (int i = 0; i < BLOCK_SMALL; i += LANES) {
        float v[LANES];
        float q[LANES];

        for (int l = 0; l < LANES; l++)
            v[l] = x[i + l] * inverse;
        nearest_values(v, q);
        for (int l = 0; l < LANES; l++) {
            xq += w[i + l] * x[i + l] * q[l];
            qq += w[i + l] * q[l] * q[l];
        }
    }
    if (qq > 0) {
        fit.scale = xq / qq;
        fit.gain = xq * fit.scale;
    }
    return fit;
}

/* The best scale of 32 values; 0 for a group of nothing. */
static float fit_table(const float *x, const float *w)
{
    float most = fit_extreme(x, BLOCK_SMALL);
    struct table_fit best = {0, 0};

    if (fit_is_nothing(most))
        return 0;
    for (int step = -STEPS; step <= STEPS; step++) {
        float span = (float)(block_iq4_values[0] + step);
        struct table_fit fit = try_scale(x, w, span / most);

        if (fit.gain > best.gain)
            best = fit;
    }
    for (int i = 0; i < REFINEMENTS && best.gain > 0; i++) {
        struct table_fit fit = try_scale(x, w, 1 / best.scale);

        if (fit.gain <= best.gain)
            break;
        best = fit;
    }
    return best.scale;
}

static void pack_codes(const float *x, float scale, uint8_t qs[16])
{
    float inverse = fit_is_nothing(scale) ? 0 : 1 / scale;
    int8_t code[BLOCK_SMALL];

    for (int i = 0; i < BLOCK_SMALL; i++)
        code[i] = (int8_t)nearest_code(x[i] * inverse);
    encode_pack_nibbles(code, qs);
}

void encode_iq4_nl(const float *x, void *block)
{
    struct block_iq4_nl *b = block;
    float w[BLOCK_SMALL];
    uint16_t half;
    float scale;

    fit_weights(x, BLOCK_SMALL, w);
    scale = encode_as_half(fit_table(x, w), &half);
    b->d = half;
    pack_codes(x, scale, b->qs);
}

void encode_iq4_xs(const float *x, void *block)
{
    struct block_iq4_xs *b = block;
    float w[BLOCK_SMALL];
    float scale[SUB_BLOCKS];
    uint16_t half;
    float d;

    for (int s = 0; s < SUB_BLOCKS; s++) {
        fit_weights(x + BLOCK_SMALL * s, BLOCK_SMALL, w);
        scale[s] = fit_table(x + BLOCK_SMALL * s, w);
    }
    d = encode_as_half(fit_extreme(scale, SUB_BLOCKS) / MIN_SCALE, &half);
    memset(b, 0, sizeof(*b));
    b->d = half;
    for (int s = 0; s < SUB_BLOCKS; s++) {
        int level = fit_level(scale[s], d, MIN_SCALE, MAX_SCALE);
        int stored = level - MIN_SCALE;

        b->scales_l[s / 2] |= (uint8_t)((stored & 15) << 4 * (s % 2));
        b->scales_h = (uint16_t)(b->scales_h | (stored >> 4) << 2 * s);
        pack_codes(x + BLOCK_SMALL * s, d * (float)level, b->qs + 16 * s);
    }
}
