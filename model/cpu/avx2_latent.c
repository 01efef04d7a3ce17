/* SPDX-License-Identifier: MIT
 *
 * AVX2: attention to latent rows as integers of 16 bits (struct latent_kernels): as
 * avx512_latent.c, with vpmaddwd and an addition for each two products.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "model/cpu/avx2.h"

enum {
    ROWS = 4,   /* of a tile of scores: 2 * 4 sums of 8 heads */
    AHEAD = 32, /* rows asked for before they are needed */
    HEADS = 4,  /* of a tile of values: 2 * 4 sums */
};

/* ---- rows ---- */

/* Twice 8 values below 2^15 to 16 bits each, in order. */
ALWAYS_INLINE __m256i words_of(__m256i low, __m256i high)
{
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

static float narrow(const float *x, int n, float length, int16_t *out)
{
    const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 squares = _mm256_setzero_ps(), max = _mm256_setzero_ps(), inverse;
    float lane[8], by_length, scale = 0;
    __m256i keep;

    for (int i = 0; i < n; i += 8) {
        __m256 v = load8(x, i, n, 0);
        squares = _mm256_fmadd_ps(v, v, squares);
        max = _mm256_max_ps(max, _mm256_and_ps(v, mask));
    }
    _mm256_storeu_ps(lane, max);
    for (int i = 0; i < 8; i++)
        scale = lane[i] > scale ? lane[i] : scale;
    by_length = sqrtf(sum8(squares)) / length;
    scale /= 32767.0F;
    scale = scale > by_length ? scale : by_length; /* NaN is in by_length */
    if (scale < LATENT_SCALE_MIN)
        scale = 0;
    keep = _mm256_set1_epi32(scale > 0 && scale <= FLT_MAX ? -1 : 0);
    inverse = _mm256_set1_ps(1.0F / scale);
    for (int i = 0; i < (n + 31) / 32 * 32; i += 16) {
        __m256i q[2];

        UNROLL
        for (int j = 0; j < 2; j++) {
            __m256 v = i + 8 * j < n ? load8(x, i + 8 * j, n, 0) : _mm256_setzero_ps();
            q[j] =
                _mm256_and_si256(_mm256_cvtps_epi32(_mm256_mul_ps(v, inverse)), keep);
        }
        _mm256_storeu_si256((__m256i *)(void *)(out + i), words_of(q[0], q[1]));
    }
    return scale;
}

static void widen(const int16_t *q, float scale, int n, float *out)
{
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(q + i));
        __m256 f = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(v));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(f, _mm256_set1_ps(scale)));
    }
    for (; i < n; i++)
        out[i] = (float)q[i] * scale;
}

static void from_q8_0(const unsigned char *blocks, int n, float scale, int16_t *out)
{
    const float inverse = scale > 0 ? LATENT_Q8_UNIT / scale : 0;

    for (int i = 0; i < n; i += 32, blocks += sizeof(struct block_q8_0)) {
        int ratio = _mm_cvtss_si32(_mm_set_ss(x86_f16(blocks) * inverse));

        UNROLL
        for (int j = 0; j < 32; j += 16) {
            const void *at = blocks + 2 + j;
            __m256i code = _mm256_cvtepi8_epi16(_mm_loadu_si128(at));

            code = _mm256_mulhrs_epi16(_mm256_slli_epi16(code, 8),
                                       _mm256_set1_epi16((short)ratio));
            _mm256_storeu_si256((__m256i *)(void *)(out + i + j), code);
        }
    }
}

/* ---- scores ---- */

ALWAYS_INLINE __m256i word_at(const void *at)
{
    int32_t x;

    memcpy(&x, at, sizeof(x));
    return _mm256_set1_epi32(x);
}

/* Values from..to-1 of n rows from the p-th, with the scales of part `part`. */
ALWAYS_INLINE void score_part(const struct latent_tile *t, int p, int n, int from,
                              int to, int part, float *score)
{
    const int16_t *row = t->row + (size_t)p * t->stride;
    const char *next = (const char *)x86_rows_ahead(t, p, AHEAD);
    __m256i sum[ROWS][2];

    UNROLL
    for (int i = 0; i < n; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    for (int k = from; k < to; k += 2) {
        const int16_t *q = t->q + k * LATENT_HEADS;
        __m256i q0 = x86_load(q), q1 = x86_load(q + 16);

        if (n == ROWS && k % 8 == 0) /* 64 bytes for each 8 values of 4 rows */
            __builtin_prefetch(next + 8 * k, 0, 2);
        UNROLL
        for (int i = 0; i < n; i++) {
            __m256i x = word_at(row + (size_t)i * t->stride + k);
            sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(q0, x));
            sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(q1, x));
        }
    }
    UNROLL
    for (int i = 0; i < n; i++)
        UNROLL
    for (int j = 0; j < 2; j++) {
        __m256 scale =
            _mm256_mul_ps(_mm256_loadu_ps(t->q_scale + part * LATENT_HEADS + 8 * j),
                          _mm256_set1_ps(t->row_scale[2 * (p + i) + part]));
        put8(score + (p + i) * LATENT_HEADS + 8 * j,
             _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sum[i][j])), 8, part > 0);
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
    for (; p < t->n_rows; p++)
        score_rows(t, p, 1, score);
}

/* ---- weights ---- */

