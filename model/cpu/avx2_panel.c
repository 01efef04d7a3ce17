/* SPDX-License-Identifier: MIT
 *
 * AVX2: products with many rows of activations. Integer products are those of
 * avx2_matvec.c.
 *
 * A panel is R rows as R/8 strips of 8: q[strip][k/4][8][4], scale[block][R],
 * min[block][R]. A tile of gemm is a strip times COLS rows of activations.
 */
#include "config.h"

#include "model/cpu/avx2.h"

enum {
    R = AVX2_PANEL_ROWS,
    COLS = 4,    /* of a tile: 4 + 4 sums, of 16 registers */
    COLS_F32 = 6 /* of gemm_f32: 2 * 6 sums */
};

/* ---- panels ---- */

/* Transposes 8 x n 32-bit words; n is rounded up to 8. in: rows in_stride words apart;
 * out: [n][out_stride], 8 columns written. */
static void transpose8(const uint32_t *in, size_t in_stride, int n, uint32_t *out,
                       size_t out_stride)
{
    for (int i = 0; i < n; i += 8) {
        __m256 r[8], t[8], u[8];

        UNROLL
        for (int j = 0; j < 8; j++)
            r[j] = _mm256_loadu_ps(
                (const float *)(const void *)(in + (size_t)j * in_stride + i));
        UNROLL
        for (int j = 0; j < 8; j += 2) {
            t[j] = _mm256_unpacklo_ps(r[j], r[j + 1]);
            t[j + 1] = _mm256_unpackhi_ps(r[j], r[j + 1]);
        }
        UNROLL
        for (int j = 0; j < 8; j += 4) {
            u[j] = _mm256_shuffle_ps(t[j], t[j + 2], 0x44);
            u[j + 1] = _mm256_shuffle_ps(t[j], t[j + 2], 0xee);
            u[j + 2] = _mm256_shuffle_ps(t[j + 1], t[j + 3], 0x44);
            u[j + 3] = _mm256_shuffle_ps(t[j + 1], t[j + 3], 0xee);
        }
        UNROLL
        for (int j = 0; j < 4; j++) {
            float *low = (float *)(void *)(out + (size_t)(i + j) * out_stride);
            float *high = (float *)(void *)(out + (size_t)(i + j + 4) * out_stride);

            _mm256_storeu_ps(low, _mm256_permute2f128_ps(u[j], u[j + 4], 0x20));
            _mm256_storeu_ps(high, _mm256_permute2f128_ps(u[j], u[j + 4], 0x31));
        }
    }
}

ALWAYS_INLINE void unpack(enum tensor_type type, const unsigned char *group,
                          struct x86_unpacked *out)
{
    UNROLL
    for (int j = 0; j < 8; j++)
        _mm256_store_si256((__m256i *)(void *)(out->q + 32 * j),
                           x86_codes(type, group, j));
    if (x86_is_narrow(type)) {
        struct x86_scales16 s = x86_scales16(type, group);
        __m256 unit[2];

        x86_min16(unit, s.scale, -s.factor);
        _mm256_storeu_ps(out->scale, unit[0]);
        _mm256_storeu_ps(out->scale + 8, unit[1]);
        _mm256_storeu_ps(out->min, s.min[0]);
        _mm256_storeu_ps(out->min + 8, s.min[1]);
    } else {
        struct x86_scales32 s = x86_scales32(type, group);

        _mm256_storeu_ps(out->scale, s.scale);
        _mm256_storeu_ps(out->scale + 8, s.min);
    }
}

/* The group of columns k.. (up to k1) of n rows. */
ALWAYS_INLINE void unpack_rows(enum tensor_type type, const unsigned char *w,
                               size_t row_bytes, int n, int k, int k1,
                               struct x86_unpacked *out)
{
    unsigned char copy[8 * sizeof(struct block_q8_0)];

    w += (size_t)(k / GROUP) * x86_group_bytes(type);
    for (int r = 0; r < n; r++, w += row_bytes)
        unpack(type, x86_group(type, w, k1 - k, copy), &out[r]);
}

