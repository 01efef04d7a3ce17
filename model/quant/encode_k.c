/* SPDX-License-Identifier: MIT
 *
 * Encoders of the K-quants: blocks of 256 values in sub-blocks of 16 or 32.
 *
 * Each sub-block gets its best scale (and shift); the largest of them sets the block's
 * half-float unit, of which the sub-blocks' scales become small integers. With those
 * fixed the codes are chosen, then the unit once more for these codes, then the codes
 * for good.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/blocks.h"
#include "model/quant.h"
#include "model/quant/encode_priv.h"
#include "model/quant/fit.h"

enum { MAX_SUBS = 16 };

/* Layout of a block's sub-blocks, and their codes' range. */
struct layout {
    int n_subs, sub_elems;
    int low, high;            /* codes */
    int min_level, max_level; /* integer scales */
};

/* What comes out; code is [n_subs][sub_elems]. */
struct fitted {
    uint16_t d, dmin; /* half floats */
    int level[MAX_SUBS], shift[MAX_SUBS];
    int8_t code[BLOCK_K];
};

/* ---- a scale alone: Q3_K, Q6_K ---- */

static void choose_codes(const struct layout *at, const float *x, float d,
                         struct fitted *f)
{
    for (int s = 0; s < at->n_subs; s++) {
        int first = s * at->sub_elems;

        fit_codes(x + first, at->sub_elems, d * (float)f->level[s], 0, at->low,
                  at->high, f->code + first);
    }
}

/* The best unit for the levels and codes that there are; d where it has no say. */
static float best_unit(const struct layout *at, const float *x, const float *w,
                       const struct fitted *f, float d)
{
    float xq = 0;
    float qq = 0;

    for (int i = 0; i < BLOCK_K; i++) {
        float q = (float)(f->level[i / at->sub_elems] * f->code[i]);

        xq += w[i] * x[i] * q;
        qq += w[i] * q * q;
    }
    return qq > 0 ? xq / qq : d;
}

static void fit_scaled(const struct layout *at, const float *x, struct fitted *f)
{
    float w[BLOCK_K];
    float scale[MAX_SUBS];
    float d;

    for (int s = 0; s < at->n_subs; s++) {
        int first = s * at->sub_elems;

        fit_weights(x + first, at->sub_elems, w + first);
        scale[s] = fit_scale(x + first, w + first, at->sub_elems, at->low, at->high);
    }
    d = encode_as_half(fit_extreme(scale, at->n_subs) / (float)at->min_level, &f->d);
    for (int s = 0; s < at->n_subs; s++)
        f->level[s] = fit_level(scale[s], d, at->min_level, at->max_level);
    choose_codes(at, x, d, f);
    d = encode_as_half(best_unit(at, x, w, f, d), &f->d);
    choose_codes(at, x, d, f);
}

/* ---- a scale and a shift below zero: Q2_K, Q4_K, Q5_K ---- */

static void choose_shifted_codes(const struct layout *at, const float *x, float d,
                                 float dmin, struct fitted *f)
{
    for (int s = 0; s < at->n_subs; s++) {
        int first = s * at->sub_elems;

        fit_codes(x + first, at->sub_elems, d * (float)f->level[s],
                  -dmin * (float)f->shift[s], at->low, at->high, f->code + first);
    }
}

/* The best two units for the levels, shifts and codes that there are; left alone where
 * they have no say. */
static void best_units(const struct layout *at, const float *x, const float *w,
                       const struct fitted *f, float *d, float *dmin)
{
    float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0; /* x ~ d a - dmin b */
    float determinant;

    for (int i = 0; i < BLOCK_K; i++) {
        int s = i / at->sub_elems;
        float a = (float)(f->level[s] * f->code[i]);
        float b = (float)f->shift[s];

        aa += w[i] * a * a;
        ab += w[i] * a * b;
        bb += w[i] * b * b;
        xa += w[i] * x[i] * a;
        xb += w[i] * x[i] * b;
    }
    determinant = aa * bb - ab * ab;
    if (determinant > 1e-6f * aa * bb) {
        *d = (xa * bb - xb * ab) / determinant;
        *dmin = (xa * ab - xb * aa) / determinant;
    } else if (aa > 0 && bb == 0) {
        *d = xa / aa;
    }
}

static void fit_shifted(const struct layout *at, const float *x, struct fitted *f)
{
    float w[BLOCK_K];
    struct fit_line line[MAX_SUBS];
    struct fit_line most = {0, 0};
    float d;
    float dmin;

    for (int s = 0; s < at->n_subs; s++) {
        int first = s * at->sub_elems;

        fit_weights(x + first, at->sub_elems, w + first);
        line[s] = fit_line(x + first, w + first, at->sub_elems, at->high,
                           FIT_SHIFT_BELOW_ZERO);
        most.scale = fmaxf(most.scale, line[s].scale);
        most.shift = fmaxf(most.shift, -line[s].shift);
    }
    d = encode_as_half(most.scale / (float)at->max_level, &f->d);
    dmin = encode_as_half(most.shift / (float)at->max_level, &f->dmin);
    for (int s = 0; s < at->n_subs; s++) {
        f->level[s] = fit_level(line[s].scale, d, 0, at->max_level);
        f->shift[s] = fit_level(-line[s].shift, dmin, 0, at->max_level);
    }
    choose_shifted_codes(at, x, d, dmin, f);
    best_units(at, x, w, f, &d, &dmin);
    d = encode_as_half(d, &f->d);
    dmin = encode_as_half(dmin, &f->dmin);
    choose_shifted_codes(at, x, d, dmin, f);
}

