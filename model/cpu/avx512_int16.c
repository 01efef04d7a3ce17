/* SPDX-License-Identifier: MIT
 *
 * AVX-512: panels times activations of 15 bits (struct wide_kernels). vpdpwssd adds two
 * products of 16-bit integers to 32 bits, half as many as with 8-bit ones and twice as
 * many as in float.
 *
 * A record is int16_t q[n_pad], then for each 256 values a scale, and in its unit for
 * each 32 and for each 16 the sum of q, as float, and -128 times it, as integer.
 *
 * Weights are either a panel of 8-bit codes (the table's `pack`), widened on the way,
 * or float ones rounded to 13 bits under a scale for 256 values of a row (their panel:
 * int16_t q[k/2][R][2], scale[k/256][R]). What that loses, 1/8190 of the largest of
 * 256, is about what F16 itself does to it. 32 products of 13 and 15 bits and their sum
 * fit 32 bits.
 */
#include "config.h"

#include <float.h>

#include "model/cpu/avx512_wide.h"

enum {
    R = AVX512_PANEL_ROWS,
    COLS =
        6, /* rows of activations in a tile: 2 * 6 sums in int32 and as many floats */
    WEIGHT_MAX = 4095,
    ACT_MAX = 16383,
};
_Static_assert((long long)WEIGHT_MAX *ACT_MAX * 32 <= INT32_MAX, "sums overflow");

/* ---- records ---- */

static size_t at_scale(int n_pad)
{
    return 2 * (size_t)n_pad;
}
static size_t at_sum32(int n_pad)
{
    return at_scale(n_pad) + (size_t)n_pad / 64;
}
static size_t at_bias32(int n_pad)
{
    return at_sum32(n_pad) + (size_t)n_pad / 8;
}
static size_t at_sum16(int n_pad)
{
    return at_bias32(n_pad) + (size_t)n_pad / 8;
}
static size_t at_bias16(int n_pad)
{
    return at_sum16(n_pad) + (size_t)n_pad / 4;
}

static size_t record_bytes(int n_pad)
{
    return (at_bias16(n_pad) + (size_t)n_pad / 4 + 63) / 64 * 64;
}

/* 1 / scale of values whose largest is `max`, for integers up to `most`; 0: all are. */
ALWAYS_INLINE float inverse_of(float max, float most)
{
    return max >= 1e-30f && max <= FLT_MAX ? most / max : 0;
}

/* Values i..i+255; returns their scale. What is not finite goes on in the scale. */
static float quantise_group(const float *x, int i, int n, int16_t *q)
{
    __m512 most = _mm512_setzero_ps(), zero = _mm512_setzero_ps(), inverse;
    float max;

    for (int k = 0; k < GROUP; k += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first16(n - i - k), x + i + k);
        most = _mm512_max_ps(most, _mm512_abs_ps(v));
        zero = _mm512_fmadd_ps(_mm512_sub_ps(v, v), _mm512_set1_ps(0), zero);
    }
    max = _mm512_reduce_max_ps(most) + _mm512_reduce_add_ps(zero);
    inverse = _mm512_set1_ps(inverse_of(max, ACT_MAX));
    for (int k = 0; k < GROUP; k += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first16(n - i - k), x + i + k);
        __mmask16 keep = max <= FLT_MAX ? 0xffff : 0;
        __m512i whole = _mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(v, inverse));
        _mm256_storeu_si256((void *)(q + k), _mm512_cvtepi32_epi16(whole));
    }
    return max < 1e-30f ? 0 : max / ACT_MAX;
}

static void sum_group(const int16_t *q, float *sum32, int32_t *bias32, float *sum16,
                      int32_t *bias16)
{
    for (int b = 0; b < GROUP / 16; b += 2) {
        int sum[2];

        for (int h = 0; h < 2; h++) {
            __m256i v = _mm256_loadu_si256((const void *)(q + 16 * (b + h)));
            sum[h] = _mm512_reduce_add_epi32(_mm512_cvtepi16_epi32(v));
            sum16[b + h] = (float)sum[h];
            bias16[b + h] = -128 * sum[h];
        }
        sum32[b / 2] = (float)(sum[0] + sum[1]);
        bias32[b / 2] = -128 * (sum[0] + sum[1]);
    }
}

