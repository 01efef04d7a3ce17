/* SPDX-License-Identifier: MIT
 *
 * Unpacking of quantised blocks with AVX2, shared by kernels_avx2.c and
 * kernels_avx512.c (which compile it with their own flags).
 *
 * All types are seen in groups of 256 elements: one block of a K-quant, or 8 blocks of
 * a 32-wide type (x86_group_*). An element is scale * code + min, with codes as
 * x86_codes gives them, 32 at a time in the order of the elements, and
 *
 *   wide types    one scale (and min) for 32 elements: x86_scales32
 *   narrow types  one integer scale for 16 elements, times one factor: x86_scales16
 *
 * Codes are unsigned and below 64, but those of signed types (x86_is_signed), whose min
 * is 0. The enum argument is a constant wherever these are called: each caller is
 * compiled once a type.
 */
#ifndef HADAL_MODEL_CPU_KERNELS_X86_H
#define HADAL_MODEL_CPU_KERNELS_X86_H

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "model/blocks.h"
#include "model/cpu/kernels.h"
#include "model/quant.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum { GROUP = 256 }; /* elements of a group */

/* ---- latent rows ---- */

/* Where the row is that comes `ahead` rows after the p-th. */
ALWAYS_INLINE const int16_t *x86_rows_ahead(const struct latent_tile *t, int p,
                                            int ahead)
{
    return p + ahead < t->n_rows
               ? t->row + (size_t)(p + ahead) * t->stride
               : t->next + (size_t)(p + ahead - t->n_rows) * t->stride;
}

/* ---- facts about types ---- */

ALWAYS_INLINE bool x86_is_signed(enum tensor_type type)
{
    return type == TYPE_Q8_0 || type == TYPE_IQ4_NL || type == TYPE_IQ4_XS;
}

ALWAYS_INLINE bool x86_is_narrow(enum tensor_type type)
{
    return type == TYPE_Q2_K || type == TYPE_Q3_K || type == TYPE_Q6_K;
}

/* What is taken off a code, where the type has no minima of its own. */
ALWAYS_INLINE int x86_offset(enum tensor_type type)
{
    switch (type) {
    case TYPE_Q3_K:
        return 4;
    case TYPE_Q4_0:
        return 8;
    case TYPE_Q5_0:
        return 16;
    case TYPE_Q6_K:
        return 32;
    default:
        return 0;
    }
}

ALWAYS_INLINE bool x86_has_min(enum tensor_type type)
{
    return type == TYPE_Q4_1 || type == TYPE_Q5_1 || type == TYPE_Q2_K ||
           type == TYPE_Q4_K || type == TYPE_Q5_K;
}

/* Bytes of a block of 32, or of a K-quant's 256. */
ALWAYS_INLINE size_t x86_block_bytes(enum tensor_type type)
{
    switch (type) {
    case TYPE_Q4_0:
        return sizeof(struct block_q4_0);
    case TYPE_Q4_1:
        return sizeof(struct block_q4_1);
    case TYPE_Q5_0:
        return sizeof(struct block_q5_0);
    case TYPE_Q5_1:
        return sizeof(struct block_q5_1);
    case TYPE_Q8_0:
        return sizeof(struct block_q8_0);
    case TYPE_IQ4_NL:
        return sizeof(struct block_iq4_nl);
    case TYPE_Q2_K:
        return sizeof(struct block_q2_k);
    case TYPE_Q3_K:
        return sizeof(struct block_q3_k);
    case TYPE_Q4_K:
        return sizeof(struct block_q4_k);
    case TYPE_Q5_K:
        return sizeof(struct block_q5_k);
    case TYPE_Q6_K:
        return sizeof(struct block_q6_k);
    default:
        return sizeof(struct block_iq4_xs);
    }
}

ALWAYS_INLINE bool x86_is_small(enum tensor_type type)
{
    return type == TYPE_Q4_0 || type == TYPE_Q4_1 || type == TYPE_Q5_0 ||
           type == TYPE_Q5_1 || type == TYPE_Q8_0 || type == TYPE_IQ4_NL;
}

