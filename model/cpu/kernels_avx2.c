/* SPDX-License-Identifier: MIT
 *
 * Kernels for AVX2 with FMA and F16C. Unpacking of blocks is in kernels_x86.h.
 * Longer than 800 lines: one table of inlined inner loops.
 *
 * Integer products: vpmaddubsw multiplies unsigned codes by signed activations and adds
 * pairs into 16 bits. Codes below 64 leave room for two such pairs (2 * 2 * 63 * 127 <
 * 2^15). Signed codes go through |code| and activation * sign(code), one pair at most
 * (2 * 128 * 127 < 2^15).
 *
 * A panel is R rows as R/8 strips of 8: q[strip][k/4][8][4], scale[block][R],
 * min[block][R]. A tile of gemm is a strip times COLS rows of activations.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "model/cpu/kernels_x86.h"

enum {
    R = 32,   /* panel_rows */
    COLS = 4, /* rows of activations in a tile of gemm: 4 + 4 sums, of 16 registers */
    COLS_F32 = 6 /* of gemm_f32: 2 * 6 sums */
};

/* struct panel.kind */
enum panel_kind { PANEL_WIDE, PANEL_NARROW, PANEL_SIGNED };

ALWAYS_INLINE float sum8(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* ---- one row of activations ---- */

/* Sums of 4 products each: 8 x int32. weight: what pairs of them are multiplied with
 * (ones, or the integer scales of narrow types). */
ALWAYS_INLINE __m256i dot32(enum tensor_type type, __m256i codes, __m256i a,
                            __m256i weight)
{
    __m256i pairs = x86_is_signed(type)
                        ? _mm256_maddubs_epi16(_mm256_sign_epi8(codes, codes),
                                               _mm256_sign_epi8(a, codes))
                        : _mm256_maddubs_epi16(codes, a);

    return _mm256_madd_epi16(pairs, weight);
}

/* Integer scales 2j and 2j + 1, 8 times each. */
ALWAYS_INLINE __m256i scale_pair(__m256i scales, int j)
{
    __m256i half = j < 4 ? _mm256_permute2x128_si256(scales, scales, 0x00)
                         : _mm256_permute2x128_si256(scales, scales, 0x11);
    int at = 4 * (j % 4); /* byte of scale 2j within its half */
    __m256i pick = _mm256_set_m128i(_mm_set1_epi16((short)((at + 3) << 8 | (at + 2))),
                                    _mm_set1_epi16((short)((at + 1) << 8 | at)));

    return _mm256_shuffle_epi8(half, pick);
}

/* One group's part of a row: n_blocks blocks of 32, sums by lane in sum[2]. */
ALWAYS_INLINE void add_group(enum tensor_type type, const unsigned char *group,
                             int n_blocks, const unsigned char *q, const float *pair,
                             const float *sum16, __m256 sum[2])
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i integer = ones;
    float scale[8];
    __m256 s = _mm256_loadu_ps(pair);

    if (x86_is_narrow(type)) {
        struct x86_scales16 w = x86_scales16(type, group);
        integer = w.scale;
        s = _mm256_mul_ps(s, _mm256_set1_ps(w.factor));
        sum[0] = _mm256_fmadd_ps(w.min[0], _mm256_loadu_ps(sum16), sum[0]);
        sum[1] = _mm256_fmadd_ps(w.min[1], _mm256_loadu_ps(sum16 + 8), sum[1]);
    } else {
        struct x86_scales32 w = x86_scales32(type, group);
        s = _mm256_mul_ps(s, w.scale);
        if (!x86_is_signed(type))
            sum[0] = _mm256_fmadd_ps(w.min, _mm256_loadu_ps(pair + 8), sum[0]);
    }
    _mm256_storeu_ps(scale, s);
    UNROLL
    for (int j = 0; j < 8; j++) {
        __m256i d;
        if (j >= n_blocks)
            continue;
        d = dot32(type, x86_codes(type, group, j), x86_load(q + 32 * j),
                  x86_is_narrow(type) ? scale_pair(integer, j) : ones);
        sum[j % 2] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d), _mm256_set1_ps(scale[j]),
                                     sum[j % 2]);
    }
}