static void record(const float *x, int n, unsigned char *out)
{
    const int n_pad = act_padded(n);
    int16_t *q = (int16_t *)(void *)out;
    float *scale = (float *)(void *)(out + at_scale(n_pad));
    float *sum32 = (float *)(void *)(out + at_sum32(n_pad));
    float *sum16 = (float *)(void *)(out + at_sum16(n_pad));
    int32_t *bias32 = (int32_t *)(void *)(out + at_bias32(n_pad));
    int32_t *bias16 = (int32_t *)(void *)(out + at_bias16(n_pad));

    for (int i = 0; i < n_pad; i += GROUP) {
        scale[i / GROUP] = quantise_group(x, i, n, q + i);
        sum_group(q + i, sum32 + i / 32, bias32 + i / 32, sum16 + i / 16,
                  bias16 + i / 16);
    }
}

/* ---- panels of float weights ---- */

/* The largest of a row's values, which lie 2 bytes each: as numbers without their sign
 * they are ordered as integers are. */
ALWAYS_INLINE float largest(enum tensor_type type, const unsigned char *row, int n)
{
    __m512i max = _mm512_setzero_si512();
    __m256i half;
    uint16_t bits;

    for (int k = 0; k < n; k += 32) {
        __m512i v = _mm512_maskz_loadu_epi16(first32(n - k), row + 2 * k);
        max = _mm512_max_epu16(max, _mm512_and_si512(v, _mm512_set1_epi16(0x7fff)));
    }
    half = _mm256_max_epu16(_mm512_castsi512_si256(max),
                            _mm512_extracti64x4_epi64(max, 1));
    bits = (uint16_t)~_mm_extract_epi16(
        _mm_minpos_epu16(_mm_xor_si128(_mm_max_epu16(_mm256_castsi256_si128(half),
                                                     _mm256_extracti128_si256(half, 1)),
                                       _mm_set1_epi16(-1))),
        0);
    return type == TYPE_F16 ? quant_f16_to_f32(bits) : quant_bf16_to_f32(bits);
}

ALWAYS_INLINE __m512i rounded16(enum tensor_type type, __m256i v, __m512 inverse)
{
    __m512 x =
        type == TYPE_F16
            ? _mm512_cvtph_ps(v)
            : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));

    return _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
}

/* 32 values of a row, as pairs in the order of packs: word 4 l + p holds elements
 * 4 l + 2 p and the next (p < 2), or 16 + 4 l + 2 (p - 2) and the next. */
ALWAYS_INLINE __m512i rounded32(enum tensor_type type, const unsigned char *at, int n,
                                float inverse)
{
    __m512i v = _mm512_maskz_loadu_epi16(first32(n), at);
    __m512 by = _mm512_set1_ps(inverse);

    return _mm512_packs_epi32(rounded16(type, _mm512_castsi512_si256(v), by),
                              rounded16(type, _mm512_extracti64x4_epi64(v, 1), by));
}

/* Elements k..k+255 (n of them there) of 16 rows, into their columns of the panel. */
ALWAYS_INLINE void pack_group(enum tensor_type type, const unsigned char *w,
                              size_t row_bytes, int n_rows, int n, int16_t *q,
                              float *scale)
{
    float inverse[16];

    for (int r = 0; r < 16; r++) {
        float max = r < n_rows ? largest(type, w + (size_t)r * row_bytes, n) : 0;
        inverse[r] = inverse_of(max, WEIGHT_MAX);
        scale[r] = max < 1e-30f ? 0 : max / WEIGHT_MAX;
    }
    for (int k = 0; k < n; k += 32) {
        __m512i v[16];

        UNROLL
        for (int r = 0; r < 16; r++)
            v[r] = r < n_rows
                       ? rounded32(type, w + (size_t)r * row_bytes + 2 * (size_t)k,
                                   n - k, inverse[r])
                       : _mm512_setzero_si512();
        transpose_square(v);
        UNROLL
        for (int i = 0; i < 16; i++) {
            int pair = i / 4 * 2 + i % 2 + (i % 4 < 2 ? 0 : 8);
            _mm512_storeu_si512(q + k * R + pair * 2 * R, v[i]);
        }
    }
}

