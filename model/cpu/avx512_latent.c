/* SPDX-License-Identifier: MIT
 *
 * AVX-512 VNNI: attention to latent rows as integers of 16 bits (struct
 * latent_kernels). vpdpwssd adds two products to a 32-bit sum, twice as many as vfmadd
 * does.
 *
 * Scores: a register holds the sums of 16 heads for one row, a pair of the row's values
 * is broadcast from memory by the product itself. Values: a register holds 16 values of
 * the latent for one head, two rows are interleaved as they are loaded.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "model/cpu/avx512_wide.h"

enum {
    ROWS = 16,  /* of a tile of scores: so many sums */
    AHEAD = 32, /* rows asked for before they are needed */
    HEADS = 8,  /* of a tile of values: 2 * 8 sums */
};

/* ---- rows ---- */

static float narrow(const float *x, int n, float length, int16_t *out)
{
    __m512 squares = _mm512_setzero_ps(), max = _mm512_setzero_ps(), inverse;
    float by_length, scale;
    __mmask16 keep;

    for (int i = 0; i < n; i += 16) {
        __m512 v = floats_or_zero(x, i, n);
        squares = _mm512_fmadd_ps(v, v, squares);
        max = _mm512_max_ps(max, _mm512_abs_ps(v));
    }
    by_length = sqrtf(_mm512_reduce_add_ps(squares)) / length;
    scale = _mm512_reduce_max_ps(max) / 32767.0F;
    scale = scale > by_length ? scale : by_length; /* NaN is in by_length */
    if (scale < LATENT_SCALE_MIN)
        scale = 0;
    keep = scale > 0 && scale <= FLT_MAX ? 0xffff : 0;
    inverse = _mm512_set1_ps(1.0F / scale);
    for (int i = 0; i < (n + 31) / 32 * 32; i += 16) {
        __m512 v = _mm512_mul_ps(floats_or_zero(x, i, n), inverse);
        __m512i q = _mm512_maskz_cvtps_epi32(keep, v);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm512_cvtsepi32_epi16(q));
    }
    return scale;
}

static void widen(const int16_t *q, float scale, int n, float *out)
{
    for (int i = 0; i < n; i += 16) {
        __m256i v = _mm256_maskz_loadu_epi16(first16(n - i), q + i);
        __m512 f = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(v));
        put16(out + i, _mm512_mul_ps(f, _mm512_set1_ps(scale)), n - i, false);
    }
}

static void from_q8_0(const unsigned char *blocks, int n, float scale, int16_t *out)
{
    const float inverse = scale > 0 ? LATENT_Q8_UNIT / scale : 0;

    for (int i = 0; i < n; i += 32, blocks += sizeof(struct block_q8_0)) {
        int ratio = _mm_cvtss_si32(_mm_set_ss(x86_f16(blocks) * inverse));
        __m512i code = _mm512_cvtepi8_epi16(x86_load(blocks + 2));

        code = _mm512_mulhrs_epi16(_mm512_slli_epi16(code, 8),
                                   _mm512_set1_epi16((short)ratio));
        _mm512_storeu_si512(out + i, code);
    }
}

/* ---- scores ---- */

/* Values from..to-1 of n rows from the p-th, with the scales of part `part`. */
ALWAYS_INLINE void score_part(const struct latent_tile *t, int p, int n, int from,
                              int to, int part, float *score)
{
    const unsigned char *row = (const unsigned char *)(t->row + (size_t)p * t->stride);
    const unsigned char *next = (const unsigned char *)x86_rows_ahead(t, p, AHEAD);
    const __m512 q_scale = _mm512_loadu_ps(t->q_scale + part * LATENT_HEADS);
    __m512i sum[ROWS];

    UNROLL
    for (int i = 0; i < n; i++)
        sum[i] = _mm512_setzero_si512();
    for (int k = from; k < to; k += 2) {
        __m512i q = _mm512_loadu_si512(t->q + k * LATENT_HEADS);

        if (n == ROWS) /* 64 bytes for each 2 values of 16 rows: all of 16 rows */
            __builtin_prefetch(next + 32 * k, 0, 2);
        UNROLL
        for (int i = 0; i < n; i++)
            sum[i] = _mm512_dpwssd_epi32(
                sum[i], q, word_at(row + 2 * ((size_t)i * t->stride + (size_t)k)));
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        __m512 scale =
            _mm512_mul_ps(q_scale, _mm512_set1_ps(t->row_scale[2 * (p + i) + part]));
        float *out = score + (p + i) * LATENT_HEADS;
        put16(out, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sum[i])), 16, part > 0);
    }
}

ALWAYS_INLINE void score_rows(const struct latent_tile *t, int p, int n, float *score)
{
    score_part(t, p, n, 0, t->split, 0, score);
    score_part(t, p, n, t->split, t->width, 1, score);
}

static void scores(const struct latent_tile *t, float *score)
{
    int p = 0;

    for (; p + ROWS <= t->n_rows; p += ROWS)
        score_rows(t, p, ROWS, score);
    for (; p + 4 <= t->n_rows; p += 4)
        score_rows(t, p, 4, score);
    for (; p < t->n_rows; p++)
        score_rows(t, p, 1, score);
}

/* ---- weights ---- */