ALWAYS_INLINE size_t x86_group_bytes(enum tensor_type type)
{
    return x86_block_bytes(type) * (x86_is_small(type) ? 8 : 1);
}

/* The largest of 8; what is no number may be lost. */
ALWAYS_INLINE float x86_max8(__m256 x)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* ---- records ---- */

/* Beside the codes of block b (of 32) of a record: the scale, and the sums, of which
 * `first` and `second` are those of 16 codes each. */
ALWAYS_INLINE void x86_put_sums(unsigned char *record, int n_pad, int b, float scale,
                                int first, int second)
{
    float *pair = (float *)(void *)(record + act_at_pair(n_pad, b));
    float *sum16 = (float *)(void *)(record + act_at_sum16(n_pad));
    int32_t *bias32 = (int32_t *)(void *)(record + act_at_bias32(n_pad));
    int32_t *bias16 = (int32_t *)(void *)(record + act_at_bias16(n_pad));

    pair[0] = scale;
    pair[8] = scale * (float)(first + second);
    sum16[2 * b] = scale * (float)first;
    sum16[2 * b + 1] = scale * (float)second;
    bias16[2 * b] = -128 * first;
    bias16[2 * b + 1] = -128 * second;
    bias32[b] = -128 * (first + second);
}

/* ---- codes ---- */

ALWAYS_INLINE float x86_f16(const void *at)
{
    uint16_t h;

    memcpy(&h, at, sizeof(h));
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

ALWAYS_INLINE __m256i x86_load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

/* 16 bytes to 32 codes: the low nibbles, then the high ones. */
ALWAYS_INLINE __m256i x86_nibbles(const uint8_t *qs)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)qs);
    __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_srli_epi16(x, 4), 1);

    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 32 bits to 32 bytes, 16 where the bit is set. */
ALWAYS_INLINE __m256i x86_fifth_bits(const uint8_t *qh)
{
    const __m256i spread =
        _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2,
                         2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i each = _mm256_set1_epi64x((long long)0x8040201008040201ULL);
    uint32_t bits;
    __m256i x;

    memcpy(&bits, qh, sizeof(bits));
    x = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread);
    x = _mm256_cmpeq_epi8(_mm256_and_si256(x, each), each);
    return _mm256_and_si256(x, _mm256_set1_epi8(16));
}

