/* SPDX-License-Identifier: MIT
 *
 * AVX-512 with VNNI: products with many rows of activations.
 *
 * vpdpbusd multiplies four unsigned codes by four signed activations and adds them to
 * 32 bits, nothing saturates. Codes of types without minima are stored in panels with
 * an offset of 128, whatever their own; sums begin with -128 * sum of the activations,
 * which quantize has prepared.
 *
 * A panel is q[k/4][R][4], scale[block][R], min[block][R] with R = 32: two registers.
 * A tile of gemm is the panel times COLS rows of activations.
 */
#include "config.h"

#include "model/cpu/avx512_wide.h"

enum {
    R = AVX512_PANEL_ROWS,
    COLS =
        6, /* rows of activations in a tile: 2 * 6 sums in int32 and as many floats */
    COLS_FLOAT = 12, /* of gemm_f32: 2 * 12 sums */
};

/* ---- codes ---- */

/* 16 bytes each of two blocks, to codes: low and high nibbles of one, then of the
 * other. */
ALWAYS_INLINE __m512i nibbles64(const unsigned char *first, const unsigned char *second)
{
    const __m512i shift = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
    __m512i x = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)first));

    x = _mm512_mask_broadcast_i32x4(x, 0xff00, _mm_loadu_si128((const void *)second));
    return _mm512_and_si512(_mm512_srlv_epi64(x, shift), _mm512_set1_epi8(15));
}

/* As nibbles64 of blocks 2j and 2j + 1, whose codes begin at offset `at`. */
ALWAYS_INLINE __m512i nibbles_of(enum tensor_type type, const unsigned char *group,
                                 int j, int at)
{
    const unsigned char *block = group + (size_t)(2 * j) * x86_block_bytes(type) + at;

    return nibbles64(block, block + x86_block_bytes(type));
}

/* Codes of Q5_0 and Q5_1: a fifth bit from 32 bits at offset `at`. */
ALWAYS_INLINE __m512i fives_of(enum tensor_type type, const unsigned char *group, int j,
                               int at)
{
    const unsigned char *block = group + (size_t)(2 * j) * x86_block_bytes(type) + at;
    __m512i x = nibbles_of(type, group, j, at + 4);
    uint32_t low, high;
    __mmask64 mask;

    memcpy(&low, block, sizeof(low));
    memcpy(&high, block + x86_block_bytes(type), sizeof(high));
    mask = (__mmask64)high << 32 | low;
    return _mm512_mask_add_epi8(x, mask, x, _mm512_set1_epi8(16));
}

ALWAYS_INLINE __m512i iq4_values(__m512i nibbles)
{
    __m128i table = _mm_loadu_si128((const void *)block_iq4_values);

    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles);
}

/* Bit `bit` of each of 32 bytes, then bit + 1. */
ALWAYS_INLINE __mmask64 two_bits(const void *at, int bit)
{
    const __m512i mask = _mm512_inserti64x4(_mm512_set1_epi8((char)(1 << bit)),
                                            _mm256_set1_epi8((char)(2 << bit)), 1);

    return _mm512_test_epi8_mask(twice32(at), mask);
}

/* 32 bytes, shifted right by `shift` and by shift + step, of which `mask` stays. */
ALWAYS_INLINE __m512i shifted64(const void *at, int shift, int step, int mask)
{
    const __m512i by = _mm512_setr_epi64(shift, shift, shift, shift, shift + step,
                                         shift + step, shift + step, shift + step);

    return _mm512_and_si512(_mm512_srlv_epi64(twice32(at), by),
                            _mm512_set1_epi8((char)mask));
}

ALWAYS_INLINE __m512i codes_q6_k(const struct block_q6_k *b, int j)
{
    const __m512i left = _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2);
    const __m512i right = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);
    __m512i low = _mm512_loadu_si512(b->ql + 64 * (j / 2));
    __m512i high = twice32(b->qh + 32 * (j / 2));

    low = j % 2 ? _mm512_srli_epi16(low, 4) : low;
    high = j % 2 ? _mm512_srlv_epi64(high, right) : _mm512_sllv_epi64(high, left);
    return _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi8(15)),
                           _mm512_and_si512(high, _mm512_set1_epi8(0x30)));
}