ALWAYS_INLINE void pack(enum tensor_type type, const unsigned char *w, size_t row_bytes,
                        int n_rows, struct panel *p)
{
    int16_t *q = (int16_t *)(void *)p->q;

    p->kind = PANEL_WIDE;
    for (int r = 0; r < R; r += 16)
        for (int k = p->k0, g = 0; k < p->k1; k += GROUP, g++)
            pack_group(type, w + (size_t)r * row_bytes + 2 * (size_t)k, row_bytes,
                       n_rows - r, p->k1 - k < GROUP ? p->k1 - k : GROUP,
                       q + g * GROUP * R + 2 * r, p->scale + g * R + r);
}

PACK(F16, pack)
PACK(BF16, pack)

/* ---- products ---- */

/* Rows of activations of a tile, at one group. */
struct columns {
    const unsigned char *record; /* of the first */
    size_t stride;
    size_t q, sum, bias; /* offsets in a record */
};

ALWAYS_INLINE void clear(__m512 acc[COLS][2], int n_cols)
{
    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c][0] = acc[c][1] = _mm512_setzero_ps();
}

/* Adds 4 codes of 8 bits for each row times 4 values of each column. */
ALWAYS_INLINE void add_codes(const uint8_t *q, const struct columns *a, size_t k,
                             int n_cols, __m512i sum[COLS][2])
{
    const __m512i low = _mm512_set1_epi32((int)0x80018000);
    const __m512i high = _mm512_set1_epi32((int)0x80038002);
    const __m512i lane = _mm512_setr_epi32(
        0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0,
        0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);

    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i w = _mm512_loadu_si512(q + 64 * h);
        __m512i w01 = _mm512_shuffle_epi8(w, _mm512_or_si512(lane, low));
        __m512i w23 = _mm512_shuffle_epi8(w, _mm512_or_si512(lane, high));

        UNROLL
        for (int c = 0; c < n_cols; c++) {
            const unsigned char *x = a->record + (size_t)c * a->stride + a->q + 2 * k;
            sum[c][h] = _mm512_dpwssd_epi32(sum[c][h], w01, word_at(x));
            sum[c][h] = _mm512_dpwssd_epi32(sum[c][h], w23, word_at(x + 4));
        }
    }
}

/* Adds `step` columns of a panel of codes, under one scale. */
ALWAYS_INLINE void step_codes(int kind, const uint8_t *q, const float *scale,
                              const float *min, const struct columns *a, int n_cols,
                              __m512 acc[COLS][2])
{
    const int step = kind & PANEL_NARROW ? 16 : 32;
    __m512i sum[COLS][2];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        sum[c][0] = sum[c][1] =
            kind & PANEL_MIN ? _mm512_setzero_si512()
                             : word_at(a->record + (size_t)c * a->stride + a->bias);
    UNROLL
    for (int k = 0; k < step; k += 4)
        add_codes(q + k * R, a, (size_t)k, n_cols, sum);
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512 s = _mm512_loadu_ps(scale + 16 * h), m = _mm512_loadu_ps(min + 16 * h);

        UNROLL
        for (int c = 0; c < n_cols; c++) {
            acc[c][h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c][h]), s, acc[c][h]);
            if (kind & PANEL_MIN)
                acc[c][h] = _mm512_fmadd_ps(
                    m, float_at(a->record + (size_t)c * a->stride + a->sum), acc[c][h]);
        }
    }
}

/* Adds 32 columns of a panel of 16 bits. */
ALWAYS_INLINE void step_wide(const int16_t *q, const struct columns *a, int n_cols,
                             __m512 acc[COLS][2])
{
    __m512i sum[COLS][2];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        sum[c][0] = sum[c][1] = _mm512_setzero_si512();
    UNROLL
    for (int k = 0; k < 32; k += 2) {
        __m512i w0 = _mm512_loadu_si512(q + k * R);
        __m512i w1 = _mm512_loadu_si512(q + k * R + 32);

        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512i x = word_at(a->record + (size_t)c * a->stride + a->q + 2 * k);
            sum[c][0] = _mm512_dpwssd_epi32(sum[c][0], w0, x);
            sum[c][1] = _mm512_dpwssd_epi32(sum[c][1], w1, x);
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++)
        for (int h = 0; h < 2; h++)
            acc[c][h] = _mm512_add_ps(acc[c][h], _mm512_cvtepi32_ps(sum[c][h]));
}

