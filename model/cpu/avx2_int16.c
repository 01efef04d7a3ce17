/* SPDX-License-Identifier: MIT
 *
 * AVX2: panels of 8-bit codes times activations of 15 bits (struct wide_kernels).
 * vpmaddwd multiplies half as many values as vpmaddubsw, but its sums need no further
 * step to reach 32 bits, and signed codes no detour over their absolute values.
 *
 * A record is int16_t q[n_pad], then as floats a scale for each 256 values, and in its
 * unit for each 32 and for each 16 the sum of q. 32 products of 8 and 15 bits and their
 * sum fit 32 bits.
 */
#include "config.h"

#include <float.h>

#include "model/cpu/avx2.h"

enum {
    R = AVX2_PANEL_ROWS,
    COLS = 8, /* of a tile: as many sums of 16 registers */
    ACT_MAX = 16383,
};

/* ---- records ---- */

static size_t at_scale(int n_pad)
{
    return 2 * (size_t)n_pad;
}
static size_t at_sum32(int n_pad)
{
    return at_scale(n_pad) + (size_t)n_pad / 64;
}
static size_t at_sum16(int n_pad)
{
    return at_sum32(n_pad) + (size_t)n_pad / 8;
}

static size_t record_bytes(int n_pad)
{
    return (at_sum16(n_pad) + (size_t)n_pad / 4 + 63) / 64 * 64;
}

/* The largest of GROUP values without their signs; not finite where one is not. */
static float largest(const float *x)
{
    __m256 most = _mm256_setzero_ps(), zero = _mm256_setzero_ps();

    for (int k = 0; k < GROUP; k += 8) {
        __m256 v = _mm256_loadu_ps(x + k);
        most = _mm256_max_ps(most, _mm256_andnot_ps(_mm256_set1_ps(-0.0F), v));
        zero = _mm256_fmadd_ps(_mm256_sub_ps(v, v), _mm256_setzero_ps(), zero);
    }
    return x86_max8(most) + sum8(zero);
}

/* GROUP values; returns their scale, in which what is not finite goes on. */
static float quantise_group(const float *x, int16_t *q)
{
    const float max = largest(x);
    __m256 inverse;

    if (!(max >= 1e-30F && max <= FLT_MAX)) {
        memset(q, 0, GROUP * sizeof(*q));
        return max < 1e-30F ? 0 : max / ACT_MAX;
    }
    inverse = _mm256_set1_ps(ACT_MAX / max);
    for (int k = 0; k < GROUP; k += 16) {
        __m256 a = _mm256_mul_ps(_mm256_loadu_ps(x + k), inverse);
        __m256 b = _mm256_mul_ps(_mm256_loadu_ps(x + k + 8), inverse);
        __m256i both = _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));

        _mm256_storeu_si256((__m256i *)(void *)(q + k),
                            _mm256_permute4x64_epi64(both, 0xd8));
    }
    return max / ACT_MAX;
}

static void sum_group(const int16_t *q, float *sum32, float *sum16)
{
    for (int b = 0; b < GROUP / 16; b++) {
        __m256i pairs = _mm256_madd_epi16(x86_load(q + 16 * b), _mm256_set1_epi16(1));

        sum16[b] = sum8(_mm256_cvtepi32_ps(pairs));
    }
    for (int b = 0; b < GROUP / 32; b++)
        sum32[b] = sum16[2 * b] + sum16[2 * b + 1];
}

static void record(const float *x, int n, unsigned char *out)
{
    const int n_pad = act_padded(n);
    int16_t *q = (int16_t *)(void *)out;
    float *scale = (float *)(void *)(out + at_scale(n_pad));
    float *sum32 = (float *)(void *)(out + at_sum32(n_pad));
    float *sum16 = (float *)(void *)(out + at_sum16(n_pad));

    for (int i = 0; i < n_pad; i += GROUP) {
        float copy[GROUP] = {0};
        const float *from = x + i;

        if (n - i < GROUP) {
            memcpy(copy, from, (size_t)(n - i) * sizeof(float));
            from = copy;
        }
        scale[i / GROUP] = quantise_group(from, q + i);
        sum_group(q + i, sum32 + i / 32, sum16 + i / 16);
    }
}

/* ---- products ---- */

/* Two activations, the same for all rows. */
ALWAYS_INLINE __m256i two(const unsigned char *q)
{
    int32_t x;

    memcpy(&x, q, sizeof(x));
    return _mm256_set1_epi32(x);
}

/* Of 4 codes of each of 8 rows the first two, or the other two, with 16 bits: the byte
 * of an unsigned code goes below a zero, that of a signed one above, and down again. */
