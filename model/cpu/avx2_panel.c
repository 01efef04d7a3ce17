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
    COLS = 4, /* rows of activations in a tile of gemm: 4 + 4 sums, of 16 registers */
    COLS_F32 = 6 /* of gemm_f32: 2 * 6 sums */
};

/* struct panel.kind */
enum panel_kind { PANEL_WIDE, PANEL_NARROW, PANEL_SIGNED };

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

/* n_k codes (a multiple of 8) of 8 rows times activations: sums as int32. */
ALWAYS_INLINE void tile_dot(bool is_signed, const uint8_t *q, const unsigned char *a,
                            size_t a_stride, int n_cols, int n_k, __m256i sum[COLS])
{
    const __m256i ones = _mm256_set1_epi16(1);

    UNROLL
    for (int c = 0; c < n_cols; c++)
        sum[c] = _mm256_setzero_si256();
    UNROLL
    for (int k = 0; k < n_k; k += 8) {
        __m256i w0 = x86_load(q + 8 * k), w1 = x86_load(q + 8 * k + 32);

        if (is_signed) {
            __m256i m0 = _mm256_abs_epi8(w0), m1 = _mm256_abs_epi8(w1);
            UNROLL
            for (int c = 0; c < n_cols; c++) {
                const unsigned char *at = a + (size_t)c * a_stride + k;
                __m256i p0 = _mm256_maddubs_epi16(m0, _mm256_sign_epi8(four(at), w0));
                __m256i p1 =
                    _mm256_maddubs_epi16(m1, _mm256_sign_epi8(four(at + 4), w1));
                p0 = _mm256_madd_epi16(p0, ones);
                p1 = _mm256_madd_epi16(p1, ones);
                sum[c] = _mm256_add_epi32(sum[c], _mm256_add_epi32(p0, p1));
            }
        } else {
            UNROLL
            for (int c = 0; c < n_cols; c++) {
                const unsigned char *at = a + (size_t)c * a_stride + k;
                __m256i p0 = _mm256_maddubs_epi16(w0, four(at));
                __m256i p1 = _mm256_maddubs_epi16(w1, four(at + 4));
                p0 = _mm256_madd_epi16(_mm256_add_epi16(p0, p1), ones);
                sum[c] = _mm256_add_epi32(sum[c], p0);
            }
        }
    }
}

ALWAYS_INLINE const float *floats_at(const unsigned char *q, size_t at)
{
    return (const float *)(const void *)(q + at);
}

/* Adds `step` columns: sums of products, scaled, and minima. i: which scale. */
ALWAYS_INLINE void tile_step(int kind, const struct panel *p, int strip, int i,
                             const unsigned char *a, size_t a_stride, int n_pad,
                             int n_cols, __m256 acc[COLS])
{
    const int step = kind == PANEL_NARROW ? 16 : 32;
    const int k = i * step;
    const uint8_t *q = p->q + 8 * (strip * (p->k1 - p->k0) + k);
    __m256 scale = _mm256_loadu_ps(p->scale + i * R + 8 * strip);
    size_t at_scale = act_at_pair(n_pad, (p->k0 + k) / 32);
    size_t at_sum =
        step == 16 ? act_at_sum16(n_pad) + sizeof(float) * (size_t)((p->k0 + k) / 16)
                   : at_scale + 8 * sizeof(float);
    __m256i sum[COLS];

    tile_dot(kind == PANEL_SIGNED, q, a + p->k0 + k, a_stride, n_cols, step, sum);
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        const unsigned char *record = a + (size_t)c * a_stride;
        __m256 s =
            _mm256_mul_ps(scale, _mm256_broadcast_ss(floats_at(record, at_scale)));
        acc[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[c]), s, acc[c]);
    }
    if (kind == PANEL_SIGNED)
        return;
    scale = _mm256_loadu_ps(p->min + i * R + 8 * strip);
    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c] = _mm256_fmadd_ps(
            scale, _mm256_broadcast_ss(floats_at(a + (size_t)c * a_stride, at_sum)),
            acc[c]);
}

/* A strip of n_rows <= 8 rows times n_cols rows of activations. */
ALWAYS_INLINE void tile(int kind, const struct panel *p, int strip, int n_rows,
                        const struct act *act, int first, int n_cols, float *y,
                        size_t ldy, bool add)
{
    const unsigned char *a = act->q + (size_t)first * act->q_stride;
    const int n_steps = (p->k1 - p->k0) / (kind == PANEL_NARROW ? 16 : 32);
    __m256 acc[COLS];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c] = _mm256_setzero_ps();
    for (int i = 0; i < n_steps; i++)
        tile_step(kind, p, strip, i, a, act->q_stride, act->n_pad, n_cols, acc);
    UNROLL
    for (int c = 0; c < n_cols; c++)
        put8(y + (size_t)c * ldy, acc[c], n_rows, add);
}

ALWAYS_INLINE void gemm_kind(int kind, const struct panel *p, int n_rows,
                             const struct act *a, int n_cols, float *y, size_t ldy,
                             bool add)
{
    for (int c = 0; c < n_cols; c += COLS) {
        float *out = y + (size_t)c * ldy;

        for (int r = 0; r < n_rows; r += 8) {
            int strip = r / 8, n = n_rows - r < 8 ? n_rows - r : 8;

            switch (n_cols - c) {
            case 1:
                tile(kind, p, strip, n, a, c, 1, out + r, ldy, add);
                break;
            case 2:
                tile(kind, p, strip, n, a, c, 2, out + r, ldy, add);
                break;
            case 3:
                tile(kind, p, strip, n, a, c, 3, out + r, ldy, add);
                break;
            default:
                tile(kind, p, strip, n, a, c, COLS, out + r, ldy, add);
                break;
            }
        }
    }
}

void avx2_gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
               float *y, size_t ldy, bool add)
{
    if (p->kind == PANEL_WIDE)
        gemm_kind(PANEL_WIDE, p, n_rows, a, n_cols, y, ldy, add);
    else if (p->kind == PANEL_NARROW)
        gemm_kind(PANEL_NARROW, p, n_rows, a, n_cols, y, ldy, add);
    else
        gemm_kind(PANEL_SIGNED, p, n_rows, a, n_cols, y, ldy, add);
}

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
