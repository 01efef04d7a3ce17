/* SPDX-License-Identifier: MIT
 *
 * The value of 8 neighbouring elements of a weight row, for every element type.
 *
 * A lane of a warp takes 8 elements, a warp 256 in a step, so that a K-quant's block is
 * one step. The type is the same for a whole launch: the switch costs a uniform branch.
 * quant.c is the reference; the layouts are declared once, in model/blocks.h.
 */
#ifndef HADAL_MODEL_CUDA_DECODE_CUH
#define HADAL_MODEL_CUDA_DECODE_CUH

#include "model/cuda/cuda_priv.cuh"

/* What the 4-bit codes of IQ4_NL and IQ4_XS stand for: block_iq4_values of blocks.h. */
static __device__ inline int iq4_value(int q)
{
    const signed char table[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

    return table[q];
}

static __device__ inline float half_bits(uint16_t h)
{
    return __half2float(__ushort_as_half(h));
}

/* Blocks of 32. i: first of the 8 elements within the block, a multiple of 8; codes of
 * i < 16 are low nibbles. */
static __device__ inline void nibbles8(const uint8_t *qs, int i, int q[8])
{
    for (int j = 0; j < 8; j++)
        q[j] = i < 16 ? qs[i + j] & 15 : qs[i - 16 + j] >> 4;
}

static __device__ inline void five8(const uint8_t *qs, const uint8_t *qh, int i, int q[8])
{
    nibbles8(qs, i, q);
    for (int j = 0; j < 8; j++)
        q[j] |= ((qh[i / 8] >> j) & 1) << 4;
}

static __device__ inline void scale8(const int q[8], float d, float m, float out[8])
{
    for (int j = 0; j < 8; j++)
        out[j] = d * (float)q[j] + m;
}

static __device__ inline void decode8_small(const uint8_t *row, int type, int at,
                                            float out[8])
{
    int n = at / BLOCK_SMALL;
    int i = at % BLOCK_SMALL;
    int q[8];

    switch (type) {
    case TYPE_Q4_0: {
        const struct block_q4_0 *b = (const struct block_q4_0 *)row + n;
        float d = half_bits(b->d);
        nibbles8(b->qs, i, q);
        scale8(q, d, -8.0f * d, out);
        return;
    }
    case TYPE_Q4_1: {
        const struct block_q4_1 *b = (const struct block_q4_1 *)row + n;
        nibbles8(b->qs, i, q);
        scale8(q, half_bits(b->d), half_bits(b->m), out);
        return;
    }
    case TYPE_Q5_0: {
        const struct block_q5_0 *b = (const struct block_q5_0 *)row + n;
        float d = half_bits(b->d);
        five8(b->qs, b->qh, i, q);
        scale8(q, d, -16.0f * d, out);
        return;
    }
    case TYPE_Q5_1: {
        const struct block_q5_1 *b = (const struct block_q5_1 *)row + n;
        five8(b->qs, b->qh, i, q);
        scale8(q, half_bits(b->d), half_bits(b->m), out);
        return;
    }
    case TYPE_Q8_0: {
        const struct block_q8_0 *b = (const struct block_q8_0 *)row + n;
        float d = half_bits(b->d);
        for (int j = 0; j < 8; j++)
            out[j] = d * (float)b->qs[i + j];
        return;
    }
    default: {
        const struct block_iq4_nl *b = (const struct block_iq4_nl *)row + n;
        float d = half_bits(b->d);
        nibbles8(b->qs, i, q);
        for (int j = 0; j < 8; j++)
            out[j] = d * (float)iq4_value(q[j]);
        return;
    }
    }
}

static __device__ inline void decode8_q2_k(const struct block_q2_k *b, int i, float out[8])
{
    int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    uint8_t s = b->scales[i / 16];
    float d = half_bits(b->d) * (float)(s & 15);
    float m = half_bits(b->dmin) * (float)(s >> 4);

    for (int j = 0; j < 8; j++)
        out[j] = d * (float)((b->qs[32 * half + l + j] >> 2 * quarter) & 3) - m;
}

static __device__ inline void decode8_q3_k(const struct block_q3_k *b, int i, float out[8])
{
    int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    int s = i / 16;
    int low = s < 8 ? b->scales[s] & 15 : b->scales[s - 8] >> 4;
    int high = (b->scales[8 + s % 4] >> 2 * (s / 4)) & 3;
    float d = half_bits(b->d) * (float)((low | high << 4) - 32);

    for (int j = 0; j < 8; j++) {
        int q = (b->qs[32 * half + l + j] >> 2 * quarter) & 3;
        int bit = (b->hmask[l + j] >> (4 * half + quarter)) & 1;

        out[j] = d * (float)(q - (bit ? 0 : 4));
    }
}

/* Scale and min of sub-block b: as block_scale_min of blocks.h, for the device. */
static __device__ inline void scale_min(const uint8_t *s, int b, int *scale, int *min)
{
    *scale = b < 4 ? s[b] & 63 : (s[b + 4] & 15) | (s[b - 4] >> 6) << 4;
    *min = b < 4 ? s[b + 4] & 63 : (s[b + 4] >> 4) | (s[b] >> 6) << 4;
}

static __device__ inline void decode8_q45_k(const uint8_t *scales, const uint8_t *qs,
                                            const uint8_t *qh, float d, float dmin, int i,
                                            float out[8])
{
    int sub = i / 32, l = i % 32;
    int scale, min;

    scale_min(scales, sub, &scale, &min);
    for (int j = 0; j < 8; j++) {
        int q = qs[32 * (sub / 2) + l + j];

        q = sub % 2 ? q >> 4 : q & 15;
        if (qh != NULL)
            q |= ((qh[l + j] >> sub) & 1) << 4;
        out[j] = d * (float)scale * (float)q - dmin * (float)min;
    }
}

static __device__ inline void decode8_q6_k(const struct block_q6_k *b, int i, float out[8])
{
    int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    float d = half_bits(b->d) * (float)b->scales[i / 16];

    for (int j = 0; j < 8; j++) {
        int ql = b->ql[64 * half + 32 * (quarter % 2) + l + j];
        int low = quarter < 2 ? ql & 15 : ql >> 4;
        int high = (b->qh[32 * half + l + j] >> 2 * quarter) & 3;

        out[j] = d * (float)((low | high << 4) - 32);
    }
}

static __device__ inline void decode8_iq4_xs(const struct block_iq4_xs *b, int i,
                                             float out[8])
{
    int sub = i / 32, q[8];
    int low = (b->scales_l[sub / 2] >> 4 * (sub % 2)) & 15;
    int high = (b->scales_h >> 2 * sub) & 3;
    float d = half_bits(b->d) * (float)((low | high << 4) - 32);

    nibbles8(b->qs + 16 * sub, i % 32, q);
    for (int j = 0; j < 8; j++)
        out[j] = d * (float)iq4_value(q[j]);
}

static __device__ inline void decode8_k(const uint8_t *row, int type, int at, float out[8])
{
    int n = at / BLOCK_K;
    int i = at % BLOCK_K;

    switch (type) {
    case TYPE_Q2_K:
        decode8_q2_k((const struct block_q2_k *)row + n, i, out);
        return;
    case TYPE_Q3_K:
        decode8_q3_k((const struct block_q3_k *)row + n, i, out);
        return;
    case TYPE_Q4_K: {
        const struct block_q4_k *b = (const struct block_q4_k *)row + n;
        decode8_q45_k(b->scales, b->qs, NULL, half_bits(b->d), half_bits(b->dmin), i, out);
        return;
    }
    case TYPE_Q5_K: {
        const struct block_q5_k *b = (const struct block_q5_k *)row + n;
        decode8_q45_k(b->scales, b->qs, b->qh, half_bits(b->d), half_bits(b->dmin), i, out);
        return;
    }
    case TYPE_Q6_K:
        decode8_q6_k((const struct block_q6_k *)row + n, i, out);
        return;
    default:
        decode8_iq4_xs((const struct block_iq4_xs *)row + n, i, out);
        return;
    }
}

/* Elements at .. at + 7 of a row; `at` is a multiple of 8. */
static __device__ inline void decode8(const uint8_t *row, int type, int at, float out[8])
{
    switch (type) {
    case TYPE_F32:
        for (int j = 0; j < 8; j++)
            out[j] = ((const float *)row)[at + j];
        return;
    case TYPE_F16:
        for (int j = 0; j < 8; j++)
            out[j] = half_bits(((const uint16_t *)row)[at + j]);
        return;
    case TYPE_BF16:
        for (int j = 0; j < 8; j++)
            out[j] = __uint_as_float((uint32_t)((const uint16_t *)row)[at + j] << 16);
        return;
    case TYPE_Q2_K:
    case TYPE_Q3_K:
    case TYPE_Q4_K:
    case TYPE_Q5_K:
    case TYPE_Q6_K:
    case TYPE_IQ4_XS:
        decode8_k(row, type, at, out);
        return;
    default:
        decode8_small(row, type, at, out);
        return;
    }
}

#endif
