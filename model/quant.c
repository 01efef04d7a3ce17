/* SPDX-License-Identifier: MIT
 *
 * Element types: the table of names and sizes, and the slow exact value of every
 * element. One small function per type; the order of float operations is that of the
 * reference (gguf-py), so that results agree to the bit.
 */
#include "config.h"

#include "model/quant.h"

#include <string.h>

#include "model/blocks.h"

float quant_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 31;
    uint32_t fraction = h & 1023;
    uint32_t bits;
    float f;

    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24 is exact */
        f = (float)fraction * 0x1p-24f;
        return sign != 0 ? -f : f;
    }
    exponent = exponent == 31 ? 255 : exponent - 15 + 127;
    bits = sign | exponent << 23 | fraction << 13;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* Drops the low `shift` bits of v, rounding to nearest, ties to even. */
static uint32_t round_shift(uint32_t v, uint32_t shift)
{
    uint32_t half = 1u << (shift - 1);
    uint32_t rest = v & ((half << 1) - 1);
    uint32_t kept = v >> shift;

    if (rest > half || (rest == half && (kept & 1) != 0))
        kept++;
    return kept;
}

uint16_t quant_f32_to_f16(float f)
{
    uint32_t bits;
    uint32_t sign;
    uint32_t exponent;
    uint32_t fraction;

    memcpy(&bits, &f, sizeof(bits));
    sign = (bits >> 16) & 0x8000;
    exponent = (bits >> 23) & 255;
    fraction = bits & 0x7fffff;
    if (exponent == 255) /* infinity; a NaN keeps its top bits and stays a NaN */
        return (uint16_t)(sign | 0x7c00 | (fraction != 0 ? 0x200 | fraction >> 13 : 0));
    if (exponent < 102) /* below half of the smallest subnormal, 2^-25 */
        return (uint16_t)sign;
    if (exponent < 113) /* subnormal: 2^-24 is the unit */
        return (uint16_t)(sign | round_shift(fraction | 0x800000, 126 - exponent));
    /* A carry out of the fraction goes into the exponent, as it should. */
    bits = round_shift((exponent - 112) << 23 | fraction, 13);
    if (exponent > 142 || bits > 0x7c00)
        bits = 0x7c00;
    return (uint16_t)(sign | bits);
}

float quant_bf16_to_f32(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static void f32_to_f32(const void *row, float *out, int64_t n)
{
    memcpy(out, row, (size_t)n * sizeof(*out));
}

static uint16_t load_u16(const void *row, int64_t i)
{
    uint16_t v;

    memcpy(&v, (const char *)row + 2 * i, sizeof(v));
    return v;
}

static void f16_to_f32(const void *row, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = quant_f16_to_f32(load_u16(row, i));
}

static void bf16_to_f32(const void *row, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = quant_bf16_to_f32(load_u16(row, i));
}

/* Element i of 32 four-bit codes. */
static int nibble(const uint8_t *qs, int i)
{
    return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}

/* Element i of 32 five-bit codes. */
static int five_bits(const uint8_t *qs, const uint8_t *qh, int i)
{
    return nibble(qs, i) | ((qh[i / 8] >> i % 8) & 1) << 4;
}

static void q4_0_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q4_0 *b = row;

    for (; n > 0; n -= BLOCK_SMALL, out += BLOCK_SMALL, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_SMALL; i++)
            out[i] = d * (float)(nibble(b->qs, i) - 8);
    }
}

static void q4_1_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q4_1 *b = row;

    for (; n > 0; n -= BLOCK_SMALL, out += BLOCK_SMALL, b++) {
        float d = quant_f16_to_f32(b->d);
        float m = quant_f16_to_f32(b->m);

        for (int i = 0; i < BLOCK_SMALL; i++)
            out[i] = d * (float)nibble(b->qs, i) + m;
    }
}

static void q5_0_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q5_0 *b = row;

    for (; n > 0; n -= BLOCK_SMALL, out += BLOCK_SMALL, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_SMALL; i++)
            out[i] = d * (float)(five_bits(b->qs, b->qh, i) - 16);
    }
}

