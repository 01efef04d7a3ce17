/* SPDX-License-Identifier: MIT
 *
 * Kernels for AVX2 with FMA and F16C: quantising, element-wise functions and the table.
 * Products are in avx2_matvec.c and avx2_panel.c.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "model/cpu/avx2.h"
#include "model/cpu/x86_cache.h"

/* ---- sums of products of float rows ---- */

/* The sums of the lanes of four registers. */
ALWAYS_INLINE __m128 sum_lanes(const __m256 x[4])
{
    __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(x[0], x[1]), _mm256_hadd_ps(x[2], x[3]));

    return _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
}

/* n_x <= 3 rows of x times 4 or 1 of y. */
ALWAYS_INLINE void dots_tile(const float *x, size_t x_stride, int n_x, const float *y,
                             size_t y_stride, int n_y, int n, float *out, size_t ld)
{
    __m256 sum[3][4];

    UNROLL
    for (int i = 0; i < n_x; i++)
        UNROLL
    for (int j = 0; j < 4; j++)
        sum[i][j] = _mm256_setzero_ps();
    for (int k = 0; k < n; k += 8) {
        __m256 u[3];

        UNROLL
        for (int i = 0; i < n_x; i++)
            u[i] = _mm256_loadu_ps(x + (size_t)i * x_stride + k);
        UNROLL
        for (int j = 0; j < n_y; j++) {
            __m256 v = _mm256_loadu_ps(y + (size_t)j * y_stride + k);

            UNROLL
            for (int i = 0; i < n_x; i++)
                sum[i][j] = _mm256_fmadd_ps(u[i], v, sum[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < n_x; i++) {
        __m128 all = sum_lanes(sum[i]);

        if (n_y == 4)
            _mm_storeu_ps(out + (size_t)i * ld, all);
        else
            out[(size_t)i * ld] = _mm_cvtss_f32(all);
    }
}

static void dots(const float *x, size_t x_stride, int n_x, const float *y,
                 size_t y_stride, int n_y, int n, float *out, size_t ld)
{
    for (int j = 0; j < n_y;) {
        const float *b = y + (size_t)j * y_stride;
        const int step = n_y - j >= 4 ? 4 : 1;
        int i = 0;

        for (; i + 3 <= n_x && step == 4; i += 3)
            dots_tile(x + (size_t)i * x_stride, x_stride, 3, b, y_stride, 4, n,
                      out + (size_t)i * ld + j, ld);
        for (; i < n_x && step == 4; i++)
            dots_tile(x + (size_t)i * x_stride, x_stride, 1, b, y_stride, 4, n,
                      out + (size_t)i * ld + j, ld);
        for (; i < n_x; i++)
            dots_tile(x + (size_t)i * x_stride, x_stride, 1, b, y_stride, 1, n,
                      out + (size_t)i * ld + j, ld);
        j += step;
    }
}

/* ---- activations ---- */

/* 32 values, zeros after n. */
ALWAYS_INLINE void load32(const float *x, int n, __m256 v[4])
{
    float copy[32] = {0};

    if (n < 32) {
        memcpy(copy, x, (size_t)n * sizeof(float));
        x = copy;
    }
    UNROLL
    for (int j = 0; j < 4; j++)
        v[j] = _mm256_loadu_ps(x + 8 * j);
}

/* Four times 8 int32 within int8 to 32 bytes in order. */
ALWAYS_INLINE __m256i bytes_of(const __m256i q[4])
{
    __m256i x = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]),
                                   _mm256_packs_epi32(q[2], q[3]));

    return _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

ALWAYS_INLINE int sum_int(__m256i x)
{
    __m128i s =
        _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* The largest magnitude; NaN or infinite where one of the values is. */
ALWAYS_INLINE float magnitude(const __m256 v[4])
{
    const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 max = _mm256_setzero_ps(), zero = _mm256_setzero_ps();

    UNROLL
    for (int j = 0; j < 4; j++) {
        max = _mm256_max_ps(max, _mm256_and_ps(v[j], mask));
        zero = _mm256_fmadd_ps(v[j], _mm256_setzero_ps(), zero);
    }
    return x86_max8(max) + sum8(zero);
}

/* Block b of a record. The codes fit 8 bits. */
ALWAYS_INLINE void put_block(unsigned char *record, int n_pad, int b, float scale,
                             const __m256i q[4])
{
    _mm256_storeu_si256((__m256i *)(void *)(record + 32 * (size_t)b), bytes_of(q));
    x86_put_sums(record, n_pad, b, scale, sum_int(_mm256_add_epi32(q[0], q[1])),
                 sum_int(_mm256_add_epi32(q[2], q[3])));
}

static void quantize(const float *x, int n, unsigned char *record,
                     unsigned char *second)
{
    const __m256i most = _mm256_set1_epi32(127), least = _mm256_set1_epi32(-127);
    const int n_pad = act_padded(n);

    for (int i = 0, b = 0; i < n_pad; i += 32, b++) {
        __m256 v[4];
        __m256i q[4], low[4];
        __m256i keep;
        float max, scale, inverse;

        load32(x + i, n - i < 0 ? 0 : n - i, v);
        max = magnitude(v);
        scale = max < 1e-30f ? 0 : max / 127.0f;
        inverse = max < 1e-30f ? 0 : 127.0f / max;
        /* of damaged rows the scale alone is not finite: the integers stay in range */
        keep = _mm256_set1_epi32(max <= FLT_MAX ? -1 : 0);
        UNROLL
        for (int j = 0; j < 4; j++) {
            __m256 code = _mm256_mul_ps(v[j], _mm256_set1_ps(inverse)), rest;

            q[j] = _mm256_and_si256(_mm256_cvtps_epi32(code), keep);
            rest = _mm256_sub_ps(code, _mm256_cvtepi32_ps(q[j]));
            low[j] = _mm256_cvtps_epi32(_mm256_mul_ps(rest, _mm256_set1_ps(256.0f)));
            low[j] = _mm256_max_epi32(_mm256_min_epi32(low[j], most), least);
            low[j] = _mm256_and_si256(low[j], keep);
        }
        put_block(record, n_pad, b, scale, q);
        if (second != NULL)
            put_block(second, n_pad, b, scale / 256, low);
    }
}

/* ---- element by element ---- */

static void rms_norm(float *y, const float *x, const float *gain, int n, float eps)
{
    __m256 sum = _mm256_setzero_ps(), scale;

    for (int i = 0; i < n; i += 8) {
        __m256 v = load8(x, i, n, 0);
        sum = _mm256_fmadd_ps(v, v, sum);
    }
    scale = _mm256_set1_ps(1.0f / sqrtf(sum8(sum) / (float)n + eps));
    for (int i = 0; i < n; i += 8)
        put8(y + i,
             _mm256_mul_ps(_mm256_mul_ps(load8(x, i, n, 0), scale),
                           load8(gain, i, n, 0)),
             n - i, false);
}

static void swiglu(float *h, const float *gate, const float *up, int n)
{
    const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);

    for (int i = 0; i < n; i += 8) {
        __m256 g = load8(gate, i, n, 0);
        __m256 e = _mm256_add_ps(one, exp8(_mm256_xor_ps(g, sign)));
        put8(h + i, _mm256_mul_ps(_mm256_div_ps(g, e), load8(up, i, n, 0)), n - i,
             false);
    }
}

static float exp_sum(float *x, int n, float max)
{
    __m256 sum = _mm256_setzero_ps();

    for (int i = 0; i < n; i += 8) {
        __m256 e = exp8(_mm256_sub_ps(load8(x, i, n, -INFINITY), _mm256_set1_ps(max)));
        put8(x + i, e, n - i, false);
        sum = _mm256_add_ps(sum, e);
    }
    return sum8(sum);
}

static float max_of(const float *x, int n)
{
    float lane[8], max = -INFINITY;
    __m256 m = _mm256_set1_ps(-INFINITY);

    for (int i = 0; i < n; i += 8)
        m = _mm256_max_ps(load8(x, i, n, -INFINITY), m);
    _mm256_storeu_ps(lane, m);
    for (int i = 0; i < 8; i++)
        max = lane[i] > max ? lane[i] : max;
    return max;
}

static void axpy(float *y, float a, const float *x, int n)
{
    for (int i = 0; i < n; i += 8)
        put8(y + i,
             _mm256_fmadd_ps(_mm256_set1_ps(a), load8(x, i, n, 0), load8(y, i, n, 0)),
             n - i, false);
}

static void scale_by(float *y, float a, int n)
{
    for (int i = 0; i < n; i += 8)
        put8(y + i, _mm256_mul_ps(_mm256_set1_ps(a), load8(y, i, n, 0)), n - i, false);
}

static void f16_to_f32(const uint16_t *h, float *x, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i,
                         _mm256_cvtph_ps(_mm_loadu_si128((const void *)(h + i))));
    for (; i < n; i++)
        x[i] = x86_f16(h + i);
}