ALWAYS_INLINE __m256i x86_iq4_values(__m256i nibbles)
{
    __m128i table = _mm_loadu_si128((const __m128i *)(const void *)block_iq4_values);

    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

/* Bits shift.. of each byte, masked, moved up by `up`. */
ALWAYS_INLINE __m256i x86_bits(__m256i x, int shift, int mask, int up)
{
    x = shift >= up ? _mm256_srli_epi16(x, shift - up)
                    : _mm256_slli_epi16(x, up - shift);
    return _mm256_and_si256(x, _mm256_set1_epi8((char)(mask << up)));
}

ALWAYS_INLINE __m256i x86_codes_q3_k(const struct block_q3_k *b, int j)
{
    __m256i low = x86_bits(x86_load(b->qs + 32 * (j / 4)), 2 * (j % 4), 3, 0);

    return _mm256_or_si256(low, x86_bits(x86_load(b->hmask), j, 1, 2));
}

ALWAYS_INLINE __m256i x86_codes_q5_k(const struct block_q5_k *b, int j)
{
    __m256i low = x86_bits(x86_load(b->qs + 32 * (j / 2)), 4 * (j % 2), 15, 0);

    return _mm256_or_si256(low, x86_bits(x86_load(b->qh), j, 1, 4));
}

ALWAYS_INLINE __m256i x86_codes_q6_k(const struct block_q6_k *b, int j)
{
    int n = j / 4, quarter = j % 4;
    __m256i low = x86_bits(x86_load(b->ql + 64 * n + 32 * (quarter % 2)),
                           4 * (quarter / 2), 15, 0);

    return _mm256_or_si256(low, x86_bits(x86_load(b->qh + 32 * n), 2 * quarter, 3, 4));
}

/* Codes of elements 32j .. 32j + 31 of a group. */
ALWAYS_INLINE __m256i x86_codes(enum tensor_type type, const unsigned char *group,
                                int j)
{
    const unsigned char *block = group + (size_t)j * x86_block_bytes(type);
    const void *k = group;

    switch (type) {
    case TYPE_Q4_0:
    case TYPE_Q4_1:
        return x86_nibbles(block + (type == TYPE_Q4_0 ? 2 : 4));
    case TYPE_Q5_0:
    case TYPE_Q5_1:
        block += type == TYPE_Q5_0 ? 2 : 4;
        return _mm256_or_si256(x86_nibbles(block + 4), x86_fifth_bits(block));
    case TYPE_Q8_0:
        return x86_load(block + 2);
    case TYPE_IQ4_NL:
        return x86_iq4_values(x86_nibbles(block + 2));
    case TYPE_IQ4_XS:
        return x86_iq4_values(
            x86_nibbles(((const struct block_iq4_xs *)k)->qs + 16 * j));
    case TYPE_Q2_K:
        return x86_bits(x86_load(((const struct block_q2_k *)k)->qs + 32 * (j / 4)),
                        2 * (j % 4), 3, 0);
    case TYPE_Q3_K:
        return x86_codes_q3_k(k, j);
    case TYPE_Q4_K:
        return x86_bits(x86_load(((const struct block_q4_k *)k)->qs + 32 * (j / 2)),
                        4 * (j % 2), 15, 0);
    case TYPE_Q5_K:
        return x86_codes_q5_k(k, j);
    default:
        return x86_codes_q6_k(k, j);
    }
}

/* ---- scales ---- */

struct x86_scales32 {
    __m256 scale, min; /* of the group's 8 times 32 elements */
};

/* The f16 that each of 8 blocks begins with. */
ALWAYS_INLINE __m256 x86_eight_f16(const unsigned char *group, size_t block_bytes)
{
    uint16_t h[8];

    UNROLL
    for (int i = 0; i < 8; i++)
        memcpy(&h[i], group + (size_t)i * block_bytes, sizeof(h[i]));
    return _mm256_cvtph_ps(_mm_setr_epi16((short)h[0], (short)h[1], (short)h[2],
                                          (short)h[3], (short)h[4], (short)h[5],
                                          (short)h[6], (short)h[7]));
}

/* The 8 scales, then the 8 mins, of Q4_K and Q5_K, whose blocks begin alike: 32-bit
 * words d and dmin, a, b, c. The first four scales are the low six bits of the bytes of
 * a, the other four the low nibbles of c under the top two bits of a; the mins likewise
 * from b and the high nibbles of c (blocks.h). */
ALWAYS_INLINE __m128i x86_scale_bytes_q4_k(__m128i head)
{
    __m128i low = _mm_shuffle_epi32(head, _MM_SHUFFLE(3, 2, 3, 1)); /* a c b c */
    __m128i top = _mm_shuffle_epi32(head, _MM_SHUFFLE(2, 2, 1, 1)); /* a a b b */

    low = _mm_and_si128(_mm_srlv_epi32(low, _mm_setr_epi32(0, 0, 0, 4)),
                        _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    top = _mm_and_si128(_mm_srli_epi32(top, 2),
                        _mm_setr_epi32(0, 0x30303030, 0, 0x30303030));
    return _mm_or_si128(low, top);
}

ALWAYS_INLINE struct x86_scales32 x86_scales_q4_k(const void *block)
{
    __m128i head = _mm_loadu_si128((const __m128i *)block);
    __m128i bytes = x86_scale_bytes_q4_k(head);
    __m128 d = _mm_cvtph_ps(head); /* d, dmin */
    __m256 scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    __m256 min = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)));
    __m256 minus =
        _mm256_xor_ps(_mm256_broadcastss_ps(_mm_movehdup_ps(d)), _mm256_set1_ps(-0.0f));

    return (struct x86_scales32){_mm256_mul_ps(scale, _mm256_broadcastss_ps(d)),
                                 _mm256_mul_ps(min, minus)};
}

