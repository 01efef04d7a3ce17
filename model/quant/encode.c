/* SPDX-License-Identifier: MIT
 *
 * Encoders: the table by type, the check of values, and the types without blocks.
 */
#include "config.h"

#include "model/quant/encode.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "model/quant/encode_priv.h"

static const float max_half = 65504;

float encode_as_half(float f, uint16_t *half)
{
    *half = quant_f32_to_f16(f);
    return quant_f16_to_f32(*half);
}

void encode_pack_nibbles(const int8_t *code, uint8_t *qs)
{
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)(code[i] | code[i + 16] << 4);
}

static void encode_f32(const float *x, void *out)
{
    memcpy(out, x, sizeof(*x));
}

static void encode_f16(const float *x, void *out)
{
    uint16_t half = quant_f32_to_f16(*x);

    memcpy(out, &half, sizeof(half));
}

/* Round to nearest even. The value is finite, but may become infinite: see is_fit. */
static void encode_bf16(const float *x, void *out)
{
    uint32_t bits;
    uint16_t top;

    memcpy(&bits, x, sizeof(bits));
    top = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    memcpy(out, &top, sizeof(top));
}

static const struct encoder {
    enum tensor_type type;
    float max; /* magnitude of a value */
    void (*block)(const float *x, void *block);
} encoders[] = {
    {TYPE_F32, 0x1.fffffep127f, encode_f32}, {TYPE_F16, max_half, encode_f16},
    {TYPE_BF16, 0x1.fep127f, encode_bf16},   {TYPE_Q4_0, max_half, encode_q4_0},
    {TYPE_Q4_1, max_half, encode_q4_1},      {TYPE_Q5_0, max_half, encode_q5_0},
    {TYPE_Q5_1, max_half, encode_q5_1},      {TYPE_Q8_0, max_half, encode_q8_0},
    {TYPE_Q2_K, max_half, encode_q2_k},      {TYPE_Q3_K, max_half, encode_q3_k},
    {TYPE_Q4_K, max_half, encode_q4_k},      {TYPE_Q5_K, max_half, encode_q5_k},
    {TYPE_Q6_K, max_half, encode_q6_k},      {TYPE_IQ4_NL, max_half, encode_iq4_nl},
    {TYPE_IQ4_XS, max_half, encode_iq4_xs},
};

static const struct encoder *find(enum tensor_type type)
{
    for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++)
        if (encoders[i].type == type)
            return &encoders[i];
    return NULL;
}

/* A NaN fails the comparison too. */
static bool all_within(const float *x, int64_t n, float max)
{
    bool ok = true;

    for (int64_t i = 0; i < n; i++)
        ok &= fabsf(x[i]) <= max;
    return ok;
}

bool encode_row(const struct quant_type *type, const float *x, int64_t n, void *out)
{
    const struct encoder *e = find(type->type);
    unsigned char *at = out;

    if (e == NULL || !all_within(x, n, e->max))
        return false;
    for (int64_t i = 0; i < n; i += type->block_elems) {
        e->block(x + i, at);
        at += type->block_bytes;
    }
    return true;
}
