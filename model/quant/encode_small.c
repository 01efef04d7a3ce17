/* SPDX-License-Identifier: MIT
 *
 * Encoders of the types with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/blocks.h"
#include "model/quant.h"
#include "model/quant/encode_priv.h"
#include "model/quant/fit.h"

/* Codes low..high with a scale alone; returns what the half float keeps of it. */
static uint16_t fit_signed_block(const float *x, int low, int high, int8_t *code)
{
    float w[BLOCK_SMALL];
    uint16_t half;
    float scale;

    fit_weights(x, BLOCK_SMALL, w);
    scale = encode_as_half(fit_scale(x, w, BLOCK_SMALL, low, high), &half);
    fit_codes(x, BLOCK_SMALL, scale, 0, low, high, code);
    for (int i = 0; i < BLOCK_SMALL; i++)
        code[i] = (int8_t)(code[i] - low);
    return half;
}

/* Codes 0..high with scale and shift. */
static void fit_shifted_block(const float *x, int high, uint16_t *d, uint16_t *m,
                              int8_t *code)
{
    float w[BLOCK_SMALL];
    struct fit_line line;

    fit_weights(x, BLOCK_SMALL, w);
    line = fit_line(x, w, BLOCK_SMALL, high, FIT_SHIFT_FREE);
    line.scale = encode_as_half(line.scale, d);
    line.shift = encode_as_half(line.shift, m);
    fit_codes(x, BLOCK_SMALL, line.scale, line.shift, 0, high, code);
}

/* Moves bit 4 of the codes to the four bytes of qh. */
static void pack_fifth_bits(int8_t *code, uint8_t qh[4])
{
    memset(qh, 0, 4);
    for (int i = 0; i < BLOCK_SMALL; i++) {
        qh[i / 8] |= (uint8_t)((code[i] >> 4) << i % 8);
        code[i] &= 15;
    }
}

void encode_q4_0(const float *x, void *block)
{
    struct block_q4_0 *b = block;
    int8_t code[BLOCK_SMALL];

    b->d = fit_signed_block(x, -8, 7, code);
    encode_pack_nibbles(code, b->qs);
}

void encode_q4_1(const float *x, void *block)
{
    struct block_q4_1 b;
    uint16_t d;
    uint16_t m;
    int8_t code[BLOCK_SMALL];

    fit_shifted_block(x, 15, &d, &m, code);
    b.d = d;
    b.m = m;
    encode_pack_nibbles(code, b.qs);
    memcpy(block, &b, sizeof(b));
}

void encode_q5_0(const float *x, void *block)
{
    struct block_q5_0 *b = block;
    int8_t code[BLOCK_SMALL];

    b->d = fit_signed_block(x, -16, 15, code);
    pack_fifth_bits(code, b->qh);
    encode_pack_nibbles(code, b->qs);
}

void encode_q5_1(const float *x, void *block)
{
    struct block_q5_1 b;
    uint16_t d;
    uint16_t m;
    int8_t code[BLOCK_SMALL];

    fit_shifted_block(x, 31, &d, &m, code);
    b.d = d;
    b.m = m;
    pack_fifth_bits(code, b.qh);
    encode_pack_nibbles(code, b.qs);
    memcpy(block, &b, sizeof(b));
}

/* As the reference does it, to the bit: with so many codes there is nothing to search.
 */
void encode_q8_0(const float *x, void *block)
{
    struct block_q8_0 *b = block;
    float most = 0;
    float d;
    float inverse;

    for (int i = 0; i < BLOCK_SMALL; i++)
        most = fmaxf(most, fabsf(x[i]));
    d = most / 127;
    inverse = d > 0x1p-100f ? 1 / d : 0;
    b->d = quant_f32_to_f16(d);
    for (int i = 0; i < BLOCK_SMALL; i++)
        b->qs[i] = (int8_t)roundf(x[i] * inverse);
}