static void q5_1_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q5_1 *b = row;

    for (; n > 0; n -= BLOCK_SMALL, out += BLOCK_SMALL, b++) {
        float d = quant_f16_to_f32(b->d);
        float m = quant_f16_to_f32(b->m);

        for (int i = 0; i < BLOCK_SMALL; i++)
            out[i] = d * (float)five_bits(b->qs, b->qh, i) + m;
    }
}

static void q8_0_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q8_0 *b = row;

    for (; n > 0; n -= BLOCK_SMALL, out += BLOCK_SMALL, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_SMALL; i++)
            out[i] = d * (float)b->qs[i];
    }
}

static void iq4_nl_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_iq4_nl *b = row;

    for (; n > 0; n -= BLOCK_SMALL, out += BLOCK_SMALL, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_SMALL; i++)
            out[i] = d * (float)block_iq4_values[nibble(b->qs, i)];
    }
}

/* Element i of 256 two-bit codes in the order that Q2_K, Q3_K and Q6_K (its high bits)
 * share: four groups of 32 in each half of the block. */
static int two_bits(const uint8_t *qs, int i)
{
    return (qs[32 * (i / 128) + i % 32] >> 2 * (i % 128 / 32)) & 3;
}

static void q2_k_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q2_k *b = row;

    for (; n > 0; n -= BLOCK_K, out += BLOCK_K, b++) {
        float d = quant_f16_to_f32(b->d);
        float dmin = quant_f16_to_f32(b->dmin);

        for (int i = 0; i < BLOCK_K; i++) {
            float scale = d * (float)(b->scales[i / 16] & 15);
            float min = dmin * (float)(b->scales[i / 16] >> 4);

            out[i] = scale * (float)two_bits(b->qs, i) - min;
        }
    }
}

static void q3_k_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q3_k *b = row;

    for (; n > 0; n -= BLOCK_K, out += BLOCK_K, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_K; i++) {
            float scale = d * (float)block_q3_k_scale(b->scales, i / 16);
            int high = (b->hmask[i % 32] >> i / 32) & 1;

            out[i] = scale * (float)((two_bits(b->qs, i) | high << 2) - 4);
        }
    }
}

/* One sub-block of 32 of Q4_K and Q5_K from its codes. */
static void scale_and_shift(float *out, const int codes[32], float scale, float min)
{
    for (int l = 0; l < 32; l++)
        out[l] = scale * (float)codes[l] - min;
}

static void q4_k_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q4_k *b = row;
    int codes[32];

    for (; n > 0; n -= BLOCK_K, out += BLOCK_K, b++) {
        float d = quant_f16_to_f32(b->d);
        float dmin = quant_f16_to_f32(b->dmin);

        for (int s = 0; s < 8; s++) {
            uint8_t scale;
            uint8_t min;

            block_scale_min(b->scales, s, &scale, &min);
            for (int l = 0; l < 32; l++)
                codes[l] = (b->qs[32 * (s / 2) + l] >> 4 * (s % 2)) & 15;
            scale_and_shift(out + 32 * s, codes, d * (float)scale, dmin * (float)min);
        }
    }
}

static void q5_k_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q5_k *b = row;
    int codes[32];

    for (; n > 0; n -= BLOCK_K, out += BLOCK_K, b++) {
        float d = quant_f16_to_f32(b->d);
        float dmin = quant_f16_to_f32(b->dmin);

        for (int s = 0; s < 8; s++) {
            uint8_t scale;
            uint8_t min;

            block_scale_min(b->scales, s, &scale, &min);
            for (int l = 0; l < 32; l++)
                codes[l] = ((b->qs[32 * (s / 2) + l] >> 4 * (s % 2)) & 15) |
                           ((b->qh[l] >> s) & 1) << 4;
            scale_and_shift(out + 32 * s, codes, d * (float)scale, dmin * (float)min);
        }
    }
}

