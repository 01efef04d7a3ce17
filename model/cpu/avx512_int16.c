/* SPDX-License-Identifier: MIT
 *
 * AVX-512: panels times activations of 15 bits (struct wide_kernels). vpdpwssd adds two
 * products of 16-bit integers to 32 bits, half as many as with 8-bit ones and twice as
 * many as in float. It starts once a cycle, additions do twice: so half of the products
 * are traded for additions (S. Winograd, IEEE Trans. Computers C-17, 1968):
 *
 *     w0 x0 + w2 x2 = (w0 + x2) (w2 + x0) - w0 w2 - x0 x2
 *
 * for each four values, and the same of 1 and 3. What is taken off is known before: a
 * product begins with `cross` of the weights, in the panel, and `cross` of the
 * activations, in the record. Sums may leave 32 bits on their way: they wrap around and
 * back, and the result is exact.
 *
 * A record is int16_t q[n_pad], then for each 256 values a scale, and in its unit for
 * each 32 and for each 16 the sum of q, as float, and their cross, as integer.
 *
 * A panel is int16_t q[k/2][R][2], cross[block][R], and either scale[block][R] and
 * min[block][R] as in those of 8-bit codes, which it is widened from, or for float
 * weights, rounded to 13 bits, scale[k/256][R]. What that loses, 1/8190 of the largest
 * of 256, is about what F16 itself does to it. 32 products of 13 and 15 bits and their
 * sum fit 32 bits.
 */
#include "config.h"

#include <float.h>

#include "model/cpu/avx512_wide.h"

enum {
    R = AVX512_PANEL_ROWS,
    COLS =
        6, /* rows of activations in a tile: 2 * 6 sums in int32 and as many floats */
    WEIGHT_MAX = 4095,
    ACT_MAX = 16383,
};
_Static_assert((long long)WEIGHT_MAX *ACT_MAX * 32 <= INT32_MAX, "sums overflow");

/* ---- records ---- */

static size_t at_scale(int n_pad)
{
    return 2 * (size_t)n_pad;
}
static size_t at_sum32(int n_pad)
{
    return at_scale(n_pad) + (size_t)n_pad / 64;
}
static size_t at_cross32(int n_pad)
{
    return at_sum32(n_pad) + (size_t)n_pad / 8;
}
static size_t at_sum16(int n_pad)
{
    return at_cross32(n_pad) + (size_t)n_pad / 8;
}
static size_t at_cross16(int n_pad)
{
    return at_sum16(n_pad) + (size_t)n_pad / 4;
}

static size_t record_bytes(int n_pad)
{
    return (at_cross16(n_pad) + (size_t)n_pad / 4 + 63) / 64 * 64;
}

/* 1 / scale of values whose largest is `max`, for integers up to `most`; 0: all are. */
ALWAYS_INLINE float inverse_of(float max, float most)
{
    return max >= 1e-30f && max <= FLT_MAX ? most / max : 0;
}

/* The largest of the values i..i+255, without signs; not finite where one is not. */
ALWAYS_INLINE float largest_of(const float *x, int i, int n)
{
    __m512 most = _mm512_setzero_ps(), zero = _mm512_setzero_ps();

    UNROLL
    for (int k = 0; k < GROUP; k += 16) {
        __m512 v = floats_or_zero(x, i + k, n);

        most = _mm512_max_ps(most, _mm512_abs_ps(v));
        zero = _mm512_fmadd_ps(_mm512_sub_ps(v, v), _mm512_setzero_ps(), zero);
    }
    return _mm512_reduce_max_ps(most) + _mm512_reduce_add_ps(zero);
}

ALWAYS_INLINE __m256i rounded_words(__m512 v, __m512 inverse, __mmask16 keep)
{
    return _mm512_cvtepi32_epi16(
        _mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(v, inverse)));
}