/* Codes of elements 64j .. 64j + 63 of a group. Of signed types: code + 128. */
ALWAYS_INLINE __m512i codes64(enum tensor_type type, const unsigned char *group, int j)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    const void *k = group;
    __m512i x;

    switch (type) {
    case TYPE_Q4_0:
        return nibbles_of(type, group, j, 2);
    case TYPE_Q4_1:
        return nibbles_of(type, group, j, 4);
    case TYPE_Q5_0:
        return fives_of(type, group, j, 2);
    case TYPE_Q5_1:
        return fives_of(type, group, j, 4);
    case TYPE_Q8_0:
        x = _mm512_castsi256_si512(x86_codes(type, group, 2 * j));
        x = _mm512_inserti64x4(x, x86_codes(type, group, 2 * j + 1), 1);
        return _mm512_xor_si512(x, flip);
    case TYPE_IQ4_NL:
        return _mm512_xor_si512(iq4_values(nibbles_of(type, group, j, 2)), flip);
    case TYPE_IQ4_XS:
        x = nibbles64(((const struct block_iq4_xs *)k)->qs + 32 * j,
                      ((const struct block_iq4_xs *)k)->qs + 32 * j + 16);
        return _mm512_xor_si512(iq4_values(x), flip);
    case TYPE_Q2_K:
        return shifted64(((const struct block_q2_k *)k)->qs + 32 * (j / 2), 4 * (j % 2),
                         2, 3);
    case TYPE_Q3_K:
        x = shifted64(((const struct block_q3_k *)k)->qs + 32 * (j / 2), 4 * (j % 2), 2,
                      3);
        return _mm512_mask_add_epi8(
            x, two_bits(((const struct block_q3_k *)k)->hmask, 2 * j), x,
            _mm512_set1_epi8(4));
    case TYPE_Q4_K:
        return shifted64(((const struct block_q4_k *)k)->qs + 32 * j, 0, 4, 15);
    case TYPE_Q5_K:
        x = shifted64(((const struct block_q5_k *)k)->qs + 32 * j, 0, 4, 15);
        return _mm512_mask_add_epi8(x,
                                    two_bits(((const struct block_q5_k *)k)->qh, 2 * j),
                                    x, _mm512_set1_epi8(16));
    default:
        return codes_q6_k(k, j);
    }
}

/* ---- scales ---- */

/* 16-bit words w0.. of `a` and w4.. of `b`: the first words of four blocks each. */
ALWAYS_INLINE __m128i eight_words(const unsigned char *a, const unsigned char *b,
                                  int step)
{
    const __m128i pick = _mm_setr_epi16(0, (short)step, (short)(2 * step),
                                        (short)(3 * step), 32, (short)(32 + step),
                                        (short)(32 + 2 * step), (short)(32 + 3 * step));

    return _mm512_castsi512_si128(_mm512_permutex2var_epi16(
        _mm512_loadu_si512(a), _mm512_castsi128_si512(pick), _mm512_loadu_si512(b)));
}

/* d of 8 blocks. Where 64 bytes hold the beginnings of four, two loads do. */
ALWAYS_INLINE __m256 eight_f16(enum tensor_type type, const unsigned char *group)
{
    if (type == TYPE_Q4_0 || type == TYPE_IQ4_NL)
        return _mm256_cvtph_ps(eight_words(group, group + 72, 9));
    return x86_eight_f16(group, x86_block_bytes(type));
}

/* Scales of a wide type's group in the low half, minima in the high one: as
 * x86_scales32, but that the codes of signed types have an offset of 128. */
ALWAYS_INLINE __m512 scales_and_mins(enum tensor_type type, const unsigned char *group)
{
    const __m512i halves =
        _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m512i unzip =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __m256 one = _mm256_set1_ps(1);
    __m256 scale, offset;

    if (type == TYPE_Q4_K || type == TYPE_Q5_K) {
        __m128i head = _mm_loadu_si128((const void *)group);
        __m512 d =
            _mm512_permutexvar_ps(halves, _mm512_castps128_ps512(_mm_cvtph_ps(head)));
        __m512i bytes = _mm512_cvtepu8_epi32(x86_scale_bytes_q4_k(head));

        d = _mm512_mul_ps(d, join(one, _mm256_set1_ps(-1)));
        return _mm512_mul_ps(d, _mm512_cvtepi32_ps(bytes));
    }
    if (type == TYPE_Q4_1) { /* blocks of 5 words, of which the first is d and m */
        const __m512i pick =
            _mm512_setr_epi32(0, 5, 10, 15, 16, 21, 26, 31, 0, 0, 0, 0, 0, 0, 0, 0);
        __m512i pairs = _mm512_permutex2var_epi32(_mm512_loadu_si512(group), pick,
                                                  _mm512_loadu_si512(group + 80));
        return _mm512_permutexvar_ps(unzip,
                                     _mm512_cvtph_ps(_mm512_castsi512_si256(pairs)));
    }
    if (x86_has_min(type)) {
        struct x86_scales32 s = x86_scale_pairs(group, x86_block_bytes(type));
        return join(s.scale, s.min);
    }
    scale = type == TYPE_IQ4_XS ? x86_scales_iq4_xs((const void *)group)
                                : eight_f16(type, group);
    offset = _mm256_set1_ps(x86_is_signed(type) ? -128 : (float)-x86_offset(type));
    return _mm512_mul_ps(_mm512_broadcast_f32x8(scale), join(one, offset));
}