/* d and m of 8 blocks of Q4_1 or Q5_1: pairs of f16 at their beginning. */
ALWAYS_INLINE struct x86_scales32 x86_scale_pairs(const unsigned char *group,
                                                  size_t block_bytes)
{
    __m128i two[4]; /* blocks 2i and 2i + 1 */
    __m256i v;
    __m256 low, high, even, odd;

    UNROLL
    for (int i = 0; i < 4; i++) {
        const unsigned char *block = group + (size_t)(2 * i) * block_bytes;
        two[i] = _mm_unpacklo_epi32(_mm_loadu_si32(block),
                                    _mm_loadu_si32(block + block_bytes));
    }
    v = _mm256_set_m128i(_mm_unpacklo_epi64(two[1], two[3]),
                         _mm_unpacklo_epi64(two[0], two[2]));
    low = _mm256_cvtph_ps(_mm256_castsi256_si128(v));       /* blocks 0 1 4 5 */
    high = _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)); /* blocks 2 3 6 7 */
    even = _mm256_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0));
    odd = _mm256_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1));
    return (struct x86_scales32){even, odd};
}

ALWAYS_INLINE __m256 x86_scales_iq4_xs(const struct block_iq4_xs *b)
{
    const __m256i shift_low = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i shift_high = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    uint32_t bits;
    __m256i low, high;

    memcpy(&bits, b->scales_l, sizeof(bits));
    low = _mm256_srlv_epi32(_mm256_set1_epi32((int)bits), shift_low);
    high = _mm256_srlv_epi32(_mm256_set1_epi32(b->scales_h), shift_high);
    low = _mm256_and_si256(low, _mm256_set1_epi32(15));
    high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
    low = _mm256_sub_epi32(_mm256_or_si256(low, high), _mm256_set1_epi32(32));
    return _mm256_mul_ps(_mm256_set1_ps(x86_f16(&b->d)), _mm256_cvtepi32_ps(low));
}

/* Of wide types. min holds the offset of codes too. */
ALWAYS_INLINE struct x86_scales32 x86_scales32(enum tensor_type type,
                                               const unsigned char *group)
{
    const void *k = group;
    struct x86_scales32 s;

    if (type == TYPE_Q4_K || type == TYPE_Q5_K)
        return x86_scales_q4_k(k);
    if (x86_has_min(type))
        return x86_scale_pairs(group, x86_block_bytes(type));
    if (type == TYPE_IQ4_XS)
        s.scale = x86_scales_iq4_xs(k);
    else
        s.scale = x86_eight_f16(group, x86_block_bytes(type));
    s.min = _mm256_mul_ps(s.scale, _mm256_set1_ps((float)-x86_offset(type)));
    return s;
}

struct x86_scales16 {
    __m256i scale; /* 16 int16 */
    float factor;  /* a scale is factor * the integer */
    __m256 min[2]; /* 16 floats */
};

/* 16 scales of 6 bits (see struct block_q3_k), -32..31, as int8. */
ALWAYS_INLINE __m128i x86_scales_q3_k(const uint8_t *scales)
{
    uint64_t low;
    uint32_t high;
    __m128i l, h;

    memcpy(&low, scales, sizeof(low));
    memcpy(&high, scales + 8, sizeof(high));
    l = _mm_set_epi64x((long long)(low >> 4 & 0x0f0f0f0f0f0f0f0fULL),
                       (long long)(low & 0x0f0f0f0f0f0f0f0fULL));
    h = _mm_setr_epi32((int)(high & 0x03030303), (int)(high >> 2 & 0x03030303),
                       (int)(high >> 4 & 0x03030303), (int)(high >> 6 & 0x03030303));
    return _mm_sub_epi8(_mm_or_si128(l, _mm_slli_epi16(h, 4)), _mm_set1_epi8(32));
}

/* -value * the 16 integers */
ALWAYS_INLINE void x86_min16(__m256 min[2], __m256i integers, float value)
{
    __m256 v = _mm256_set1_ps(-value);
    __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(integers));
    __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(integers, 1));

    min[0] = _mm256_mul_ps(v, _mm256_cvtepi32_ps(low));
    min[1] = _mm256_mul_ps(v, _mm256_cvtepi32_ps(high));
}