static void f32_to_f16(const float *x, uint16_t *h, int n)
{
    for (int i = 0; i < n; i += 8) {
        __m128i v = _mm256_cvtps_ph(load8(x, i, n, 0), _MM_FROUND_TO_NEAREST_INT);
        uint16_t all[8];

        _mm_storeu_si128((__m128i *)(void *)all, v);
        memcpy(h + i, all, (size_t)(n - i < 8 ? n - i : 8) * sizeof(all[0]));
    }
}

static void q8_0_to_f32(const unsigned char *blocks, float *x, int n)
{
    for (int i = 0; i < n; i += 32, blocks += sizeof(struct block_q8_0)) {
        const __m256 d = _mm256_set1_ps(x86_f16(blocks));

        UNROLL
        for (int j = 0; j < 32; j += 8) {
            const void *q = blocks + sizeof(uint16_t) + j;
            __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(q));
            _mm256_storeu_ps(x + i + j, _mm256_mul_ps(_mm256_cvtepi32_ps(wide), d));
        }
    }
}

/* ---- the table ---- */

const struct cpu_kernels cpu_kernels_avx2 = {
    .name = "avx2",
    .features = "avx2+fma+f16c",
    .panel_rows = AVX2_PANEL_ROWS,
    .matvec = avx2_matvec,
    .pack = avx2_pack,
    .pack_f32 = avx2_pack_f32,
    .gemm = avx2_gemm,
    .gemm_f32 = avx2_gemm_f32,
    .int16 = &wide_avx2_int16,
    .latent = &latent_avx2,
    .dots = dots,
    .quantize = quantize,
    .rms_norm = rms_norm,
    .swiglu = swiglu,
    .exp_sum = exp_sum,
    .max = max_of,
    .axpy = axpy,
    .scale = scale_by,
    .f16_to_f32 = f16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .f32_to_q8_0 = x86_f32_to_q8_0,
    .q8_0_to_f32 = q8_0_to_f32,
    .hadamard = x86_hadamard,
};