/* ---- panels ---- */

/* 16 rows of 16 words each, in_stride words apart, to 16 columns of out [16][R]. */
ALWAYS_INLINE void transpose16(const void *in, size_t in_stride, void *out)
{
    const uint32_t *from = in;
    uint32_t *to = out;
    __m512i r[16];

    UNROLL
    for (int j = 0; j < 16; j++)
        r[j] = _mm512_loadu_si512(from + (size_t)j * in_stride);
    transpose_square(r);
    UNROLL
    for (int j = 0; j < 16; j++)
        _mm512_storeu_si512(to + j * R, r[j]);
}

/* A group of one row. Codes of types without minima with an offset of 128. */
ALWAYS_INLINE void unpack(enum tensor_type type, const unsigned char *group,
                          struct x86_unpacked *out)
{
    const int offset =
        x86_has_min(type) || x86_is_signed(type) ? 0 : 128 - x86_offset(type);

    UNROLL
    for (int j = 0; j < 4; j++)
        _mm512_store_si512(
            out->q + 64 * j,
            _mm512_add_epi8(codes64(type, group, j), _mm512_set1_epi8((char)offset)));
    if (x86_is_narrow(type)) {
        struct x86_scales16 s = x86_scales16(type, group);
        __m512 scale = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(s.scale));

        _mm512_storeu_ps(out->scale, _mm512_mul_ps(scale, _mm512_set1_ps(s.factor)));
        _mm512_storeu_ps(out->min, join(s.min[0], s.min[1]));
    } else {
        _mm512_storeu_ps(out->scale, scales_and_mins(type, group));
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

/* 16 rows of a group, into columns of the panel: q [64][R][4], scale and min [8 or
 * 16][R]. What lies behind the end of a row comes along; there is room for it. */
ALWAYS_INLINE void pack_group(enum tensor_type type, const struct x86_unpacked *rows,
                              uint8_t *q, float *scale, float *min)
{
    const size_t stride = sizeof(*rows) / sizeof(uint32_t);
    float both[16][R];

    for (int k = 0; k < GROUP; k += 64)
        transpose16(rows->q + k, stride, q + k * R);
    if (x86_is_narrow(type)) {
        transpose16(rows->scale, stride, scale);
        if (x86_has_min(type))
            transpose16(rows->min, stride, min);
        return;
    }
    transpose16(rows->scale, stride, both);
    UNROLL
    for (int i = 0; i < 8; i++) {
        _mm512_storeu_ps(scale + i * R, _mm512_loadu_ps(both[i]));
        _mm512_storeu_ps(min + i * R, _mm512_loadu_ps(both[8 + i]));
    }
}

ALWAYS_INLINE void pack(enum tensor_type type, const unsigned char *w, size_t row_bytes,
                        int n_rows, struct panel *p)
{
    const int n_scales = x86_is_narrow(type) ? 16 : 8; /* of a group */
    struct x86_unpacked rows[16];

    p->kind =
        (x86_is_narrow(type) ? PANEL_NARROW : 0) | (x86_has_min(type) ? PANEL_MIN : 0);
    for (int r = 0; r < R; r += 16) {
        int n = n_rows - r < 0 ? 0 : n_rows - r < 16 ? n_rows - r : 16;
        const unsigned char *first = w + (size_t)r * row_bytes;

        memset(rows + n, 0, (size_t)(16 - n) * sizeof(rows[0]));
        for (int k = p->k0, g = 0; k < p->k1; k += GROUP, g++) {
            unpack_rows(type, first, row_bytes, n, k, p->k1, rows);
            pack_group(type, rows, p->q + (size_t)(g * GROUP * R + 4 * r),
                       p->scale + g * n_scales * R + r, p->min + g * n_scales * R + r);
        }
    }
}

/* Where in a record the values of one step lie, in bytes. */
struct step_at {
    size_t q, scale, sum, bias;
};

/* Adds `step` columns to the sums of a tile. */
ALWAYS_INLINE void tile_step(int kind, const uint8_t *q, const float *scale,
                             const float *min, const unsigned char *a, size_t a_stride,
                             struct step_at at, int n_cols, __m512 acc[COLS][2])
{
    const int step = kind & PANEL_NARROW ? 16 : 32;
    __m512i sum[COLS][2];
    __m512 s0 = _mm512_loadu_ps(scale), s1 = _mm512_loadu_ps(scale + 16);

    UNROLL
    for (int c = 0; c < n_cols; c++) {
        const unsigned char *record = a + (size_t)c * a_stride;
        sum[c][0] =
            kind & PANEL_MIN ? _mm512_setzero_si512() : word_at(record + at.bias);
        sum[c][1] = sum[c][0];
    }
    UNROLL
    for (int k = 0; k < step; k += 4) {
        __m512i w0 = _mm512_loadu_si512(q + k * R);
        __m512i w1 = _mm512_loadu_si512(q + k * R + 64);
        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512i x = word_at(a + (size_t)c * a_stride + at.q + (size_t)k);
            sum[c][0] = _mm512_dpbusd_epi32(sum[c][0], w0, x);
            sum[c][1] = _mm512_dpbusd_epi32(sum[c][1], w1, x);
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        __m512 x = float_at(a + (size_t)c * a_stride + at.scale);
        acc[c][0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c][0]), _mm512_mul_ps(s0, x),
                                    acc[c][0]);
        acc[c][1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c][1]), _mm512_mul_ps(s1, x),
                                    acc[c][1]);
    }
    if (!(kind & PANEL_MIN))
        return;
    s0 = _mm512_loadu_ps(min);
    s1 = _mm512_loadu_ps(min + 16);
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        __m512 x = float_at(a + (size_t)c * a_stride + at.sum);
        acc[c][0] = _mm512_fmadd_ps(s0, x, acc[c][0]);
        acc[c][1] = _mm512_fmadd_ps(s1, x, acc[c][1]);
    }
}