/* 8 rows of a group, into a strip of the panel: q [64][8][4], scale and min [8 or
 * 16][R]. n: elements of the group that there are. */
ALWAYS_INLINE void pack_group(enum tensor_type type, const struct x86_unpacked *rows,
                              int n, uint8_t *q, float *scale, float *min)
{
    const size_t stride = sizeof(*rows) / sizeof(uint32_t);

    transpose8((const uint32_t *)(const void *)rows->q, stride, n / 4,
               (uint32_t *)(void *)q, 8);
    if (x86_is_narrow(type)) {
        transpose8((const uint32_t *)(const void *)rows->scale, stride, 16,
                   (uint32_t *)(void *)scale, R);
        transpose8((const uint32_t *)(const void *)rows->min, stride, 16,
                   (uint32_t *)(void *)min, R);
    } else {
        transpose8((const uint32_t *)(const void *)rows->scale, stride, 8,
                   (uint32_t *)(void *)scale, R);
        transpose8((const uint32_t *)(const void *)(rows->scale + 8), stride, 8,
                   (uint32_t *)(void *)min, R);
    }
}

ALWAYS_INLINE void pack(enum tensor_type type, const unsigned char *w, size_t row_bytes,
                        int n_rows, struct panel *p)
{
    const int n_scales = x86_is_narrow(type) ? 16 : 8; /* of a group */
    struct x86_unpacked rows[8];

    p->kind = x86_is_signed(type) ? PANEL_SIGNED
                                  : (x86_is_narrow(type) ? PANEL_NARROW : PANEL_WIDE);
    for (int r = 0; r < n_rows; r += 8) {
        int n = n_rows - r < 8 ? n_rows - r : 8;
        const unsigned char *first = w + (size_t)r * row_bytes;
        uint8_t *q = p->q + r * (p->k1 - p->k0);

        memset(rows + n, 0, (size_t)(8 - n) * sizeof(rows[0]));
        for (int k = p->k0, g = 0; k < p->k1; k += GROUP, g++, q += GROUP * 8) {
            unpack_rows(type, first, row_bytes, n, k, p->k1, rows);
            pack_group(type, rows, p->k1 - k < GROUP ? p->k1 - k : GROUP, q,
                       p->scale + g * n_scales * R + r, p->min + g * n_scales * R + r);
        }
    }
}

/* Four activations, the same for all rows. */
ALWAYS_INLINE __m256i four(const unsigned char *q)
{
    int32_t x;

    memcpy(&x, q, sizeof(x));
    return _mm256_set1_epi32(x);
}

/* Of 8 rows, 16 codes each, times a row of activations: sums as int32. Pairs of
 * products are added in 16 bits as far as they fit there: four of codes below 32 (4 * 2
 * * 31 * 127 < 2^15), two of those below 64, of signed ones a pair is all. */
ALWAYS_INLINE __m256i half_dot(int kind, const uint8_t *q, const __m256i code[4],
                               const unsigned char *a)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i p[4];

    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i x = four(a + 4 * i);

        if (kind == PANEL_SIGNED)
            x = _mm256_sign_epi8(x, x86_load(q + 32 * i));
        p[i] = _mm256_maddubs_epi16(code[i], x);
        if (kind == PANEL_SIGNED)
            p[i] = _mm256_madd_epi16(p[i], ones);
    }
    if (kind == PANEL_SIGNED)
        return _mm256_add_epi32(_mm256_add_epi32(p[0], p[1]),
                                _mm256_add_epi32(p[2], p[3]));
    p[0] = _mm256_add_epi16(p[0], p[1]);
    p[2] = _mm256_add_epi16(p[2], p[3]);
    if (kind == PANEL_WIDE)
        return _mm256_madd_epi16(_mm256_add_epi16(p[0], p[2]), ones);
    return _mm256_add_epi32(_mm256_madd_epi16(p[0], ones),
                            _mm256_madd_epi16(p[2], ones));
}

/* Where a tile stands: in the panel, and in the first of its rows of activations. */
struct place {
    const uint8_t *q;
    const float *scale, *min;
    const unsigned char *a;
    const unsigned char *pair;  /* a scale, and 8 floats behind it a sum */
    const unsigned char *sum16; /* PANEL_NARROW */
};