static void q6_k_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_q6_k *b = row;

    for (; n > 0; n -= BLOCK_K, out += BLOCK_K, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_K; i++) {
            int quarter = i % 128 / 32;
            int low = b->ql[64 * (i / 128) + 32 * (quarter % 2) + i % 32];
            float scale = d * (float)b->scales[i / 16];

            low = (low >> 4 * (quarter / 2)) & 15;
            out[i] = scale * (float)((low | two_bits(b->qh, i) << 4) - 32);
        }
    }
}

static void iq4_xs_to_f32(const void *row, float *out, int64_t n)
{
    const struct block_iq4_xs *b = row;

    for (; n > 0; n -= BLOCK_K, out += BLOCK_K, b++) {
        float d = quant_f16_to_f32(b->d);

        for (int i = 0; i < BLOCK_K; i++) {
            float scale = d * (float)block_iq4_xs_scale(b, i / 32);
            int code = nibble(b->qs + 16 * (i / 32), i % 32);

            out[i] = scale * (float)block_iq4_values[code];
        }
    }
}

static const struct quant_type types[] = {
    {TYPE_F32, "F32", 1, 4, f32_to_f32},
    {TYPE_F16, "F16", 1, 2, f16_to_f32},
    {TYPE_Q4_0, "Q4_0", BLOCK_SMALL, 18, q4_0_to_f32},
    {TYPE_Q4_1, "Q4_1", BLOCK_SMALL, 20, q4_1_to_f32},
    {TYPE_Q5_0, "Q5_0", BLOCK_SMALL, 22, q5_0_to_f32},
    {TYPE_Q5_1, "Q5_1", BLOCK_SMALL, 24, q5_1_to_f32},
    {TYPE_Q8_0, "Q8_0", BLOCK_SMALL, 34, q8_0_to_f32},
    {TYPE_Q2_K, "Q2_K", BLOCK_K, 84, q2_k_to_f32},
    {TYPE_Q3_K, "Q3_K", BLOCK_K, 110, q3_k_to_f32},
    {TYPE_Q4_K, "Q4_K", BLOCK_K, 144, q4_k_to_f32},
    {TYPE_Q5_K, "Q5_K", BLOCK_K, 176, q5_k_to_f32},
    {TYPE_Q6_K, "Q6_K", BLOCK_K, 210, q6_k_to_f32},
    {TYPE_IQ4_NL, "IQ4_NL", BLOCK_SMALL, 18, iq4_nl_to_f32},
    {TYPE_IQ4_XS, "IQ4_XS", BLOCK_K, 136, iq4_xs_to_f32},
    {TYPE_I32, "I32", 1, 4, NULL},
    {TYPE_BF16, "BF16", 1, 2, bf16_to_f32},
};

/* Every number that ggml has given out, for messages. */
static const char *const names[] = {
    "F32",
    "F16",
    "Q4_0",
    "Q4_1",
    "Q4_2 (removed)",
    "Q4_3 (removed)",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q8_1",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "Q8_K",
    "IQ2_XXS",
    "IQ2_XS",
    "IQ3_XXS",
    "IQ1_S",
    "IQ4_NL",
    "IQ3_S",
    "IQ2_S",
    "IQ4_XS",
    "I8",
    "I16",
    "I32",
    "I64",
    "F64",
    "IQ1_M",
    "BF16",
    "Q4_0_4_4 (removed)",
    "Q4_0_4_8 (removed)",
    "Q4_0_8_8 (removed)",
    "TQ1_0",
    "TQ2_0",
    "IQ4_NL_4_4 (removed)",
    "IQ4_NL_4_8 (removed)",
    "IQ4_NL_8_8 (removed)",
    "MXFP4",
    "NVFP4",
};

const struct quant_type *quant_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if ((uint32_t)types[i].type == type)
            return &types[i];
    }
    return NULL;
}

const char *quant_name(uint32_t type)
{
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

size_t quant_row_bytes(const struct quant_type *type, int64_t n)
{
    return (size_t)(n / type->block_elems) * (size_t)type->block_bytes;
}