/* The panel times n_cols rows of activations. */
ALWAYS_INLINE void tile(int kind, const struct panel *p, int n_rows,
                        const struct act *act, int first, int n_cols, float *y,
                        size_t ldy, bool add)
{
    const unsigned char *a = act->q + (size_t)first * act->q_stride;
    const int step = kind & PANEL_NARROW ? 16 : 32, n_pad = act->n_pad;
    const int n_steps = (p->k1 - p->k0) / step;
    const bool narrow = kind & PANEL_NARROW;
    __m512 acc[COLS][2];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c][0] = acc[c][1] = _mm512_setzero_ps();
    for (int i = 0; i < n_steps; i++) {
        size_t k = (size_t)(p->k0 + i * step), at = (size_t)(i * R);
        size_t pair = act_at_pair(n_pad, (int)(k / 32));
        struct step_at where = {
            k,
            pair,
            narrow ? act_at_sum16(n_pad) + 4 * (k / 16) : pair + 32,
            (narrow ? act_at_bias16(n_pad) : act_at_bias32(n_pad)) +
                4 * (k / (size_t)step),
        };
        tile_step(kind, p->q + (size_t)step * at, p->scale + at, p->min + at, a,
                  act->q_stride, where, n_cols, acc);
    }
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        put16(y + (size_t)c * ldy, acc[c][0], n_rows, add);
        if (n_rows > 16)
            put16(y + (size_t)c * ldy + 16, acc[c][1], n_rows - 16, add);
    }
}

ALWAYS_INLINE void gemm_kind(int kind, const struct panel *p, int n_rows,
                             const struct act *a, int n_cols, float *y, size_t ldy,
                             bool add)
{
#define TILE(c, n) tile(kind, p, n_rows, a, c, n, y + (size_t)(c)*ldy, ldy, add)
    WIDE_TILES(n_cols, COLS, TILE, WIDE_CASES_6)
#undef TILE
}

void avx512_gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
                 float *y, size_t ldy, bool add)
{
    switch (p->kind) {
    case 0:
        gemm_kind(0, p, n_rows, a, n_cols, y, ldy, add);
        break;
    case PANEL_NARROW:
        gemm_kind(PANEL_NARROW, p, n_rows, a, n_cols, y, ldy, add);
        break;
    case PANEL_MIN:
        gemm_kind(PANEL_MIN, p, n_rows, a, n_cols, y, ldy, add);
        break;
    default:
        gemm_kind(PANEL_NARROW | PANEL_MIN, p, n_rows, a, n_cols, y, ldy, add);
        break;
    }
}