/* 16 codes of 8 rows times n_cols rows of activations. */
ALWAYS_INLINE void half_sums(int kind, const uint8_t *q, const unsigned char *a,
                             size_t a_stride, int n_cols, bool add, __m256i sum[COLS])
{
    __m256i code[4];

    UNROLL
    for (int i = 0; i < 4; i++) {
        code[i] = x86_load(q + 32 * i);
        if (kind == PANEL_SIGNED)
            code[i] = _mm256_abs_epi8(code[i]);
    }
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        __m256i x = half_dot(kind, q, code, a + (size_t)c * a_stride);
        sum[c] = add ? add_now(sum[c], x) : x;
    }
}

/* Adds sums times the scales of both, and minima times the sums of activations. */
ALWAYS_INLINE void add_scaled(int kind, const struct place *at, int half,
                              size_t a_stride, int n_cols, const __m256i sum[COLS],
                              __m256 acc[COLS])
{
    const __m256 scale = _mm256_loadu_ps(at->scale + half * R);
    const unsigned char *a_sum =
        kind == PANEL_NARROW ? at->sum16 + 4 * half : at->pair + 32;

    UNROLL
    for (int c = 0; c < n_cols; c++) {
        __m256 s = _mm256_mul_ps(scale, float_at(at->pair + (size_t)c * a_stride));

        acc[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[c]), s, acc[c]);
        if (kind != PANEL_SIGNED)
            acc[c] = _mm256_fmadd_ps(_mm256_loadu_ps(at->min + half * R),
                                     float_at(a_sum + (size_t)c * a_stride), acc[c]);
    }
}

/* 32 columns of the panel. */
ALWAYS_INLINE void tile_step(int kind, const struct place *at, size_t a_stride,
                             int n_cols, __m256 acc[COLS])
{
    __m256i sum[COLS];

    half_sums(kind, at->q, at->a, a_stride, n_cols, false, sum);
    if (kind == PANEL_NARROW)
        add_scaled(kind, at, 0, a_stride, n_cols, sum, acc);
    half_sums(kind, at->q + 128, at->a + 16, a_stride, n_cols, kind != PANEL_NARROW,
              sum);
    add_scaled(kind, at, kind == PANEL_NARROW ? 1 : 0, a_stride, n_cols, sum, acc);
}

/* A strip of n_rows <= 8 rows times n_cols rows of activations. */
ALWAYS_INLINE void tile(int kind, const struct panel *p, int strip, int n_rows,
                        const struct act *act, int first, int n_cols, float *y,
                        size_t ldy, bool add)
{
    const unsigned char *a = act->q + (size_t)first * act->q_stride;
    const size_t n_scales = kind == PANEL_NARROW ? 2 : 1; /* of 32 columns */
    struct place at = {
        .q = p->q + 8 * strip * (p->k1 - p->k0),
        .scale = p->scale + 8 * strip,
        .min = p->min + 8 * strip,
        .a = a + p->k0,
        .pair = a + act_at_pair(act->n_pad, p->k0 / 32),
        .sum16 = a + act_at_sum16(act->n_pad) + (size_t)p->k0 / 16 * sizeof(float),
    };
    __m256 acc[COLS];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c] = _mm256_setzero_ps();
    for (int k = p->k0; k < p->k1; k += 32) {
        tile_step(kind, &at, act->q_stride, n_cols, acc);
        at.q += 8 * 32;
        at.scale += n_scales * R;
        at.min += n_scales * R;
        at.a += 32;
        at.pair += sizeof(float) * (k % GROUP == GROUP - 32 ? 9 : 1);
        at.sum16 += 2 * sizeof(float);
    }
    UNROLL
    for (int c = 0; c < n_cols; c++)
        put8(y + (size_t)c * ldy, acc[c], n_rows, add);
}

AVX2_GEMM(avx2_gemm, 4)

/* ---- float ---- */