/* The sums of the lanes of 8 registers, in halves: those of 0, 0, 1, 1, ... */
ALWAYS_INLINE __m512i sum_halves(const __m512i x[8])
{
    const __m512i order =
        _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    __m512i quarter[2]; /* [4 x i] in each 128 bits */

    UNROLL
    for (int i = 0; i < 2; i++) {
        const __m512i *v = x + 4 * i;
        __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]),
                                     _mm512_unpackhi_epi32(v[0], v[1]));
        __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]),
                                     _mm512_unpackhi_epi32(v[2], v[3]));
        quarter[i] =
            _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    }
    return _mm512_permutexvar_epi32(
        order, _mm512_add_epi32(_mm512_shuffle_i32x4(quarter[0], quarter[1], 0x88),
                                _mm512_shuffle_i32x4(quarter[0], quarter[1], 0xdd)));
}

/* 16 sums, and the sums of neighbours. */
ALWAYS_INLINE __m256i sum_pairs(__m512i x)
{
    return _mm512_cvtepi64_epi32(_mm512_add_epi32(x, _mm512_srli_epi64(x, 32)));
}

/* Where the parts of a group are written. */
struct group {
    int16_t *q;
    float *scale, *sum32, *sum16;
    int32_t *cross32, *cross16;
};

/* Values i..i+255 of n. What is not finite goes on in the scale alone. */
ALWAYS_INLINE void put_group(const float *x, int i, int n, struct group out)
{
    float max = largest_of(x, i, n);
    __m512 inverse = _mm512_set1_ps(inverse_of(max, ACT_MAX));
    __mmask16 keep = max <= FLT_MAX ? 0xffff : 0;
    __m512i sum[8], cross[8];

    *out.scale = max < 1e-30f ? 0 : max / ACT_MAX;
    UNROLL
    for (int j = 0; j < 8; j++) {
        int at = i + 32 * j;
        __m512i v = _mm512_inserti64x4(
            _mm512_castsi256_si512(
                rounded_words(floats_or_zero(x, at, n), inverse, keep)),
            rounded_words(floats_or_zero(x, at + 16, n), inverse, keep), 1);

        _mm512_storeu_si512(out.q + 32 * j, v);
        sum[j] = _mm512_madd_epi16(v, _mm512_set1_epi16(1));
        cross[j] = _mm512_maskz_madd_epi16(0x5555, v, _mm512_srli_epi64(v, 32));
    }
    sum[0] = sum_halves(sum);
    cross[0] = _mm512_sub_epi32(_mm512_setzero_si512(), sum_halves(cross));
    _mm512_storeu_ps(out.sum16, _mm512_cvtepi32_ps(sum[0]));
    _mm256_storeu_ps(out.sum32, _mm256_cvtepi32_ps(sum_pairs(sum[0])));
    _mm512_storeu_si512(out.cross16, cross[0]);
    _mm256_storeu_si256((void *)out.cross32, sum_pairs(cross[0]));
}

static void record(const float *x, int n, unsigned char *out)
{
    const int n_pad = act_padded(n);
    struct group g = {
        .q = (int16_t *)(void *)out,
        .scale = (float *)(void *)(out + at_scale(n_pad)),
        .sum32 = (float *)(void *)(out + at_sum32(n_pad)),
        .cross32 = (int32_t *)(void *)(out + at_cross32(n_pad)),
        .sum16 = (float *)(void *)(out + at_sum16(n_pad)),
        .cross16 = (int32_t *)(void *)(out + at_cross16(n_pad)),
    };

    for (int i = 0; i < n_pad; i += GROUP) {
        put_group(x, i, n, g);
        g.q += GROUP;
        g.scale++;
        g.sum32 += GROUP / 32;
        g.cross32 += GROUP / 32;
        g.sum16 += GROUP / 16;
        g.cross16 += GROUP / 16;
    }
}

/* ---- panels ---- */

/* From the values of a panel. */
static void put_cross(struct panel *p)
{
    const int step = p->kind & PANEL_NARROW ? 16 : 32;
    const unsigned char *q = p->q;
    int32_t *out = p->cross;

    for (int k = p->k0; k < p->k1; k += step, out += R) {
        __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};

        for (int i = 0; i < step; i += 4, q += 8 * R)
            for (int h = 0; h < 2; h++)
                sum[h] = _mm512_dpwssd_epi32(sum[h], _mm512_loadu_si512(q + 64 * h),
                                             _mm512_loadu_si512(q + 128 + 64 * h));
        for (int h = 0; h < 2; h++)
            _mm512_storeu_si512(out + 16 * h,
                                _mm512_sub_epi32(_mm512_setzero_si512(), sum[h]));
    }
}

