/* SPDX-License-Identifier: MIT
 *
 * What the AVX-512 files of products with many rows of activations share:
 * avx512_panel.c, and with 16 bits a value avx512_int16.c and avx512_bf16.c.
 */
#ifndef HADAL_MODEL_CPU_AVX512_WIDE_H
#define HADAL_MODEL_CPU_AVX512_WIDE_H

#include "model/cpu/avx512.h"

/* struct panel.kind */
enum panel_kind {
    PANEL_NARROW = 1, /* scales of 16, not 32 */
    PANEL_MIN = 2,    /* minima, not the offset of 128 */
    PANEL_WIDE = 4,   /* float weights: no scale a block */
};

ALWAYS_INLINE __mmask32 first32(int n)
{
    return n >= 32 ? 0xffffffff : ((__mmask32)1 << (n > 0 ? n : 0)) - 1;
}

/* Writes or adds up to 32 sums. */
ALWAYS_INLINE void put32(float *y, const __m512 sum[2], int n, bool add)
{
    UNROLL
    for (int h = 0; h < 2; h++)
        put16(y + 16 * h, sum[h], n - 16 * h, add);
}

/* The 32-bit word at `at`, in all lanes: neighbouring values of 8 or 16 bits. */
ALWAYS_INLINE __m512i word_at(const unsigned char *at)
{
    int32_t x;

    memcpy(&x, at, sizeof(x));
    return _mm512_set1_epi32(x);
}

ALWAYS_INLINE __m512 float_at(const unsigned char *at)
{
    float x;

    memcpy(&x, at, sizeof(x));
    return _mm512_set1_ps(x);
}

/* 16 x 16 words in registers, transposed. */
ALWAYS_INLINE void transpose_square(__m512i r[16])
{
    UNROLL
    for (int i = 0; i < 16; i += 4) { /* within each 4 x 4 square */
        __m512i t0 = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        __m512i t1 = _mm512_unpackhi_epi32(r[i], r[i + 1]);
        __m512i t2 = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]);
        __m512i t3 = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);

        r[i] = _mm512_unpacklo_epi64(t0, t2);
        r[i + 1] = _mm512_unpackhi_epi64(t0, t2);
        r[i + 2] = _mm512_unpacklo_epi64(t1, t3);
        r[i + 3] = _mm512_unpackhi_epi64(t1, t3);
    }
    UNROLL
    for (int i = 0; i < 4; i++) { /* the squares */
        __m512i a = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x44);
        __m512i b = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xee);
        __m512i c = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x44);
        __m512i d = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xee);

        r[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        r[4 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
        r[8 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
        r[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

#endif