/* Adds the group of columns k.. of the panel, n of them there. */
ALWAYS_INLINE void add_group(int kind, const struct panel *p, const struct act *act,
                             int first, int k, int n, int n_cols, __m512 acc[COLS][2])
{
    const int step = kind & PANEL_NARROW ? 16 : 32, at = k - p->k0;
    const int n_pad = act->n_pad;

    for (int i = 0; i < n; i += step) {
        size_t block = (size_t)(k + i) / (size_t)step;
        struct columns a = {
            act->q + (size_t)first * act->q_stride,
            act->q_stride,
            2 * (size_t)(k + i),
            (step == 16 ? at_sum16(n_pad) : at_sum32(n_pad)) + 4 * block,
            (step == 16 ? at_bias16(n_pad) : at_bias32(n_pad)) + 4 * block,
        };

        if (kind & PANEL_WIDE)
            step_wide((const int16_t *)(const void *)p->q + (at + i) * R, &a, n_cols,
                      acc);
        else
            step_codes(kind, p->q + (at + i) * R, p->scale + (at + i) / step * R,
                       p->min + (at + i) / step * R, &a, n_cols, acc);
    }
}

/* The panel times n_cols rows of activations. */
ALWAYS_INLINE void tile(int kind, const struct panel *p, int n_rows,
                        const struct act *act, int first, int n_cols, float *y,
                        size_t ldy, bool add)
{
    __m512 total[COLS][2], acc[COLS][2];

    clear(total, n_cols);
    for (int k = p->k0; k < p->k1; k += GROUP) {
        const float *scale = p->scale + (k - p->k0) / GROUP * R;

        clear(acc, n_cols);
        add_group(kind, p, act, first, k, p->k1 - k < GROUP ? p->k1 - k : GROUP, n_cols,
                  acc);
        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512 s = float_at(act->q + (size_t)(first + c) * act->q_stride +
                                at_scale(act->n_pad) + 4 * (size_t)(k / GROUP));
            for (int h = 0; h < 2; h++) {
                __m512 by = kind & PANEL_WIDE
                                ? _mm512_mul_ps(s, _mm512_loadu_ps(scale + 16 * h))
                                : s;
                total[c][h] = _mm512_fmadd_ps(acc[c][h], by, total[c][h]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++)
        put32(y + (size_t)c * ldy, total[c], n_rows, add);
}

ALWAYS_INLINE void gemm_kind(int kind, const struct panel *p, int n_rows,
                             const struct act *a, int n_cols, float *y, size_t ldy,
                             bool add)
{
#define TILE(c, n) tile(kind, p, n_rows, a, c, n, y + (size_t)(c)*ldy, ldy, add)
    WIDE_TILES(n_cols, COLS, TILE, WIDE_CASES_6)
#undef TILE
}

static void gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
                 float *y, size_t ldy, bool add)
{
    switch (p->kind) {
    case 0:
        gemm_kind(0, p, n_rows, a, n_cols, y, ldy, add);
        break;
    case PANEL_NARROW:
        gemm_kind(PANEL_NARROW, p, n_rows, a, n_cols, y, ldy, add);
        break;
    case PANEL_MIN:
        gemm_kind(PANEL_MIN, p, n_rows, a, n_cols, y, ldy, add);
        break;
    case PANEL_NARROW | PANEL_MIN:
        gemm_kind(PANEL_NARROW | PANEL_MIN, p, n_rows, a, n_cols, y, ldy, add);
        break;
    default:
        gemm_kind(PANEL_WIDE, p, n_rows, a, n_cols, y, ldy, add);
        break;
    }
}

const struct wide_kernels wide_avx512_int16 = {
    .record_bytes = record_bytes,
    .record = record,
    .pack = {PACK_ROW(F16) PACK_ROW(BF16)},
    .gemm = gemm,
};