/* ---- panels of float weights ---- */

/* The largest of a row's values, which lie 2 bytes each: as numbers without their sign
 * they are ordered as integers are. */
ALWAYS_INLINE float largest(enum tensor_type type, const unsigned char *row, int n)
{
    __m512i max = _mm512_setzero_si512();
    __m256i half;
    uint16_t bits;

    for (int k = 0; k < n; k += 32) {
        __m512i v = _mm512_maskz_loadu_epi16(first32(n - k), row + 2 * k);
        max = _mm512_max_epu16(max, _mm512_and_si512(v, _mm512_set1_epi16(0x7fff)));
    }
    half = _mm256_max_epu16(_mm512_castsi512_si256(max),
                            _mm512_extracti64x4_epi64(max, 1));
    bits = (uint16_t)~_mm_extract_epi16(
        _mm_minpos_epu16(_mm_xor_si128(_mm_max_epu16(_mm256_castsi256_si128(half),
                                                     _mm256_extracti128_si256(half, 1)),
                                       _mm_set1_epi16(-1))),
        0);
    return type == TYPE_F16 ? quant_f16_to_f32(bits) : quant_bf16_to_f32(bits);
}

ALWAYS_INLINE __m512i rounded16(enum tensor_type type, __m256i v, __m512 inverse)
{
    __m512 x =
        type == TYPE_F16
            ? _mm512_cvtph_ps(v)
            : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));

    return _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
}

/* 32 values of a row, as pairs in the order of packs: word 4 l + p holds elements
 * 4 l + 2 p and the next (p < 2), or 16 + 4 l + 2 (p - 2) and the next. */
ALWAYS_INLINE __m512i rounded32(enum tensor_type type, const unsigned char *at, int n,
                                float inverse)
{
    __m512i v = _mm512_maskz_loadu_epi16(first32(n), at);
    __m512 by = _mm512_set1_ps(inverse);

    return _mm512_packs_epi32(rounded16(type, _mm512_castsi512_si256(v), by),
                              rounded16(type, _mm512_extracti64x4_epi64(v, 1), by));
}

/* Elements k..k+255 (n of them there) of 16 rows, into their columns of the panel. */
ALWAYS_INLINE void pack_group(enum tensor_type type, const unsigned char *w,
                              size_t row_bytes, int n_rows, int n, int16_t *q,
                              float *scale)
{
    float inverse[16];

    for (int r = 0; r < 16; r++) {
        float max = r < n_rows ? largest(type, w + (size_t)r * row_bytes, n) : 0;
        inverse[r] = inverse_of(max, WEIGHT_MAX);
        scale[r] = max < 1e-30f ? 0 : max / WEIGHT_MAX;
    }
    for (int k = 0; k < n; k += 32) {
        __m512i v[16];

        UNROLL
        for (int r = 0; r < 16; r++)
            v[r] = r < n_rows
                       ? rounded32(type, w + (size_t)r * row_bytes + 2 * (size_t)k,
                                   n - k, inverse[r])
                       : _mm512_setzero_si512();
        transpose_square(v);
        UNROLL
        for (int i = 0; i < 16; i++) {
            int pair = i / 4 * 2 + i % 2 + (i % 4 < 2 ? 0 : 8);
            _mm512_storeu_si512(q + k * R + pair * 2 * R, v[i]);
        }
    }
}

ALWAYS_INLINE void pack_floats(enum tensor_type type, const unsigned char *w,
                               size_t row_bytes, int n_rows, struct panel *p)
{
    int16_t *q = (int16_t *)(void *)p->q;

    p->kind = PANEL_WIDE;
    for (int r = 0; r < R; r += 16)
        for (int k = p->k0, g = 0; k < p->k1; k += GROUP, g++)
            pack_group(type, w + (size_t)r * row_bytes + 2 * (size_t)k, row_bytes,
                       n_rows - r, p->k1 - k < GROUP ? p->k1 - k : GROUP,
                       q + g * GROUP * R + 2 * r, p->scale + g * R + r);
    put_cross(p);
}