ALWAYS_INLINE void matvec(enum tensor_type type, const unsigned char *w,
                          size_t row_bytes, int n_rows, const struct act *a, float *y)
{
    const float *pair = (const float *)(const void *)(a->q + act_at_pair(a->n_pad, 0));
    const float *sum16 = (const float *)(const void *)(a->q + act_at_sum16(a->n_pad));
    unsigned char copy[8 * sizeof(struct block_q8_0)];
    int n_whole = a->n_in / GROUP, n_left = a->n_in % GROUP;

    for (int r = 0; r < n_rows; r++) {
        const unsigned char *row = w + (size_t)r * row_bytes;
        __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};

        for (int g = 0; g < n_whole; g++, row += x86_group_bytes(type)) {
            x86_prefetch(type, row);
            add_group(type, row, 8, a->q + GROUP * g, pair + 16 * g, sum16 + 16 * g,
                      sum);
        }
        if (n_left > 0)
            add_group(type, x86_group(type, row, n_left, copy), n_left / 32,
                      a->q + GROUP * n_whole, pair + 16 * n_whole, sum16 + 16 * n_whole,
                      sum);
        y[r] = sum8(_mm256_add_ps(sum[0], sum[1]));
    }
}

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

static void gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
                 float *y, size_t ldy, bool add)
{
    if (p->kind == PANEL_WIDE)
        gemm_kind(PANEL_WIDE, p, n_rows, a, n_cols, y, ldy, add);
    else if (p->kind == PANEL_NARROW)
        gemm_kind(PANEL_NARROW, p, n_rows, a, n_cols, y, ldy, add);
    else
        gemm_kind(PANEL_SIGNED, p, n_rows, a, n_cols, y, ldy, add);
}

/* ---- float weights ---- */

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

ALWAYS_INLINE float dot_row(enum tensor_type type, const unsigned char *row,
                            const float *x, int n)
{
    __m256 sum[4];
    float total;
    int i = 0;

    UNROLL
    for (int j = 0; j < 4; j++)
        sum[j] = _mm256_setzero_ps();
    for (; i + 32 <= n; i += 32) {
        _mm_prefetch((const char *)row + (type == TYPE_F32 ? 4 : 2) * (size_t)i + 512,
                     _MM_HINT_T0);
        UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = _mm256_fmadd_ps(eight_floats(type, row, i + 8 * j),
                                     _mm256_loadu_ps(x + i + 8 * j), sum[j]);
    }
    for (; i + 8 <= n; i += 8)
        sum[0] =
            _mm256_fmadd_ps(eight_floats(type, row, i), _mm256_loadu_ps(x + i), sum[0]);
    total = sum8(
        _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
    for (; i < n; i++)
        total += one_float(type, row, i) * x[i];
    return total;
}

ALWAYS_INLINE void matvec_float(enum tensor_type type, const unsigned char *w,
                                size_t row_bytes, int n_rows, const struct act *a,
                                float *y)
{
    for (int r = 0; r < n_rows; r++)
        y[r] = dot_row(type, w + (size_t)r * row_bytes, a->x, a->n_in);
}

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

static void gemm_f32(const float *panel, size_t stride, int n_k, int n_rows,
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
    __m128 m;

    UNROLL
    for (int j = 0; j < 4; j++) {
        max = _mm256_max_ps(max, _mm256_and_ps(v[j], mask));
        zero = _mm256_fmadd_ps(v[j], _mm256_setzero_ps(), zero);
    }
    m = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps(max, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m))) + sum8(zero);
}

