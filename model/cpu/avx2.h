/* SPDX-License-Identifier: MIT
 *
 * What the files of the AVX2 kernels share: avx2_matvec.c (one row of activations),
 * avx2_panel.c (many) and kernels_avx2.c (the rest, and the table).
 */
#ifndef HADAL_MODEL_CPU_AVX2_H
#define HADAL_MODEL_CPU_AVX2_H

#include "model/cpu/kernels_x86.h"

extern const matvec_fn avx2_matvec[KERNEL_TYPES];
extern const pack_fn avx2_pack[KERNEL_TYPES];
extern const pack_f32_fn avx2_pack_f32[KERNEL_TYPES];

enum { AVX2_PANEL_ROWS = 32 };
/* struct panel.kind: scales of 32 or of 16, with minima; scales of 32, signed codes */
enum panel_kind { PANEL_WIDE, PANEL_NARROW, PANEL_SIGNED };

/* As the members of struct cpu_kernels. */
void avx2_gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
               float *y, size_t ldy, bool add);
void avx2_gemm_f32(const float *panel, size_t stride, int n_k, int n_rows,
                   const float *x, size_t x_stride, int n_cols, float *y, size_t ldy,
                   bool add);

/* a + b, here and now: gcc gathers the additions of a long sum at its end, and needs
 * more registers than there are for what is to be added. */
ALWAYS_INLINE __m256i add_now(__m256i a, __m256i b)
{
    a = _mm256_add_epi32(a, b);
    __asm__("" : "+x"(a));
    return a;
}

/* The float at `at`, in all lanes. */
ALWAYS_INLINE __m256 float_at(const unsigned char *at)
{
    return _mm256_broadcast_ss((const float *)(const void *)at);
}

ALWAYS_INLINE float sum8(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Writes or adds up to 8 sums. */
ALWAYS_INLINE void put8(float *y, __m256 sum, int n, bool add)
{
    if (n >= 8) {
        if (add)
            sum = _mm256_add_ps(sum, _mm256_loadu_ps(y));
        _mm256_storeu_ps(y, sum);
    } else {
        float all[8];

        _mm256_storeu_ps(all, sum);
        for (int i = 0; i < n; i++)
            y[i] = add ? y[i] + all[i] : all[i];
    }
}

ALWAYS_INLINE float one_float(enum tensor_type type, const unsigned char *row, int i)
{
    uint16_t h;
    uint32_t bits;
    float f;

    if (type == TYPE_F32) {
        memcpy(&f, row + 4 * (size_t)i, sizeof(f));
        return f;
    }
    memcpy(&h, row + 2 * (size_t)i, sizeof(h));
    if (type == TYPE_F16)
        return x86_f16(&h);
    bits = (uint32_t)h << 16;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* 8 values of a row from the i-th. */
ALWAYS_INLINE __m256 eight_floats(enum tensor_type type, const unsigned char *row,
                                  int i)
{
    const void *at = row + (type == TYPE_F32 ? 4 : 2) * (size_t)i;

    if (type == TYPE_F32)
        return _mm256_loadu_ps(at);
    if (type == TYPE_F16)
        return _mm256_cvtph_ps(_mm_loadu_si128(at));
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(at)), 16));
}

/* 8 values from the i-th, `fill` after the n-th. */
ALWAYS_INLINE __m256 load8(const float *x, int i, int n, float fill)
{
    float copy[8];

    if (n - i >= 8)
        return _mm256_loadu_ps(x + i);
    _mm256_storeu_ps(copy, _mm256_set1_ps(fill));
    memcpy(copy, x + i, (size_t)(n - i) * sizeof(float));
    return _mm256_loadu_ps(copy);
}

/* e^x: 2^n * e^r with |r| <= ln(2)/2, the Taylor series of e^r to r^7 (error 5e-9).
 * Below the smallest normal number: 0. NaN stays NaN. */
ALWAYS_INLINE __m256 exp8(__m256 x)
{
    const __m256 low = _mm256_set1_ps(-87.33654f), high = _mm256_set1_ps(88.8f);
    __m256 keep = _mm256_cmp_ps(x, low, _CMP_NLT_UQ), n, r, p;
    __m256i power;

    x = _mm256_max_ps(low, _mm256_min_ps(high, x));
    n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)),
                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* ln 2 in two parts, the first exact in a product with n */
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    p = _mm256_set1_ps(1.0f / 5040);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
    return _mm256_and_ps(p, keep);
}

/* A gemm_fn for all kinds of panels, by tiles of up to 8 rows and `cols` (4 or 8) rows
 * of activations: tile(kind, panel, row / 8, n_rows, act, column, n_columns, y, ldy,
 * add), of which kind and n_columns are constants. */
#define AVX2_STRIPS(c, n)                                                              \
    for (int r = 0; r < n_rows; r += 8)                                                \
    tile(kind, p, r / 8, n_rows - r < 8 ? n_rows - r : 8, a, c, n,                     \
         y + (size_t)(c)*ldy + r, ldy, add)
#define AVX2_GEMM(name, cols)                                                          \
    ALWAYS_INLINE void name##_kind(int kind, const struct panel *p, int n_rows,        \
                                   const struct act *a, int n_cols, float *y,          \
                                   size_t ldy, bool add)                               \
    {                                                                                  \
        WIDE_TILES(n_cols, cols, AVX2_STRIPS, WIDE_CASES_##cols)                       \
    }                                                                                  \
    void name(const struct panel *p, int n_rows, const struct act *a, int n_cols,      \
              float *y, size_t ldy, bool add)                                          \
    {                                                                                  \
        if (p->kind == PANEL_WIDE)                                                     \
            name##_kind(PANEL_WIDE, p, n_rows, a, n_cols, y, ldy, add);                \
        else if (p->kind == PANEL_NARROW)                                              \
            name##_kind(PANEL_NARROW, p, n_rows, a, n_cols, y, ldy, add);              \
        else                                                                           \
            name##_kind(PANEL_SIGNED, p, n_rows, a, n_cols, y, ldy, add);              \
    }

#endif