/* ---- panels of quantised weights ---- */

/* 4 codes of 16 rows, of which the first or the last two become words. */
ALWAYS_INLINE __m512i words_of(__m512i codes, int first, int offset)
{
    const __m512i lane = _mm512_setr_epi32(
        0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0,
        0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    const __m512i pick = _mm512_set1_epi32((int)0x80018000 + first * 0x10001);
    __m512i words = _mm512_shuffle_epi8(codes, _mm512_or_si512(lane, pick));

    return _mm512_sub_epi16(words, _mm512_set1_epi16((short)offset));
}

/* The panels of 8 bits, widened in place from the end to the beginning. */
ALWAYS_INLINE void pack_codes(enum tensor_type type, const unsigned char *w,
                              size_t row_bytes, int n_rows, struct panel *p)
{
    int offset;

    avx512_pack[type](w, row_bytes, n_rows, p);
    offset = p->kind & PANEL_MIN ? 0 : 128;

    for (int k = p->k1 - p->k0 - 4; k >= 0; k -= 4) {
        __m512i a = _mm512_loadu_si512(p->q + k * R);
        __m512i b = _mm512_loadu_si512(p->q + k * R + 64);
        unsigned char *out = p->q + 2 * k * R;

        _mm512_storeu_si512(out, words_of(a, 0, offset));
        _mm512_storeu_si512(out + 64, words_of(b, 0, offset));
        _mm512_storeu_si512(out + 128, words_of(a, 2, offset));
        _mm512_storeu_si512(out + 192, words_of(b, 2, offset));
    }
    put_cross(p);
}

#define PACK_FLOATS(type) PACK(type, pack_floats)
#define PACK_CODES(type) PACK(type, pack_codes)
PACK_FLOATS(F16)
PACK_FLOATS(BF16)
EACH_QUANTISED(PACK_CODES)

/* ---- products ---- */

/* Rows of activations of a tile, at one group. */
struct columns {
    const unsigned char *record; /* of the first */
    size_t stride;
    size_t q, sum, cross; /* offsets in a record */
};

ALWAYS_INLINE void clear(__m512 acc[COLS][2], int n_cols)
{
    UNROLL
    for (int c = 0; c < n_cols; c++)
        acc[c][0] = acc[c][1] = _mm512_setzero_ps();
}

/* Adds `step` columns of a panel, codes under their scales. */
ALWAYS_INLINE void add_step(int kind, int step, const int16_t *q, const int32_t *cross,
                            const float *scale, const float *min,
                            const struct columns *a, int n_cols, __m512 acc[COLS][2])
{
    __m512i sum[COLS][2];

    UNROLL
    for (int c = 0; c < n_cols; c++) /* those of the next tile, or what is never read */
        _mm_prefetch(a->record + (size_t)(n_cols + c) * a->stride + a->q, _MM_HINT_T0);
    UNROLL
    for (int c = 0; c < n_cols; c++)
        for (int h = 0; h < 2; h++)
            sum[c][h] =
                _mm512_add_epi32(_mm512_loadu_si512(cross + 16 * h),
                                 word_at(a->record + (size_t)c * a->stride + a->cross));
    UNROLL
    for (int k = 0; k < step; k += 4) {
        __m512i w[4];

        UNROLL
        for (int i = 0; i < 4; i++)
            w[i] = _mm512_loadu_si512(q + k * R + 32 * i);
        UNROLL
        for (int c = 0; c < n_cols; c++) {
            const unsigned char *x = a->record + (size_t)c * a->stride + a->q + 2 * k;
            __m512i x0 = word_at(x), x2 = word_at(x + 4);

            UNROLL
            for (int h = 0; h < 2; h++)
                sum[c][h] = _mm512_dpwssd_epi32(sum[c][h], _mm512_add_epi16(w[h], x2),
                                                _mm512_add_epi16(w[2 + h], x0));
        }
    }
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512 s, m;

        if (!(kind & PANEL_WIDE))
            s = _mm512_loadu_ps(scale + 16 * h);
        if (kind & PANEL_MIN)
            m = _mm512_loadu_ps(min + 16 * h);
        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512 x = _mm512_cvtepi32_ps(sum[c][h]);
            acc[c][h] = kind & PANEL_WIDE ? _mm512_add_ps(acc[c][h], x)
                                          : _mm512_fmadd_ps(x, s, acc[c][h]);
            if (kind & PANEL_MIN)
                acc[c][h] = _mm512_fmadd_ps(
                    m, float_at(a->record + (size_t)c * a->stride + a->sum), acc[c][h]);
        }
    }
}