static void quantize(const float *x, int n, unsigned char *record)
{
    const int n_pad = act_padded(n);
    float *sum16 = (float *)(void *)(record + act_at_sum16(n_pad));
    int32_t *bias32 = (int32_t *)(void *)(record + act_at_bias32(n_pad));
    int32_t *bias16 = (int32_t *)(void *)(record + act_at_bias16(n_pad));

    for (int i = 0, b = 0; i < n_pad; i += 32, b++) {
        __m256 v[4];
        __m256i q[4];
        __m256i keep;
        float *pair = (float *)(void *)(record + act_at_pair(n_pad, b));
        float max;
        int first, second;

        load32(x + i, n - i < 0 ? 0 : n - i, v);
        max = magnitude(v);
        pair[0] = max < 1e-30f ? 0 : max / 127.0f;
        /* of damaged rows the scale alone is not finite: the integers stay in range */
        keep = _mm256_set1_epi32(max <= FLT_MAX ? -1 : 0);
        UNROLL
        for (int j = 0; j < 4; j++) {
            q[j] = _mm256_cvtps_epi32(
                _mm256_mul_ps(v[j], _mm256_set1_ps(max < 1e-30f ? 0 : 127.0f / max)));
            q[j] = _mm256_and_si256(q[j], keep);
        }
        _mm256_storeu_si256((__m256i *)(void *)(record + i), bytes_of(q));
        first = sum_int(_mm256_add_epi32(q[0], q[1]));
        second = sum_int(_mm256_add_epi32(q[2], q[3]));
        sum16[2 * b] = pair[0] * (float)first;
        sum16[2 * b + 1] = pair[0] * (float)second;
        pair[8] = pair[0] * (float)(first + second);
        bias16[2 * b] = -128 * first;
        bias16[2 * b + 1] = -128 * second;
        bias32[b] = -128 * (first + second);
    }
}

/* ---- element by element ---- */

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

/* ---- the table ---- */

#define QUANTISED(type)                                                                \
    static void matvec_##type(const unsigned char *w, size_t row_bytes, int n_rows,    \
                              const struct act *a, float *y)                           \
    {                                                                                  \
        matvec(TYPE_##type, w, row_bytes, n_rows, a, y);                               \
    }                                                                                  \
    static void pack_##type(const unsigned char *w, size_t row_bytes, int n_rows,      \
                            struct panel *p)                                           \
    {                                                                                  \
        pack(TYPE_##type, w, row_bytes, n_rows, p);                                    \
    }
#define FLOAT(type)                                                                    \
    static void matvec_##type(const unsigned char *w, size_t row_bytes, int n_rows,    \
                              const struct act *a, float *y)                           \
    {                                                                                  \
        matvec_float(TYPE_##type, w, row_bytes, n_rows, a, y);                         \
    }
#define PACK_F32(type)                                                                 \
    static void pack_f32_##type(const unsigned char *w, size_t row_bytes, int n_rows,  \
                                int k0, int k1, float *panel)                          \
    {                                                                                  \
        pack_f32(TYPE_##type, w, row_bytes, n_rows, k0, k1, panel);                    \
    }
#define EACH_FLOAT(X) X(F32) X(F16) X(BF16)
#define MATVEC_ROW(type) [TYPE_##type] = matvec_##type,
#define PACK_ROW(type) [TYPE_##type] = pack_##type,
#define PACK_F32_ROW(type) [TYPE_##type] = pack_f32_##type,

X86_EACH_TYPE(QUANTISED)
EACH_FLOAT(FLOAT)
X86_EACH_TYPE(PACK_F32)
EACH_FLOAT(PACK_F32)

const struct cpu_kernels cpu_kernels_avx2 = {
    .name = "avx2",
    .features = "avx2+fma+f16c",
    .panel_rows = R,
    .matvec = {X86_EACH_TYPE(MATVEC_ROW) EACH_FLOAT(MATVEC_ROW)},
    .pack = {X86_EACH_TYPE(PACK_ROW)},
    .pack_f32 = {X86_EACH_TYPE(PACK_F32_ROW) EACH_FLOAT(PACK_F32_ROW)},
    .gemm = gemm,
    .gemm_f32 = gemm_f32,
    .quantize = quantize,
    .rms_norm = rms_norm,
    .swiglu = swiglu,
    .exp_sum = exp_sum,
    .max = max_of,
    .axpy = axpy,
    .scale = scale_by,
    .f16_to_f32 = f16_to_f32,
    .f32_to_f16 = f32_to_f16,
};
