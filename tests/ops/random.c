/* SPDX-License-Identifier: MIT
 *
 * See random.h. Blocks are random bytes, in which the f16 scales are then set to sane
 * numbers.
 */
#include "config.h"

#include "tests/ops/random.h"

#include <math.h>
#include <string.h>

const enum tensor_type random_types[] = {
    TYPE_F32,  TYPE_F16,  TYPE_BF16, TYPE_Q4_0,   TYPE_Q4_1,
    TYPE_Q5_0, TYPE_Q5_1, TYPE_Q8_0, TYPE_Q2_K,   TYPE_Q3_K,
    TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K, TYPE_IQ4_NL, TYPE_IQ4_XS,
};
const size_t random_n_types = sizeof(random_types) / sizeof(random_types[0]);

/* Where a block has its f16 fields (-1: none), and how large codes times sub-scales
 * are: the first field is divided by it. A minimum is half the range of the codes. */
static const struct {
    int scale_at, min_at;
    float scale_range, min_range;
} fields[] = {
    [TYPE_Q4_0] = {0, -1, 8, 0},     [TYPE_Q4_1] = {0, 2, 8, -1},
    [TYPE_Q5_0] = {0, -1, 16, 0},    [TYPE_Q5_1] = {0, 2, 16, -1},
    [TYPE_Q8_0] = {0, -1, 128, 0},   [TYPE_Q2_K] = {80, 82, 16, 8},
    [TYPE_Q3_K] = {108, -1, 128, 0}, [TYPE_Q4_K] = {0, 2, 512, 32},
    [TYPE_Q5_K] = {0, 2, 1024, 32},  [TYPE_Q6_K] = {208, -1, 4096, 0},
    [TYPE_IQ4_NL] = {0, -1, 128, 0}, [TYPE_IQ4_XS] = {0, -1, 4096, 0},
};

uint32_t random_bits(struct random *r)
{
    /* xorshift64* */
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * 0x2545f4914f6cdd1dULL) >> 32);
}

float random_float(struct random *r)
{
    return (float)(random_bits(r) >> 8) * 0x1p-23f - 1.0f;
}

void random_floats(struct random *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float(r);
}

static void put_f16(unsigned char *at, float x)
{
    uint16_t h = quant_f32_to_f16(x);

    memcpy(at, &h, sizeof(h));
}

static void put_float(enum tensor_type type, unsigned char *at, float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    if (type == TYPE_F32)
        memcpy(at, &bits, sizeof(bits));
    else if (type == TYPE_F16)
        put_f16(at, x);
    else
        memcpy(at, (uint16_t[]){(uint16_t)(bits >> 16)}, 2);
}

void random_row(struct random *r, const struct quant_type *type, unsigned char *row,
                int n)
{
    float size = 1.0f / sqrtf((float)n);

    for (int i = 0; i < n; i += type->block_elems, row += type->block_bytes) {
        float scale = size * (1.5f + random_float(r));
        if (type->block_elems == 1) {
            put_float(type->type, row, scale * random_float(r));
            continue;
        }
        for (int j = 0; j < type->block_bytes; j++)
            row[j] = (unsigned char)random_bits(r);
        put_f16(row + fields[type->type].scale_at,
                scale / fields[type->type].scale_range);
        if (fields[type->type].min_at >= 0)
            put_f16(row + fields[type->type].min_at,
                    scale * (1 + random_float(r) / 4) / fields[type->type].min_range);
    }
}
