/* SPDX-License-Identifier: MIT
 *
 * What the files of the AVX-512 kernels share: avx512_matvec.c (one row of
 * activations), those of avx512_wide.h (many) and kernels_avx512.c (the rest, and the
 * table).
 */
#ifndef HADAL_MODEL_CPU_AVX512_H
#define HADAL_MODEL_CPU_AVX512_H

#include "model/cpu/kernels_x86.h"

extern const matvec_fn avx512_matvec[KERNEL_TYPES];
extern const pack_fn avx512_pack[KERNEL_TYPES];
extern const pack_f32_fn avx512_pack_f32[KERNEL_TYPES];

enum { AVX512_PANEL_ROWS = 32 };

/* As the members of struct cpu_kernels. */
void avx512_gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
                 float *y, size_t ldy, bool add);
void avx512_gemm_f32(const float *panel, size_t stride, int n_k, int n_rows,
                     const float *x, size_t x_stride, int n_cols, float *y, size_t ldy,
                     bool add);

ALWAYS_INLINE __m512 join(__m256 low, __m256 high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

/* The low n lanes; n may be negative. */
ALWAYS_INLINE __mmask16 first16(int n)
{
    return (__mmask16)(n >= 16 ? 0xffff : (1 << (n > 0 ? n : 0)) - 1);
}

/* 16 values from the i-th, zeros from the n-th on (which i may be past). */
ALWAYS_INLINE __m512 floats_or_zero(const float *x, int i, int n)
{
    return _mm512_maskz_loadu_ps(first16(n - i), x + i);
}

/* 32 bytes, twice. */
ALWAYS_INLINE __m512i twice32(const void *at)
{
    return _mm512_broadcast_i64x4(x86_load(at));
}

/* 16 values of a row from the i-th, zeros from the n-th on. */
ALWAYS_INLINE __m512 floats16(enum tensor_type type, const unsigned char *row, int i,
                              int n)
{
    const void *at = row + (type == TYPE_F32 ? 4 : 2) * (size_t)i;
    __mmask16 mask = first16(n - i);

    if (type == TYPE_F32)
        return _mm512_maskz_loadu_ps(mask, at);
    if (type == TYPE_F16)
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, at)), 16));
}

/* Writes or adds up to 16 sums. */
ALWAYS_INLINE void put16(float *y, __m512 sum, int n, bool add)
{
    __mmask16 mask = first16(n);

    if (add)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, y));
    _mm512_mask_storeu_ps(y, mask, sum);
}

/* The sums of the lanes of four registers. */
ALWAYS_INLINE __m128 sum_lanes(const __m512 x[4])
{
    __m512 a =
        _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
    __m512 b =
        _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
    __m512 c =
        _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    __m256 d = _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1));

    return _mm_add_ps(_mm256_castps256_ps128(d), _mm256_extractf128_ps(d, 1));
}

/* e^x: see exp8 of avx2.h. */
ALWAYS_INLINE __m512 exp16(__m512 x)
{
    const __m512 low = _mm512_set1_ps(-87.33654f), high = _mm512_set1_ps(88.8f);
    __mmask16 keep = _mm512_cmp_ps_mask(x, low, _CMP_NLT_UQ);
    __m512 n, r, p;

    x = _mm512_max_ps(low, _mm512_min_ps(high, x));
    n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_maskz_scalef_ps(keep, p, n);
}

#endif
