/* SPDX-License-Identifier: MIT
 *
 * Kernels for AVX-512 (F, BW, DQ, VL) with VNNI: quantising, element-wise functions and
 * the table. Products are in avx512_matvec.c and avx512_panel.c.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "model/cpu/avx512.h"
#include "model/cpu/x86_cache.h"

/* ---- sums of products of float rows ---- */

/* n_x <= 4 rows of x times 4 or 1 of y. */
ALWAYS_INLINE void dots_tile(const float *x, size_t x_stride, int n_x, const float *y,
                             size_t y_stride, int n_y, int n, float *out, size_t ld)
{
    __m512 sum[4][4];

    UNROLL
    for (int i = 0; i < n_x; i++)
        UNROLL
    for (int j = 0; j < 4; j++)
        sum[i][j] = _mm512_setzero_ps();
    for (int k = 0; k < n; k += 16) {
        __m512 v[4];

        UNROLL
        for (int j = 0; j < n_y; j++)
            v[j] = _mm512_loadu_ps(y + (size_t)j * y_stride + k);
        UNROLL
        for (int i = 0; i < n_x; i++) {
            __m512 u = _mm512_loadu_ps(x + (size_t)i * x_stride + k);

            UNROLL
            for (int j = 0; j < n_y; j++)
                sum[i][j] = _mm512_fmadd_ps(u, v[j], sum[i][j]);
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

        for (; i + 4 <= n_x && step == 4; i += 4)
            dots_tile(x + (size_t)i * x_stride, x_stride, 4, b, y_stride, 4, n,
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

/* Block b of a record. The codes fit 8 bits. */
ALWAYS_INLINE void put_block(unsigned char *record, int n_pad, int b, float scale,
                             const __m512i q[2])
{
    unsigned char *at = record + 32 * (size_t)b;

    _mm_storeu_si128((__m128i *)(void *)at, _mm512_cvtsepi32_epi8(q[0]));
    _mm_storeu_si128((__m128i *)(void *)(at + 16), _mm512_cvtsepi32_epi8(q[1]));
    x86_put_sums(record, n_pad, b, scale, _mm512_reduce_add_epi32(q[0]),
                 _mm512_reduce_add_epi32(q[1]));
}

static void quantize(const float *x, int n, unsigned char *record,
                     unsigned char *second)
{
    const __m512i most = _mm512_set1_epi32(127), least = _mm512_set1_epi32(-127);
    const int n_pad = act_padded(n);

    for (int b = 0; 32 * b < n_pad; b++) {
        __m512 v[2] = {floats_or_zero(x, 32 * b, n), floats_or_zero(x, 32 * b + 16, n)};
        /* 0 * x is NaN where x is not finite: that must not be lost in the maximum */
        __m512 zero = _mm512_mul_ps(
            _mm512_add_ps(_mm512_sub_ps(v[0], v[0]), _mm512_sub_ps(v[1], v[1])),
            _mm512_setzero_ps());
        float max = _mm512_reduce_max_ps(
                        _mm512_max_ps(_mm512_abs_ps(v[0]), _mm512_abs_ps(v[1]))) +
                    _mm512_reduce_add_ps(zero);
        float scale = max < 1e-30f ? 0 : max / 127.0f;
        float inverse = max < 1e-30f ? 0 : 127.0f / max;
        /* then the scale alone carries it on, and the integers stay in range */
        __mmask16 keep = max <= FLT_MAX ? 0xffff : 0;
        __m512i q[2], low[2];

        UNROLL
        for (int i = 0; i < 2; i++) {
            __m512 code = _mm512_mul_ps(v[i], _mm512_set1_ps(inverse)), rest;

            q[i] = _mm512_maskz_cvtps_epi32(keep, code);
            rest = _mm512_sub_ps(code, _mm512_cvtepi32_ps(q[i]));
            low[i] = _mm512_maskz_cvtps_epi32(
                keep, _mm512_mul_ps(rest, _mm512_set1_ps(256.0f)));
            low[i] = _mm512_max_epi32(_mm512_min_epi32(low[i], most), least);
        }
        put_block(record, n_pad, b, scale, q);
        if (second != NULL)
            put_block(second, n_pad, b, scale / 256, low);
    }
}

/* ---- element by element ---- */

static void rms_norm(float *y, const float *x, const float *gain, int n, float eps)
{
    __m512 sum = _mm512_setzero_ps(), scale;

    for (int i = 0; i < n; i += 16) {
        __m512 v = floats_or_zero(x, i, n);
        sum = _mm512_fmadd_ps(v, v, sum);
    }
    scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(sum) / (float)n + eps));
    for (int i = 0; i < n; i += 16)
        put16(y + i,
              _mm512_mul_ps(_mm512_mul_ps(floats_or_zero(x, i, n), scale),
                            floats_or_zero(gain, i, n)),
              n - i, false);
}

static void swiglu(float *h, const float *gate, const float *up, int n)
{
    const __m512 one = _mm512_set1_ps(1.0f), zero = _mm512_setzero_ps();

    for (int i = 0; i < n; i += 16) {
        __m512 g = floats_or_zero(gate, i, n);
        __m512 e = _mm512_add_ps(one, exp16(_mm512_sub_ps(zero, g)));
        put16(h + i, _mm512_mul_ps(_mm512_div_ps(g, e), floats_or_zero(up, i, n)),
              n - i, false);
    }
}

static float exp_sum(float *x, int n, float max)
{
    __m512 sum = _mm512_setzero_ps();

    for (int i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        __m512 e = exp16(
            _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(max)));
        _mm512_mask_storeu_ps(x + i, mask, e);
        sum = _mm512_mask_add_ps(sum, mask, sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

static float max_of(const float *x, int n)
{
    __m512 max = _mm512_set1_ps(-INFINITY);

    for (int i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        max = _mm512_mask_max_ps(max, mask, _mm512_maskz_loadu_ps(mask, x + i), max);
    }
    return _mm512_reduce_max_ps(max);
}

static void axpy(float *y, float a, const float *x, int n)
{
    for (int i = 0; i < n; i += 16)
        put16(y + i,
              _mm512_fmadd_ps(_mm512_set1_ps(a), floats_or_zero(x, i, n),
                              floats_or_zero(y, i, n)),
              n - i, false);
}

static void scale_by(float *y, float a, int n)
{
    for (int i = 0; i < n; i += 16)
        put16(y + i, _mm512_mul_ps(_mm512_set1_ps(a), floats_or_zero(y, i, n)), n - i,
              false);
}

static void f16_to_f32(const uint16_t *h, float *x, int n)
{
    int i = 0;

    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, floats16(TYPE_F16, (const void *)h, i, i + 16));
    for (; i < n; i += 16)
        put16(x + i, floats16(TYPE_F16, (const void *)h, i, n), n - i, false);
}

static void f32_to_f16(const float *x, uint16_t *h, int n)
{
    for (int i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        _mm256_mask_storeu_epi16(h + i, mask,
                                 _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
}

static void q8_0_to_f32(const unsigned char *blocks, float *x, int n)
{
    for (int i = 0; i < n; i += 32, blocks += sizeof(struct block_q8_0)) {
        const __m512 d = _mm512_set1_ps(x86_f16(blocks));

        UNROLL
        for (int j = 0; j < 32; j += 16) {
            const void *q = blocks + sizeof(uint16_t) + j;
            __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128(q));
            _mm512_storeu_ps(x + i + j, _mm512_mul_ps(_mm512_cvtepi32_ps(wide), d));
        }
    }
}

/* ---- the table ---- */

const struct cpu_kernels cpu_kernels_avx512 = {
    .name = "avx512",
    .features = "avx512+vnni",
    .panel_rows = AVX512_PANEL_ROWS,
    .matvec = avx512_matvec,
    .pack = avx512_pack,
    .pack_f32 = avx512_pack_f32,
    .gemm = avx512_gemm,
    .gemm_f32 = avx512_gemm_f32,
    .int16 = &wide_avx512_int16,
    .latent = &latent_avx512,
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