static void weights(const struct latent_tile *t, float *score, struct latent_state *s,
                    int32_t *weight)
{
    const __m512 before = _mm512_loadu_ps(s->m);
    __m512 m = before, sum = _mm512_setzero_ps(), w_sum = sum, w_max = sum, fade, unit;
    __mmask16 some;

    for (int p = 0; p < t->n_rows; p++)
        m = _mm512_max_ps(_mm512_loadu_ps(score + p * LATENT_HEADS), m);
    fade = exp16(_mm512_sub_ps(before, m));
    for (int p = 0; p < t->n_rows; p++) {
        float *at = score + p * LATENT_HEADS;
        __m512 e = exp16(_mm512_sub_ps(_mm512_loadu_ps(at), m));
        __m512 w = _mm512_mul_ps(e, _mm512_set1_ps(t->row_scale[2 * p]));

        sum = _mm512_add_ps(sum, e);
        w_sum = _mm512_add_ps(w_sum, w);
        w_max = _mm512_max_ps(w_max, w);
        _mm512_storeu_ps(at, w);
    }
    unit = _mm512_max_ps(_mm512_mul_ps(w_max, _mm512_set1_ps(1.0F / 32767)),
                         _mm512_mul_ps(w_sum, _mm512_set1_ps(1.0F / LATENT_WEIGHTS)));
    some = _mm512_cmp_ps_mask(unit, _mm512_set1_ps(LATENT_UNIT_MIN), _CMP_NLT_UQ);
    unit = _mm512_maskz_mov_ps(some, unit);
    _mm512_storeu_ps(s->m, m);
    _mm512_storeu_ps(s->fade, fade);
    _mm512_storeu_ps(s->scale, unit);
    _mm512_storeu_ps(s->l, _mm512_fmadd_ps(_mm512_loadu_ps(s->l), fade, sum));
    unit = _mm512_maskz_div_ps(some, _mm512_set1_ps(1), unit);
    for (int p = 0; p < t->n_rows; p += 2) {
        const float *at = score + p * LATENT_HEADS;
        __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(at), unit)), b;

        b = p + 1 == t->n_rows ? _mm512_setzero_si512()
                               : _mm512_cvtps_epi32(_mm512_mul_ps(
                                     _mm512_loadu_ps(at + LATENT_HEADS), unit));
        /* the low halves of both */
        a = _mm512_mask_blend_epi16(0xaaaaaaaa, a, _mm512_slli_epi32(b, 16));
        _mm512_storeu_si512(weight + p / 2 * LATENT_HEADS, a);
    }
}

/* ---- values ---- */

/* Two rows, of which 32 values are interleaved: within quarters of the register, the
 * lower four values of each in x[0]. */
ALWAYS_INLINE void add_rows(__m512i sum[HEADS][2], const int16_t *a, const int16_t *b,
                            const int32_t *weight, int n_heads)
{
    __m512i low = _mm512_loadu_si512(a), high = _mm512_loadu_si512(b);
    __m512i x[2] = {_mm512_unpacklo_epi16(low, high), _mm512_unpackhi_epi16(low, high)};

    UNROLL
    for (int h = 0; h < n_heads; h++) {
        __m512i w = _mm512_set1_epi32(weight[h]);
        sum[h][0] = _mm512_dpwssd_epi32(sum[h][0], x[0], w);
        sum[h][1] = _mm512_dpwssd_epi32(sum[h][1], x[1], w);
    }
}

/* n_heads heads from the first, 32 values from d. */
ALWAYS_INLINE void value_tile(const struct latent_tile *t, const int32_t *weight,
                              const struct latent_state *s, int first, int n_heads,
                              float *u, int v_width, int d, bool add)
{
    const __m512i low =
        _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    const int16_t *row = t->row + d;
    __m512i sum[HEADS][2];

    UNROLL
    for (int h = 0; h < n_heads; h++)
        sum[h][0] = sum[h][1] = _mm512_setzero_si512();
    weight += first;
    for (int p = 0; p < t->n_rows; p += 2, row += 2 * t->stride, weight += LATENT_HEADS)
        add_rows(sum, row, p + 1 < t->n_rows ? row + t->stride : row, weight, n_heads);
    UNROLL
    for (int h = 0; h < n_heads; h++) {
        float *at = u + (first + h) * v_width + d;
        __m512 a = _mm512_cvtepi32_ps(sum[h][0]), b = _mm512_cvtepi32_ps(sum[h][1]);
        __m512 out[2] = {_mm512_permutex2var_ps(a, low, b),
                         _mm512_permutex2var_ps(a, high, b)};

        UNROLL
        for (int i = 0; i < 2; i++) {
            __m512 v = _mm512_mul_ps(out[i], _mm512_set1_ps(s->scale[first + h]));
            if (add)
                v = _mm512_fmadd_ps(floats_or_zero(at, 16 * i, v_width - d),
                                    _mm512_set1_ps(s->fade[first + h]), v);
            put16(at + 16 * i, v, v_width - d - 16 * i, false);
        }
    }
}

static void values(const struct latent_tile *t, const int32_t *weight,
                   const struct latent_state *s, int n_heads, float *u, int v_width,
                   bool add)
{
    for (int d = 0; d < v_width; d += 32) {
        int h = 0;

        for (; h + HEADS <= n_heads; h += HEADS)
            value_tile(t, weight, s, h, HEADS, u, v_width, d, add);
        for (; h + 4 <= n_heads; h += 4)
            value_tile(t, weight, s, h, 4, u, v_width, d, add);
        for (; h < n_heads; h++)
            value_tile(t, weight, s, h, 1, u, v_width, d, add);
    }
}

const struct latent_kernels latent_avx512 = {
    .narrow = narrow,
    .widen = widen,
    .from_q8_0 = from_q8_0,
    .scores = scores,
    .weights = weights,
    .values = values,
};