/* Values k..k+n-1 of a row to out, n <= GROUP and k a multiple of it. */
ALWAYS_INLINE void row_floats(enum tensor_type type, const unsigned char *row, int k,
                              int n, float *out)
{
    if (type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16) {
        int i = 0;
        for (; i + 8 <= n; i += 8)
            _mm256_storeu_ps(out + i, eight_floats(type, row, k + i));
        for (; i < n; i++)
            out[i] = one_float(type, row, k + i);
    } else {
        x86_row_floats(type, row, k, n, out);
    }
}

ALWAYS_INLINE void pack_f32(enum tensor_type type, const unsigned char *w,
                            size_t row_bytes, int n_rows, int k0, int k1, float *panel)
{
    float chunk[8][GROUP + 16]; /* 16: see struct x86_unpacked */

    for (int r = 0; r < R; r += 8)
        for (int k = k0; k < k1; k += GROUP) {
            int n = k1 - k < GROUP ? k1 - k : GROUP;
            float *out = panel + (size_t)(k - k0) * R + r;

            for (int i = 0; i < 8; i++) {
                if (r + i < n_rows)
                    row_floats(type, w + (size_t)(r + i) * row_bytes, k, n, chunk[i]);
                else
                    memset(chunk[i], 0, (size_t)n * sizeof(float));
            }
            transpose8((const uint32_t *)(const void *)chunk, GROUP + 16, n / 8 * 8,
                       (uint32_t *)(void *)out, R);
            for (int i = n / 8 * 8; i < n; i++)
                for (int j = 0; j < 8; j++)
                    out[(size_t)i * R + (size_t)j] = chunk[j][i];
        }
}

/* 16 rows times n_cols rows of x. */
ALWAYS_INLINE void tile_f32(const float *panel, size_t stride, int n_k, int n_rows,
                            const float *x, size_t x_stride, int n_cols, float *y,
                            size_t ldy, bool add)
{
    __m256 acc[COLS_F32][2];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c][0] = acc[c][1] = _mm256_setzero_ps();
    for (int k = 0; k < n_k; k++, panel += stride) {
        __m256 w0 = _mm256_loadu_ps(panel), w1 = _mm256_loadu_ps(panel + 8);

        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m256 a = _mm256_broadcast_ss(x + (size_t)c * x_stride + k);
            acc[c][0] = _mm256_fmadd_ps(w0, a, acc[c][0]);
            acc[c][1] = _mm256_fmadd_ps(w1, a, acc[c][1]);
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        put8(y + (size_t)c * ldy, acc[c][0], n_rows, add);
        if (n_rows > 8)
            put8(y + (size_t)c * ldy + 8, acc[c][1], n_rows - 8, add);
    }
}

void avx2_gemm_f32(const float *panel, size_t stride, int n_k, int n_rows,
                   const float *x, size_t x_stride, int n_cols, float *y, size_t ldy,
                   bool add)
{
    for (int r = 0; r < n_rows; r += 16) {
        const float *p = panel + r;
        int n = n_rows - r < 16 ? n_rows - r : 16, c = 0;

        for (; c + COLS_F32 <= n_cols; c += COLS_F32)
            tile_f32(p, stride, n_k, n, x + (size_t)c * x_stride, x_stride, COLS_F32,
                     y + (size_t)c * ldy + r, ldy, add);
        for (; c + 2 <= n_cols; c += 2)
            tile_f32(p, stride, n_k, n, x + (size_t)c * x_stride, x_stride, 2,
                     y + (size_t)c * ldy + r, ldy, add);
        if (c < n_cols)
            tile_f32(p, stride, n_k, n, x + (size_t)c * x_stride, x_stride, 1,
                     y + (size_t)c * ldy + r, ldy, add);
    }
}

/* ---- the tables ---- */

#define PACK_CODES(type) PACK(type, pack)
#define PACK_FLOATS(type) PACK_F32(type, pack_f32)

EACH_QUANTISED(PACK_CODES)
EACH_TYPE(PACK_FLOATS)

const pack_fn avx2_pack[KERNEL_TYPES] = {EACH_QUANTISED(PACK_ROW)};
const pack_f32_fn avx2_pack_f32[KERNEL_TYPES] = {EACH_TYPE(PACK_F32_ROW)};