/* Adds the group of columns k.. of the panel, n of them there. */
ALWAYS_INLINE void add_group(int kind, const struct panel *p, const struct act *act,
                             int first, int k, int n, int n_cols, __m512 acc[COLS][2])
{
    const int step = kind & PANEL_NARROW ? 16 : 32, at = k - p->k0;
    const int n_pad = act->n_pad;

    for (int i = 0; i < n; i += step) {
        size_t block = (size_t)(k + i) / (size_t)step;
        struct columns a = {
            act->q + (size_t)first * act->q_stride,
            act->q_stride,
            2 * (size_t)(k + i),
            (step == 16 ? at_sum16(n_pad) : at_sum32(n_pad)) + 4 * block,
            (step == 16 ? at_cross16(n_pad) : at_cross32(n_pad)) + 4 * block,
        };

        add_step(kind, step, (const int16_t *)(const void *)p->q + (at + i) * R,
                 p->cross + (at + i) / step * R, p->scale + (at + i) / step * R,
                 p->min + (at + i) / step * R, &a, n_cols, acc);
    }
}

/* The panel times n_cols rows of activations. */
ALWAYS_INLINE void tile(int kind, const struct panel *p, int n_rows,
                        const struct act *act, int first, int n_cols, float *y,
                        size_t ldy, bool add)
{
    __m512 total[COLS][2], acc[COLS][2];

    clear(total, n_cols);
    for (int k = p->k0; k < p->k1; k += GROUP) {
        const float *scale = p->scale + (k - p->k0) / GROUP * R;

        clear(acc, n_cols);
        add_group(kind, p, act, first, k, p->k1 - k < GROUP ? p->k1 - k : GROUP, n_cols,
                  acc);
        UNROLL
        for (int c = 0; c < n_cols; c++) {
            __m512 s = float_at(act->q + (size_t)(first + c) * act->q_stride +
                                at_scale(act->n_pad) + 4 * (size_t)(k / GROUP));
            for (int h = 0; h < 2; h++) {
                __m512 by = kind & PANEL_WIDE
                                ? _mm512_mul_ps(s, _mm512_loadu_ps(scale + 16 * h))
                                : s;
                total[c][h] = _mm512_fmadd_ps(acc[c][h], by, total[c][h]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < n_cols; c++)
        put32(y + (size_t)c * ldy, total[c], n_rows, add);
}

ALWAYS_INLINE void gemm_kind(int kind, const struct panel *p, int n_rows,
                             const struct act *a, int n_cols, float *y, size_t ldy,
                             bool add)
{
#define TILE(c, n) tile(kind, p, n_rows, a, c, n, y + (size_t)(c)*ldy, ldy, add)
    WIDE_TILES(n_cols, COLS, TILE, WIDE_CASES_6)
#undef TILE
}

static void gemm(const struct panel *p, int n_rows, const struct act *a, int n_cols,
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
    case PANEL_NARROW | PANEL_MIN:
        gemm_kind(PANEL_NARROW | PANEL_MIN, p, n_rows, a, n_cols, y, ldy, add);
        break;
    default:
        gemm_kind(PANEL_WIDE, p, n_rows, a, n_cols, y, ldy, add);
        break;
    }
}

const struct wide_kernels wide_avx512_int16 = {
    .record_bytes = record_bytes,
    .record = record,
    .pack = {PACK_ROW(F16) PACK_ROW(BF16) EACH_QUANTISED(PACK_ROW)},
    .gemm = gemm,
};