/* ---- packing: see model/blocks.h for the layouts ---- */

/* Two bits of every code, from bit `bit` up, in the order that Q2_K, Q3_K and Q6_K
 * share. */
static void pack_two_bits(const int8_t *code, int bit, uint8_t qs[64])
{
    memset(qs, 0, 64);
    for (int i = 0; i < BLOCK_K; i++)
        qs[32 * (i / 128) + i % 32] |=
            (uint8_t)(((code[i] >> bit) & 3) << 2 * (i % 128 / 32));
}

/* Low four bits of every code, as Q4_K and Q5_K have them. */
static void pack_low_nibbles(const int8_t *code, uint8_t qs[128])
{
    for (int g = 0; g < 4; g++)
        for (int l = 0; l < 32; l++)
            qs[32 * g + l] =
                (uint8_t)((code[64 * g + l] & 15) | (code[64 * g + 32 + l] & 15) << 4);
}

/* Bit `bit` of every code, their highest, as Q3_K and Q5_K have it. */
static void pack_high_bits(const int8_t *code, int bit, uint8_t high[32])
{
    memset(high, 0, 32);
    for (int i = 0; i < BLOCK_K; i++)
        high[i % 32] |= (uint8_t)((code[i] >> bit) << i / 32);
}

/* The inverse of block_scale_min. */
static void pack_scales_mins(const struct fitted *f, uint8_t scales[12])
{
    memset(scales, 0, 12);
    for (int b = 0; b < 4; b++) {
        scales[b] = (uint8_t)(f->level[b] | (f->level[b + 4] >> 4) << 6);
        scales[b + 4] = (uint8_t)(f->shift[b] | (f->shift[b + 4] >> 4) << 6);
        scales[b + 8] = (uint8_t)((f->level[b + 4] & 15) | (f->shift[b + 4] & 15) << 4);
    }
}

void encode_q2_k(const float *x, void *block)
{
    static const struct layout at = {16, 16, 0, 3, 0, 15};
    struct block_q2_k *b = block;
    struct fitted f;

    fit_shifted(&at, x, &f);
    b->d = f.d;
    b->dmin = f.dmin;
    for (int s = 0; s < at.n_subs; s++)
        b->scales[s] = (uint8_t)(f.level[s] | f.shift[s] << 4);
    pack_two_bits(f.code, 0, b->qs);
}

void encode_q3_k(const float *x, void *block)
{
    static const struct layout at = {16, 16, -4, 3, -32, 31};
    struct block_q3_k *b = block;
    struct fitted f;

    fit_scaled(&at, x, &f);
    b->d = f.d;
    for (int i = 0; i < BLOCK_K; i++)
        f.code[i] = (int8_t)(f.code[i] - at.low);
    memset(b->scales, 0, sizeof(b->scales));
    for (int s = 0; s < at.n_subs; s++) {
        int stored = f.level[s] - at.min_level;

        b->scales[s % 8] |= (uint8_t)((stored & 15) << (s < 8 ? 0 : 4));
        b->scales[8 + s % 4] |= (uint8_t)((stored >> 4) << 2 * (s / 4));
    }
    pack_two_bits(f.code, 0, b->qs);
    pack_high_bits(f.code, 2, b->hmask);
}

void encode_q4_k(const float *x, void *block)
{
    static const struct layout at = {8, 32, 0, 15, 0, 63};
    struct block_q4_k *b = block;
    struct fitted f;

    fit_shifted(&at, x, &f);
    b->d = f.d;
    b->dmin = f.dmin;
    pack_scales_mins(&f, b->scales);
    pack_low_nibbles(f.code, b->qs);
}

void encode_q5_k(const float *x, void *block)
{
    static const struct layout at = {8, 32, 0, 31, 0, 63};
    struct block_q5_k *b = block;
    struct fitted f;

    fit_shifted(&at, x, &f);
    b->d = f.d;
    b->dmin = f.dmin;
    pack_scales_mins(&f, b->scales);
    pack_low_nibbles(f.code, b->qs);
    pack_high_bits(f.code, 4, b->qh);
}

void encode_q6_k(const float *x, void *block)
{
    static const struct layout at = {16, 16, -32, 31, -128, 127};
    struct block_q6_k *b = block;
    struct fitted f;

    fit_scaled(&at, x, &f);
    b->d = f.d;
    for (int s = 0; s < at.n_subs; s++)
        b->scales[s] = (int8_t)f.level[s];
    memset(b->ql, 0, sizeof(b->ql));
    for (int i = 0; i < BLOCK_K; i++) {
        int quarter = i % 128 / 32;

        f.code[i] = (int8_t)(f.code[i] - at.low);
        b->ql[64 * (i / 128) + 32 * (quarter % 2) + i % 32] |=
            (uint8_t)((f.code[i] & 15) << 4 * (quarter / 2));
    }
    pack_two_bits(f.code, 4, b->qh);
}
