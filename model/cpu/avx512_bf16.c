/* SPDX-License-Identifier: MIT
 *
 * AVX-512 BF16: panels of BF16 weights times activations rounded to BF16 (struct
 * wide_kernels). vdpbf16ps adds two products to a float, twice as many as vfmadd does.
 *
 * A panel is q[k/2][R][2], the weights as they are; a record is q[n_pad].
 */
#include "config.h"

#include "model/cpu/avx512_wide.h"

enum {
    R = AVX512_PANEL_ROWS,
    COLS = 12, /* rows of activations in a tile: 2 * 12 sums */
};

static size_t record_bytes(int n_pad)
{
    return 2 * (size_t)n_pad;
}

static void record(const float *x, int n, unsigned char *out)
{
    for (int i = 0; i < act_padded(n); i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first16(n - i), x + i);
        __m256bh rounded = _mm512_cvtneps_pbh(v);
        memcpy(out + 2 * (size_t)i, &rounded, sizeof(rounded));
    }
}

static void pack(const unsigned char *w, size_t row_bytes, int n_rows, struct panel *p)
{
    p->kind = PANEL_WIDE;
    for (int r = 0; r < R; r += 16)
        for (int k = p->k0; k < p->k1; k += 32) {
            const unsigned char *at = w + (size_t)r * row_bytes + 2 * (size_t)k;
            unsigned char *out = p->q + 2 * ((k - p->k0) * R + 2 * r);
            __mmask32 mask = first32(p->k1 - k);
            __m512i v[16];

            UNROLL
            for (int i = 0; i < 16; i++)
                v[i] = r + i < n_rows
                           ? _mm512_maskz_loadu_epi16(mask, at + (size_t)i * row_bytes)
                           : _mm512_setzero_si512();
            transpose_square(v);
            UNROLL
            for (int i = 0; i < 16; i++)
                _mm512_storeu_si512(out + 4 * i * R, v[i]);
        }
}

ALWAYS_INLINE __m512 add_pairs(__m512 sum, __m512i w, __m512i x)
{
    __m512bh a, b;

    memcpy(&a, &w, sizeof(a));
    memcpy(&b, &x, sizeof(b));
    return _mm512_dpbf16_ps(sum, a, b);
}

/* The panel times n_cols rows of activations. Weights of an expert that has few of them
 * come from memory about as fast as they are multiplied, and packing would only wait:
 * the first tile asks for as many bytes of the next rows as it reads. */
ALWAYS_INLINE void tile(const struct panel *p, int n_rows, const struct act *act,
                        int first, int n_cols, float *y, size_t ldy, bool add)
{
    const unsigned char *a = act->q + (size_t)first * act->q_stride + 2 * (size_t)p->k0;
    const unsigned char *w = p->q;
    __m512 sum[COLS][2];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        sum[c][0] = sum[c][1] = _mm512_setzero_ps();
    for (int k = p->k0; k < p->k1; k += 2, w += 4 * R, a += 4) {
        __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);

        if (first == 0) {
            _mm_prefetch((const char *)p->next + 2 * k * R, _MM_HINT_T1);
            _mm_prefetch((const char *)p->next + 2 * k * R + 64, _MM_HINT_T1);
        }
        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512i x = word_at(a + (size_t)c * act->q_stride);
            sum[c][0] = add_pairs(sum[c][0], w0, x);
            sum[c][1] = add_pairs(sum[c][1], w1, x);
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++)
        put32(y + (size_t)c * ldy, sum[c], n_rows, add);
}

static void gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
                 float *y, size_t ldy, bool add)
{
#define TILE(c, n) tile(p, n_rows, a, c, n, y + (size_t)(c)*ldy, ldy, add)
    WIDE_TILES(n_cols, COLS, TILE, WIDE_CASES_12)
#undef TILE
}

const struct wide_kernels wide_avx512_bf16 = {
    .record_bytes = record_bytes,
    .record = record,
    .pack = {[TYPE_BF16] = pack},
    .gemm = gemm,
};