ALWAYS_INLINE __m256i two_codes(int kind, __m256i all, bool others)
{
    const char i = others ? 2 : 0;
    const __m128i low = _mm_setr_epi8(i, -1, i + 1, -1, i + 4, -1, i + 5, -1, i + 8, -1,
                                      i + 9, -1, i + 12, -1, i + 13, -1);
    const __m128i high = _mm_setr_epi8(-1, i, -1, i + 1, -1, i + 4, -1, i + 5, -1,
                                       i + 8, -1, i + 9, -1, i + 12, -1, i + 13);

    if (kind != PANEL_SIGNED)
        return _mm256_shuffle_epi8(all, _mm256_broadcastsi128_si256(low));
    return _mm256_srai_epi16(
        _mm256_shuffle_epi8(all, _mm256_broadcastsi128_si256(high)), 8);
}

/* Where a tile stands: in the panel, and in the first of its rows of activations. */
struct place {
    const uint8_t *q;
    const float *scale, *min;
    const unsigned char *a, *sum;
};

/* `step` columns of the panel, under one scale. */
ALWAYS_INLINE void tile_step(int kind, int step, const struct place *at,
                             size_t a_stride, int n_cols, __m256 acc[COLS])
{
    __m256i sum[COLS];
    __m256 scale, min;

    UNROLL
    for (int k = 0; k < step; k += 4) {
        __m256i all = x86_load(at->q + 8 * k);

        UNROLL
        for (int i = 0; i < 2; i++) {
            __m256i code = two_codes(kind, all, i == 1);

            UNROLL
            for (int c = 0; c < n_cols; c++) {
                __m256i x = _mm256_madd_epi16(
                    code, two(at->a + (size_t)c * a_stride + 2 * k + 4 * i));

                sum[c] = k == 0 && i == 0 ? x : add_now(sum[c], x);
            }
        }
    }
    scale = _mm256_loadu_ps(at->scale);
    min = _mm256_loadu_ps(at->min);
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        acc[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[c]), scale, acc[c]);
        if (kind != PANEL_SIGNED)
            acc[c] =
                _mm256_fmadd_ps(min, float_at(at->sum + (size_t)c * a_stride), acc[c]);
    }
}

/* A strip of n_rows <= 8 rows times n_cols rows of activations. */
ALWAYS_INLINE void tile(int kind, const struct panel *p, int strip, int n_rows,
                        const struct act *act, int first, int n_cols, float *y,
                        size_t ldy, bool add)
{
    const int step = kind == PANEL_NARROW ? 16 : 32;
    const unsigned char *a = act->q + (size_t)first * act->q_stride;
    const unsigned char *unit =
        a + at_scale(act->n_pad) + (size_t)p->k0 / GROUP * sizeof(float);
    struct place at = {
        .q = p->q + 8 * strip * (p->k1 - p->k0),
        .scale = p->scale + 8 * strip,
        .min = p->min + 8 * strip,
        .a = a + 2 * (size_t)p->k0,
        .sum = a + (step == 16 ? at_sum16(act->n_pad) : at_sum32(act->n_pad)) +
               (size_t)(p->k0 / step) * sizeof(float),
    };
    __m256 total[COLS], acc[COLS];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        total[c] = _mm256_setzero_ps();
    for (int k = p->k0; k < p->k1; unit += sizeof(float)) {
        const int end = p->k1 - k < GROUP ? p->k1 : k + GROUP;

        UNROLL
        for (int c = 0; c < n_cols; c++)
            acc[c] = _mm256_setzero_ps();
        for (; k < end; k += step) {
            tile_step(kind, step, &at, act->q_stride, n_cols, acc);
            at.q += 8 * step;
            at.scale += R;
            at.min += R;
            at.a += 2 * step;
            at.sum += sizeof(float);
        }
        UNROLL
        for (int c = 0; c < n_cols; c++)
            total[c] = _mm256_fmadd_ps(
                acc[c], float_at(unit + (size_t)c * act->q_stride), total[c]);
    }
    UNROLL
    for (int c = 0; c < n_cols; c++)
        put8(y + (size_t)c * ldy, total[c], n_rows, add);
}

static void gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
                 float *y, size_t ldy, bool add);
AVX2_GEMM(gemm, 8)

/* Signed codes, whose products with 8 bits take a step more. */
static const bool pays[KERNEL_TYPES] = {
    [TYPE_Q8_0] = true, [TYPE_IQ4_NL] = true, [TYPE_IQ4_XS] = true};

const struct wide_kernels wide_avx2_int16 = {
    .pays = pays,
    .record_bytes = record_bytes,
    .record = record,
    .gemm = gemm,
};