/* ---- float ---- */

/* Float types: 16 rows at a time, transposed in registers. */
ALWAYS_INLINE void pack_f32_float(enum tensor_type type, const unsigned char *w,
                                  size_t row_bytes, int n_rows, int k0, int k1,
                                  float *panel)
{
    for (int r = 0; r < R; r += 16)
        for (int k = k0; k < k1; k += 16) {
            int n_out = k1 - k < 16 ? k1 - k : 16;
            float *out = panel + (size_t)(k - k0) * R + r;
            __m512i v[16];

            UNROLL
            for (int i = 0; i < 16; i++)
                v[i] = r + i < n_rows
                           ? _mm512_castps_si512(
                                 floats16(type, w + (size_t)(r + i) * row_bytes, k, k1))
                           : _mm512_setzero_si512();
            transpose_square(v);
            UNROLL
            for (int i = 0; i < 16; i++)
                if (i < n_out)
                    _mm512_storeu_si512(out + (size_t)i * R, v[i]);
        }
}

/* Other types: unpacked first, a group at a time. */
ALWAYS_INLINE void pack_f32_quantised(enum tensor_type type, const unsigned char *w,
                                      size_t row_bytes, int n_rows, int k0, int k1,
                                      float *panel)
{
    float chunk[16][GROUP + 16]; /* 16: see struct x86_unpacked */

    for (int r = 0; r < R; r += 16)
        for (int k = k0; k < k1; k += GROUP) {
            int n = k1 - k < GROUP ? k1 - k : GROUP;
            float *out = panel + (size_t)(k - k0) * R + r;

            for (int i = 0; i < 16; i++) {
                if (r + i < n_rows)
                    x86_row_floats(type, w + (size_t)(r + i) * row_bytes, k, n,
                                   chunk[i]);
                else
                    memset(chunk[i], 0, sizeof(chunk[i]));
            }
            for (int i = 0; i < n; i += 16) /* n is a multiple of 32 */
                transpose16(chunk[0] + i, GROUP + 16, out + (size_t)i * R);
        }
}

/* 32 rows times n_cols rows of x. */
ALWAYS_INLINE void tile_f32(const float *panel, size_t stride, int n_k, int n_rows,
                            const float *x, size_t x_stride, int n_cols, float *y,
                            size_t ldy, bool add)
{
    __m512 acc[COLS_FLOAT][2];

    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c][0] = acc[c][1] = _mm512_setzero_ps();
    for (int k = 0; k < n_k; k++, panel += stride) {
        __m512 w0 = _mm512_loadu_ps(panel), w1 = _mm512_loadu_ps(panel + 16);

        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512 a = _mm512_set1_ps(x[(size_t)c * x_stride + (size_t)k]);
            acc[c][0] = _mm512_fmadd_ps(w0, a, acc[c][0]);
            acc[c][1] = _mm512_fmadd_ps(w1, a, acc[c][1]);
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++) {
        put16(y + (size_t)c * ldy, acc[c][0], n_rows, add);
        if (n_rows > 16)
            put16(y + (size_t)c * ldy + 16, acc[c][1], n_rows - 16, add);
    }
}

#define TILE(c, n)                                                                     \
    tile_f32(panel, stride, n_k, n_rows, x + (size_t)(c)*x_stride, x_stride, n,        \
             y + (size_t)(c)*ldy, ldy, add)
void avx512_gemm_f32(const float *panel, size_t stride, int n_k, int n_rows,
                     const float *x, size_t x_stride, int n_cols, float *y, size_t ldy,
                     bool add)
{
    WIDE_TILES(n_cols, COLS_FLOAT, TILE, WIDE_CASES_12)
}
#undef TILE

/* ---- the tables ---- */

#define PACK_CODES(type) PACK(type, pack)
#define PACK_F32_QUANTISED(type) PACK_F32(type, pack_f32_quantised)
#define PACK_F32_FLOAT(type) PACK_F32(type, pack_f32_float)

EACH_QUANTISED(PACK_CODES)
const pack_fn avx512_pack[KERNEL_TYPES] = {EACH_QUANTISED(PACK_ROW)};

EACH_QUANTISED(PACK_F32_QUANTISED)
EACH_FLOAT(PACK_F32_FLOAT)
const pack_f32_fn avx512_pack_f32[KERNEL_TYPES] = {EACH_TYPE(PACK_F32_ROW)};
