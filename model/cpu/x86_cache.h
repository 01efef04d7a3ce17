/* SPDX-License-Identifier: MIT
 *
 * What enters a cache of Q8_0, with AVX2: blocks from floats, and the rotation before
 * that. For kernels_avx2.c and kernels_avx512.c, as members of struct cpu_kernels.
 */
#ifndef HADAL_MODEL_CPU_X86_CACHE_H
#define HADAL_MODEL_CPU_X86_CACHE_H

#include <math.h>

#include "model/cpu/kernels_x86.h"

ALWAYS_INLINE void x86_put_q8_0(const float *x, unsigned char *block)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 most = _mm256_set1_ps(127.0f), least = _mm256_set1_ps(-127.0f);
    __m256 v[4], max = _mm256_setzero_ps(), zero = _mm256_setzero_ps(), inverse;
    __m256i q[4], bytes;
    __m128i h;
    float d;

    UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        max = _mm256_max_ps(_mm256_andnot_ps(sign, v[i]), max);
        zero = _mm256_add_ps(zero, _mm256_sub_ps(v[i], v[i]));
    }
    /* a lane's NaN, of what is not finite, must outlast the maximum */
    d = x86_max8(max) / 127.0f;
    if (_mm256_movemask_ps(_mm256_cmp_ps(zero, zero, _CMP_UNORD_Q)) != 0)
        d = NAN;
    h = _mm_cvtps_ph(_mm_set_ss(d), _MM_FROUND_TO_NEAREST_INT);
    d = _mm_cvtss_f32(_mm_cvtph_ps(h));
    inverse = _mm256_set1_ps(d > 0 ? 1.0f / d : 0.0f);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256 code = _mm256_mul_ps(v[i], inverse);
        q[i] = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(code, most), least));
    }
    bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]),
                               _mm256_packs_epi32(q[2], q[3]));
    bytes =
        _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm_storeu_si16(block, h);
    _mm256_storeu_si256((__m256i *)(void *)(block + sizeof(uint16_t)), bytes);
}

static void x86_f32_to_q8_0(const float *x, int n, unsigned char *blocks)
{
    float rest[32] = {0};

    for (; n >= 32; n -= 32, x += 32, blocks += sizeof(struct block_q8_0))
        x86_put_q8_0(x, blocks);
    if (n > 0) {
        memcpy(rest, x, (size_t)n * sizeof(float));
        x86_put_q8_0(rest, blocks);
    }
}

/* The first three steps, of 8 values: what is 1, 2 and 4 apart. */
ALWAYS_INLINE __m256 x86_hadamard8(__m256 x)
{
    const __m256 by1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    const __m256 by2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 by4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);

    x = _mm256_fmadd_ps(x, by1, _mm256_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1)));
    x = _mm256_fmadd_ps(x, by2, _mm256_permute_ps(x, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm256_fmadd_ps(x, by4, _mm256_permute2f128_ps(x, x, 1));
}

static void x86_hadamard(float *x, int n)
{
    for (int size; n >= 8; x += size, n -= size) {
        __m256 scale;

        for (size = 8; 2 * size <= n;)
            size *= 2;
        scale = _mm256_set1_ps(1.0f / sqrtf((float)size));
        for (int i = 0; i < size; i += 8)
            _mm256_storeu_ps(
                x + i, x86_hadamard8(_mm256_mul_ps(_mm256_loadu_ps(x + i), scale)));
        for (int h = 8; h < size; h *= 2)
            for (float *pair = x; pair < x + size; pair += 2 * h)
                for (int i = 0; i < h; i += 8) {
                    __m256 a = _mm256_loadu_ps(pair + i);
                    __m256 b = _mm256_loadu_ps(pair + i + h);
                    _mm256_storeu_ps(pair + i, _mm256_add_ps(a, b));
                    _mm256_storeu_ps(pair + i + h, _mm256_sub_ps(a, b));
                }
    }
}

#endif