/* Of 8 heads from the h-th. */
static void weigh(const struct latent_tile *t, float *score, struct latent_state *s,
                  int32_t *weight, int h)
{
    const __m256 before = _mm256_loadu_ps(s->m + h);
    const __m256i low = _mm256_set1_epi32(0xffff);
    __m256 m = before, sum = _mm256_setzero_ps(), w_sum = sum, w_max = sum, fade, unit,
           some;

    for (int p = 0; p < t->n_rows; p++)
        m = _mm256_max_ps(_mm256_loadu_ps(score + p * LATENT_HEADS + h), m);
    fade = exp8(_mm256_sub_ps(before, m));
    for (int p = 0; p < t->n_rows; p++) {
        float *at = score + p * LATENT_HEADS + h;
        __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(at), m));
        __m256 w = _mm256_mul_ps(e, _mm256_set1_ps(t->row_scale[2 * p]));

        sum = _mm256_add_ps(sum, e);
        w_sum = _mm256_add_ps(w_sum, w);
        w_max = _mm256_max_ps(w_max, w);
        _mm256_storeu_ps(at, w);
    }
    unit = _mm256_max_ps(_mm256_mul_ps(w_max, _mm256_set1_ps(1.0F / 32767)),
                         _mm256_mul_ps(w_sum, _mm256_set1_ps(1.0F / LATENT_WEIGHTS)));
    some = _mm256_cmp_ps(unit, _mm256_set1_ps(LATENT_UNIT_MIN), _CMP_NLT_UQ);
    unit = _mm256_and_ps(unit, some);
    _mm256_storeu_ps(s->m + h, m);
    _mm256_storeu_ps(s->fade + h, fade);
    _mm256_storeu_ps(s->scale + h, unit);
    _mm256_storeu_ps(s->l + h, _mm256_fmadd_ps(_mm256_loadu_ps(s->l + h), fade, sum));
    unit = _mm256_and_ps(_mm256_div_ps(_mm256_set1_ps(1), unit), some);
    for (int p = 0; p < t->n_rows; p += 2) {
        const float *at = score + p * LATENT_HEADS + h;
        __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(at), unit)), b;

        b = p + 1 == t->n_rows ? _mm256_setzero_si256()
                               : _mm256_cvtps_epi32(_mm256_mul_ps(
                                     _mm256_loadu_ps(at + LATENT_HEADS), unit));
        a = _mm256_or_si256(_mm256_and_si256(a, low), _mm256_slli_epi32(b, 16));
        _mm256_storeu_si256((__m256i *)(void *)(weight + p / 2 * LATENT_HEADS + h), a);
    }
}

static void weights(const struct latent_tile *t, float *score, struct latent_state *s,
                    int32_t *weight)
{
    for (int h = 0; h < LATENT_HEADS; h += 8)
        weigh(t, score, s, weight, h);
}

/* ---- values ---- */

/* Two rows, of which 16 values are interleaved: within halves of the register, the
 * lower four values of each in x[0]. */
ALWAYS_INLINE void add_rows(__m256i sum[HEADS][2], const int16_t *a, const int16_t *b,
                            const int32_t *weight, int n_heads)
{
    __m256i low = x86_load(a), high = x86_load(b);
    __m256i x0 = _mm256_unpacklo_epi16(low, high);
    __m256i x1 = _mm256_unpackhi_epi16(low, high);

    UNROLL
    for (int h = 0; h < n_heads; h++) {
        __m256i w = word_at(weight + h);
        sum[h][0] = _mm256_add_epi32(sum[h][0], _mm256_madd_epi16(x0, w));
        sum[h][1] = _mm256_add_epi32(sum[h][1], _mm256_madd_epi16(x1, w));
    }
}

/* n_heads heads from the first, 16 values from d. */
ALWAYS_INLINE void value_tile(const struct latent_tile *t, const int32_t *weight,
                              const struct latent_state *s, int first, int n_heads,
                              float *u, int v_width, int d, bool add)
{
    const int16_t *row = t->row + d;
    __m256i sum[HEADS][2];

    UNROLL
    for (int h = 0; h < n_heads; h++)
        sum[h][0] = sum[h][1] = _mm256_setzero_si256();
    weight += first;
    for (int p = 0; p < t->n_rows; p += 2, row += 2 * t->stride, weight += LATENT_HEADS)
        add_rows(sum, row, p + 1 < t->n_rows ? row + t->stride : row, weight, n_heads);
    UNROLL
    for (int h = 0; h < n_heads; h++) {
        float *at = u + (first + h) * v_width + d;
        __m256i out[2] = {_mm256_permute2x128_si256(sum[h][0], sum[h][1], 0x20),
                          _mm256_permute2x128_si256(sum[h][0], sum[h][1], 0x31)};

        UNROLL
        for (int i = 0; i < 2; i++) {
            if (d + 8 * i >= v_width)
                continue;
            __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(out[i]),
                                     _mm256_set1_ps(s->scale[first + h]));
            if (add)
                v = _mm256_fmadd_ps(load8(at, 8 * i, v_width - d, 0),
                                    _mm256_set1_ps(s->fade[first + h]), v);
            put8(at + 8 * i, v, v_width - d - 8 * i, false);
        }
    }
}

static void values(const struct latent_tile *t, const int32_t *weight,
                   const struct latent_state *s, int n_heads, float *u, int v_width,
                   bool add)
{
    for (int d = 0; d < v_width; d += 16) {
        int h = 0;

        for (; h + HEADS <= n_heads; h += HEADS)
            value_tile(t, weight, s, h, HEADS, u, v_width, d, add);
        for (; h < n_heads; h++)
            value_tile(t, weight, s, h, 1, u, v_width, d, add);
    }
}

const struct latent_kernels latent_avx2 = {
    .narrow = narrow,
    .widen = widen,
    .from_q8_0 = from_q8_0,
    .scores = scores,
    .weights = weights,
    .values = values,
};