/* Of narrow types. */
ALWAYS_INLINE struct x86_scales16 x86_scales16(enum tensor_type type,
                                               const unsigned char *group)
{
    const void *k = group;
    struct x86_scales16 s;

    if (type == TYPE_Q2_K) {
        const struct block_q2_k *b = k;
        __m128i both = _mm_loadu_si128((const __m128i *)(const void *)b->scales);
        __m128i mins = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));

        s.scale = _mm256_cvtepu8_epi16(_mm_and_si128(both, _mm_set1_epi8(15)));
        s.factor = x86_f16(&b->d);
        x86_min16(s.min, _mm256_cvtepu8_epi16(mins), x86_f16(&b->dmin));
        return s;
    }
    if (type == TYPE_Q3_K) {
        const struct block_q3_k *b = k;
        s.scale = _mm256_cvtepi8_epi16(x86_scales_q3_k(b->scales));
        s.factor = x86_f16(&b->d);
    } else {
        const struct block_q6_k *b = k;
        s.scale = _mm256_cvtepi8_epi16(
            _mm_loadu_si128((const __m128i *)(const void *)b->scales));
        s.factor = x86_f16(&b->d);
    }
    x86_min16(s.min, s.scale, s.factor * (float)x86_offset(type));
    return s;
}

/* ---- rows of any length ---- */

/* How far ahead memory is asked for, into the second-level cache: further than the
 * processor looks by itself, which is less than a page in the midst of so much
 * arithmetic, and whose own prefetching ends with the page. Zen 4, Q4_K, one thread:
 * 10.8 GB/s without it, 13.4 with 4 KB, 17 with 8 KB (where plain reading gives 20). */
enum { PREFETCH_BYTES = 8192 };

/* While what is `at` bytes behind the beginning of each of n rows is multiplied: what
 * to ask memory for, in one stream, as rows lie. */
ALWAYS_INLINE const char *x86_ahead_of(int n, const unsigned char *w, size_t row_bytes,
                                       size_t at)
{
    const size_t tile = (size_t)n * row_bytes;

    return (const char *)w + (tile > PREFETCH_BYTES ? tile : PREFETCH_BYTES) +
           (size_t)n * at;
}

/* Asks for it, for `bytes` (a constant) of each row; and for what is left of each. */
ALWAYS_INLINE void x86_ask_ahead(int n, const unsigned char *w, size_t row_bytes,
                                 size_t at, size_t bytes)
{
    const char *from = x86_ahead_of(n, w, row_bytes, at);

    UNROLL
    for (size_t i = 0; i < (size_t)n * bytes; i += 64)
        _mm_prefetch(from + i, _MM_HINT_T1);
}

ALWAYS_INLINE void x86_ask_rest(int n, const unsigned char *w, size_t row_bytes,
                                size_t at, size_t left)
{
    const char *from = x86_ahead_of(n, w, row_bytes, at);

    for (size_t i = 0; i < (size_t)n * left; i += 64)
        _mm_prefetch(from + i, _MM_HINT_T1);
}

/* A group whose last blocks may lie behind the row's end: then a copy of those that are
 * there, with zeros behind. n_left: elements from `group` to the row's end. */
ALWAYS_INLINE const unsigned char *x86_group(enum tensor_type type,
                                             const unsigned char *group, int n_left,
                                             unsigned char *copy)
{
    if (!x86_is_small(type) || n_left >= GROUP)
        return group;
    memset(copy, 0, x86_group_bytes(type));
    memcpy(copy, group, (size_t)(n_left / 32) * x86_block_bytes(type));
    return copy;
}

/* 32 codes as floats, times one or two scales (of 16 each) plus the minima. */
ALWAYS_INLINE void x86_floats32(__m256i codes, const float scale[2], const float min[2],
                                float *out)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m128i half =
            i < 2 ? _mm256_castsi256_si128(codes) : _mm256_extracti128_si256(codes, 1);
        __m256i x = _mm256_cvtepi8_epi32(i % 2 ? _mm_srli_si128(half, 8) : half);

        _mm256_storeu_ps(out + 8 * i, _mm256_fmadd_ps(_mm256_cvtepi32_ps(x),
                                                      _mm256_set1_ps(scale[i / 2]),
                                                      _mm256_set1_ps(min[i / 2])));
    }
}

/* The 256 values of a group. */
ALWAYS_INLINE void x86_floats(enum tensor_type type, const unsigned char *group,
                              float *out)
{
    float scale[16], min[16];

    if (x86_is_narrow(type)) {
        struct x86_scales16 s = x86_scales16(type, group);
        __m256 unit[2];

        x86_min16(unit, s.scale, -s.factor);
        _mm256_storeu_ps(scale, unit[0]);
        _mm256_storeu_ps(scale + 8, unit[1]);
        _mm256_storeu_ps(min, s.min[0]);
        _mm256_storeu_ps(min + 8, s.min[1]);
    } else {
        struct x86_scales32 s = x86_scales32(type, group);

        _mm256_storeu_ps(scale, _mm256_unpacklo_ps(s.scale, s.scale));
        _mm256_storeu_ps(scale + 8, _mm256_unpackhi_ps(s.scale, s.scale));
        _mm256_storeu_ps(min, _mm256_unpacklo_ps(s.min, s.min));
        _mm256_storeu_ps(min + 8, _mm256_unpackhi_ps(s.min, s.min));
    }
    UNROLL
    for (int j = 0; j < 8; j++) {
        /* unpack works within halves: blocks 0 1 4 5, then 2 3 6 7 */
        int at = x86_is_narrow(type) ? 2 * j : 2 * (j % 2 + j / 4 * 2) + j / 2 % 2 * 8;

        x86_floats32(x86_codes(type, group, j), scale + at, min + at, out + 32 * j);
    }
}

/* Values k..k+n-1 of a row, n <= GROUP, k a multiple of it; writes a whole group. */
ALWAYS_INLINE void x86_row_floats(enum tensor_type type, const unsigned char *row,
                                  int k, int n, float *out)
{
    unsigned char copy[8 * sizeof(struct block_q8_0)];

    row += (size_t)(k / GROUP) * x86_group_bytes(type);
    x86_floats(type, x86_group(type, row, n, copy), out);
}

/* A group of one row, unpacked. Wide types: 8 scales, then 8 minima in `scale`. */
struct x86_unpacked {
    _Alignas(64) uint8_t q[GROUP + 64]; /* 64: rows of an array of these must not all
                                           lie in the same set of the cache */
    float scale[16], min[16];
};

/* ---- tiles of products with many rows of activations ---- */

/* Runs TILE(c, n) for columns c..c+n-1, n at most `cols`, in tiles of about the same
 * size: narrow ones wait for their own sums. */
#define WIDE_CASE(n, TILE)                                                             \
    case n:                                                                            \
        TILE(c, n);                                                                    \
        break;
#define WIDE_TILES(n_cols, cols, TILE, CASES)                                          \
    for (int c = 0, left = ((n_cols) + (cols)-1) / (cols), n_tile; left > 0;           \
         c += n_tile, left--) {                                                        \
        n_tile = ((n_cols)-c + left - 1) / left;                                       \
        switch (n_tile) {                                                              \
            CASES(TILE)                                                                \
        default:                                                                       \
            break;                                                                     \
        }                                                                              \
    }
#define WIDE_CASES_4(TILE)                                                             \
    WIDE_CASE(1, TILE)                                                                 \
    WIDE_CASE(2, TILE)                                                                 \
    WIDE_CASE(3, TILE) WIDE_CASE(4, TILE)
#define WIDE_CASES_6(TILE)                                                             \
    WIDE_CASES_4(TILE)                                                                 \
    WIDE_CASE(5, TILE) WIDE_CASE(6, TILE)
#define WIDE_CASES_8(TILE)                                                             \
    WIDE_CASES_6(TILE)                                                                 \
    WIDE_CASE(7, TILE) WIDE_CASE(8, TILE)
#define WIDE_CASES_12(TILE)                                                            \
    WIDE_CASES_8(TILE)                                                                 \
    WIDE_CASE(9, TILE)                                                                 \
    WIDE_CASE(10, TILE) WIDE_CASE(11, TILE) WIDE_CASE(12, TILE)

#endif
