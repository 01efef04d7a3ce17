/* SPDX-License-Identifier: MIT
 *
 * AVX-512 with VNNI: products with one row of activations.
 *
 * vpdpbusd multiplies four unsigned codes by four signed activations and adds them to a
 * lane of 32 bits, nothing saturates. What follows a product (conversion, scale, sum)
 * costs as much as the product, so that codes of a group of 256 are brought into an
 * order in which each of two registers of sums takes two products: half of the group,
 * with 4 (types with scales of 16: 2) lanes a block. Scales of weights and activations
 * are spread over the lanes likewise. Codes are unsigned; what has to be taken off them
 * is put into the lanes before the products, as -offset * sum of the activations.
 *
 * Activations are arranged once for all rows. These go one after the other: memory is
 * fastest where it is read in one stream (Zen 4, Q8_0, two threads, memory at 54 GB/s:
 * 47 GB/s with four rows at a time, 53 so).
 *
 * A second record of activations has 1/256 of the first's steps: its sums are added to
 * the first's, moved up 8 bits, as integers.
 */
#include "config.h"

#include "model/cpu/avx512.h"

enum {
    ROWS = 4,   /* whose lanes are added up together */
    CHUNK = 48, /* groups of activations that are arranged at a time: 27 KB */
};
/* How a product is compiled: once for each type, with and without a second record. */
struct form {
    enum tensor_type type;
    bool residual;
};

/* Orders of codes: which elements are in lane i (of 128 bits) of register k. */
enum order {
    ORDER_BLOCKS, /* 16 from 128(k / 2) + 32i + 16(k % 2): small types, IQ4_XS */
    ORDER_PAIRS,  /* 16 from 64i + 16k: nibbles of Q4_K and Q5_K */
    ORDER_Q6_K,   /* 8 from 64(k / 2) + 16i + 8(k % 2), and 8 from 128 behind */
    ORDER_BITS,   /* Q2_K and Q3_K, i' = 16(i % 2) + 128(i / 2): 8 from
                     64(k / 2) + 8(k % 2) + i', and 8 from 32 behind */
};

ALWAYS_INLINE enum order order_of(enum tensor_type type)
{
    switch (type) {
    case TYPE_Q2_K:
    case TYPE_Q3_K:
        return ORDER_BITS;
    case TYPE_Q4_K:
    case TYPE_Q5_K:
        return ORDER_PAIRS;
    case TYPE_Q6_K:
        return ORDER_Q6_K;
    default:
        return ORDER_BLOCKS;
    }
}

/* What is taken off the codes of unpack(). */
ALWAYS_INLINE int offset_of(enum tensor_type type)
{
    return x86_is_signed(type) ? 128 : x86_offset(type);
}

/* ---- activations ---- */

/* A group of activations in a type's order; scale and min in the order of those of
 * struct weights. */
struct lanes {
    __m512i q[4];
    __m512i low[4];   /* of a second record */
    __m512i begin[2]; /* of the sums */
    __m512 scale[2];
    __m512 min[2];
};

/* Lane i of the result k: lane k of in[i]. */
ALWAYS_INLINE void transpose_lanes(const __m512i in[4], __m512i out[4])
{
    __m512i a = _mm512_shuffle_i32x4(in[0], in[1], 0x44);
    __m512i b = _mm512_shuffle_i32x4(in[0], in[1], 0xee);
    __m512i c = _mm512_shuffle_i32x4(in[2], in[3], 0x44);
    __m512i d = _mm512_shuffle_i32x4(in[2], in[3], 0xee);

    out[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    out[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    out[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    out[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

ALWAYS_INLINE void arrange(enum order order, const unsigned char *q, __m512i out[4])
{
    __m512i in[4];

    UNROLL
    for (int i = 0; i < 4; i++)
        in[i] = _mm512_loadu_si512(q + 64 * i);
    if (order == ORDER_PAIRS) {
        transpose_lanes(in, out);
        return;
    }
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i a = in[order == ORDER_BLOCKS ? 2 * h : h];
        __m512i b = in[order == ORDER_BLOCKS ? 2 * h + 1 : 2 + h];

        if (order == ORDER_BLOCKS) {
            out[2 * h] = _mm512_shuffle_i32x4(a, b, 0x88);
            out[2 * h + 1] = _mm512_shuffle_i32x4(a, b, 0xdd);
            continue;
        }
        if (order == ORDER_BITS) {
            __m512i low = _mm512_shuffle_i32x4(a, b, 0x44);
            b = _mm512_shuffle_i32x4(a, b, 0xee);
            a = low;
        }
        out[2 * h] = _mm512_unpacklo_epi64(a, b);
        out[2 * h + 1] = _mm512_unpackhi_epi64(a, b);
    }
}

/* 8 numbers of blocks of 32, each in the lanes of its block in half `h`. */
ALWAYS_INLINE __m512 spread8(enum order order, int h, __m512 x)
{
    const __m512i blocks =
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const __m512i q6_k =
        _mm512_setr_epi32(0, 0, 4, 4, 0, 0, 4, 4, 1, 1, 5, 5, 1, 1, 5, 5);
    const __m512i bits =
        _mm512_setr_epi32(0, 0, 1, 1, 0, 0, 1, 1, 4, 4, 5, 5, 4, 4, 5, 5);

    switch (order) {
    case ORDER_BLOCKS:
        return _mm512_permutexvar_ps(_mm512_add_epi32(blocks, _mm512_set1_epi32(4 * h)),
                                     x);
    case ORDER_PAIRS:
        return _mm512_permutexvar_ps(
            _mm512_add_epi32(_mm512_slli_epi32(blocks, 1), _mm512_set1_epi32(h)), x);
    case ORDER_Q6_K:
        return _mm512_permutexvar_ps(_mm512_add_epi32(q6_k, _mm512_set1_epi32(2 * h)),
                                     x);
    default:
        return _mm512_permutexvar_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(2 * h)),
                                     x);
    }
}

/* The same of 16 numbers of blocks of 16. */
ALWAYS_INLINE __m512 spread16(enum order order, int h, __m512 x)
{
    const __m512i q6_k =
        _mm512_setr_epi32(0, 0, 8, 8, 1, 1, 9, 9, 2, 2, 10, 10, 3, 3, 11, 11);
    const __m512i bits =
        _mm512_setr_epi32(0, 0, 2, 2, 1, 1, 3, 3, 8, 8, 10, 10, 9, 9, 11, 11);

    return _mm512_permutexvar_ps(
        _mm512_add_epi32(order == ORDER_Q6_K ? q6_k : bits, _mm512_set1_epi32(4 * h)),
        x);
}

/* The scales of a group, and what minima are multiplied with: 8 scales and 8 sums, and
 * 16 sums. */
ALWAYS_INLINE void load_scales(enum tensor_type type, __m512 scale, __m512 sum16,
                               struct lanes *a)
{
    const __m512i twice =
        _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    __m512 sum;

    if (type == TYPE_Q4_K) /* see unpack_pairs; the sums stay */
        scale = _mm512_mul_ps(scale,
                              _mm512_setr_ps(1, 1.0f / 16, 1, 1.0f / 16, 1, 1.0f / 16,
                                             1, 1.0f / 16, 1, 1, 1, 1, 1, 1, 1, 1));
    if (!x86_is_small(type)) {
        a->scale[0] = x86_is_narrow(type) ? _mm512_permutexvar_ps(twice, scale) : scale;
        a->min[0] = sum16;
        return;
    }
    /* each of the four lanes of a block has a quarter of the sum */
    sum =
        _mm512_mul_ps(_mm512_shuffle_f32x4(scale, scale, 0xee), _mm512_set1_ps(0.25f));
    UNROLL
    for (int h = 0; h < 2; h++) {
        a->scale[h] = spread8(ORDER_BLOCKS, h, scale);
        a->min[h] = spread8(ORDER_BLOCKS, h, sum);
    }
}

/* Takes offset * the codes that lanes add up from 256 times what there is. */
ALWAYS_INLINE void add_begin(enum tensor_type type, const __m512i q[4],
                             __m512i begin[2])
{
    const __m512i off = _mm512_set1_epi8((char)offset_of(type));

    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), off, q[2 * h]);

        sum = _mm512_dpbusd_epi32(sum, off, q[2 * h + 1]);
        begin[h] = _mm512_sub_epi32(_mm512_slli_epi32(begin[h], 8), sum);
    }
}

/* 16 floats of a record, `at` bytes from its beginning. */
ALWAYS_INLINE __m512 floats_at(const unsigned char *record, size_t at)
{
    return _mm512_loadu_ps((const void *)(record + at));
}

/* Group g of a's record, or of both: their steps are the second's, their sums those of
 * both. */
ALWAYS_INLINE void load_lanes(struct form f, const struct act *a, int g,
                              struct lanes *out)
{
    const unsigned char *q = a->q, *q2 = q + act_record_bytes(a->n_pad);
    const size_t at = act_at_pair(a->n_pad, 8 * g);
    const size_t at16 = act_at_sum16(a->n_pad) + 64 * (size_t)g;
    __m512 pair = floats_at(q, at), sum16 = floats_at(q, at16);

    out->begin[0] = out->begin[1] = _mm512_setzero_si512();
    arrange(order_of(f.type), q + GROUP * g, out->q);
    add_begin(f.type, out->q, out->begin);
    if (f.residual) {
        __m512 pair2 = floats_at(q2, at);

        pair = _mm512_mask_add_ps(pair2, 0xff00, pair2, pair);
        sum16 = _mm512_add_ps(sum16, floats_at(q2, at16));
        arrange(order_of(f.type), q2 + GROUP * g, out->low);
        add_begin(f.type, out->low, out->begin);
    }
    load_scales(f.type, pair, sum16, out);
}

/* Writes or adds n <= 4 sums. */
ALWAYS_INLINE void put_sums(float *y, __m128 sum, int n, bool add)
{
    __mmask8 mask = (__mmask8)((1 << n) - 1);

    if (add)
        sum = _mm_add_ps(sum, _mm_maskz_loadu_ps(mask, y));
    _mm_mask_storeu_ps(y, mask, sum);
}

/* ---- weights ---- */

/* A group of a row. Scales and minima of small types are spread over the lanes; of
 * others, scale[0] has 16 or 8 numbers in order and min[0] those of Q2_K. Of Q4_K and
 * Q5_K the upper half of scale[0] has the minima, as a record has the sums. */
struct weights {
    __m512i code[4];
    __m512 scale[2];
    __m512 min[2];
};

ALWAYS_INLINE __m512i low_nibbles(__m512i x)
{
    return _mm512_and_si512(x, _mm512_set1_epi8(15));
}

ALWAYS_INLINE __m512i high_nibbles(__m512i x)
{
    return low_nibbles(_mm512_srli_epi16(x, 4));
}

/* 16 bytes at each of four places `step` apart. */
ALWAYS_INLINE __m512i four_places(const unsigned char *at, size_t step)
{
    __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const void *)at));
    __m256i high =
        _mm256_castsi128_si256(_mm_loadu_si128((const void *)(at + 2 * step)));

    low = _mm256_inserti128_si256(low, _mm_loadu_si128((const void *)(at + step)), 1);
    high = _mm256_inserti128_si256(high, _mm_loadu_si128((const void *)(at + 3 * step)),
                                   1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* f16 number `first`, first + step, first + 2 * step and first + 3 * step of words, as
 * floats, in four lanes each. From 32 on: of `more`. */
ALWAYS_INLINE __m512 four_f16(__m512i words, __m512i more, int first, int step,
                              bool two)
{
    const short a = (short)first, b = (short)(first + step);
    const short c = (short)(two ? 32 + first : first + 2 * step);
    const short d = (short)(two ? 32 + first + step : first + 3 * step);
    const __m256i pick =
        _mm256_setr_epi16(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d);
    __m512i index = _mm512_castsi256_si512(pick);
    __m512i x = two ? _mm512_permutex2var_epi16(words, index, more)
                    : _mm512_permutexvar_epi16(index, words);

    return _mm512_cvtph_ps(_mm512_castsi512_si256(x));
}

/* Half h (4 blocks) of a group of Q4_0, Q4_1 or IQ4_NL. */
ALWAYS_INLINE void unpack_fours(enum tensor_type type, const unsigned char *group,
                                int h, struct weights *w)
{
    const size_t bytes = x86_block_bytes(type);
    const unsigned char *at = group + 4 * (size_t)h * bytes;
    __m512i x = four_places(at + (type == TYPE_Q4_1 ? 4 : 2), bytes);
    __m512i head = _mm512_loadu_si512(at); /* has the beginnings of all four */

    w->code[2 * h] = low_nibbles(x);
    w->code[2 * h + 1] = high_nibbles(x);
    w->scale[h] = four_f16(head, head, 0, (int)bytes / 2, false);
    if (type == TYPE_Q4_1)
        w->min[h] = four_f16(head, head, 1, (int)bytes / 2, false);
}

/* The values of IQ4_NL and IQ4_XS, plus 128. */
ALWAYS_INLINE void look_up(struct weights *w, int first, int n)
{
    const __m512i table = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)block_iq4_values)),
        _mm512_set1_epi8((char)0x80));

    UNROLL
    for (int k = 0; k < n; k++)
        w->code[first + k] = _mm512_shuffle_epi8(table, w->code[first + k]);
}

/* ... of Q5_0 or Q5_1, whose first 16 bytes have scale, minimum and fifth bits. */
ALWAYS_INLINE void unpack_fives(enum tensor_type type, const unsigned char *group,
                                int h, struct weights *w)
{
    const size_t bytes = x86_block_bytes(type);
    const int bits_at = type == TYPE_Q5_0 ? 2 : 4;
    const __m512i each = _mm512_set1_epi64((long long)0x8040201008040201ULL);
    const __m512i sixteen = _mm512_set1_epi8(16);
    const unsigned char *at = group + 4 * (size_t)h * bytes;
    __m512i head = four_places(at, bytes);
    __m512i x = four_places(at + bits_at + 4, bytes);

    UNROLL
    for (int k = 0; k < 2; k++) {
        const long long first = (bits_at + 2 * k) * 0x0101010101010101LL;
        const __m512i pick =
            _mm512_broadcast_i32x4(_mm_set_epi64x(first + 0x0101010101010101LL, first));
        __m512i code = k == 0 ? low_nibbles(x) : high_nibbles(x);
        __mmask64 fifth = _mm512_test_epi8_mask(_mm512_shuffle_epi8(head, pick), each);

        w->code[2 * h + k] = _mm512_mask_add_epi8(code, fifth, code, sixteen);
    }
    w->scale[h] = four_f16(head, head, 0, 8, false);
    if (type == TYPE_Q5_1)
        w->min[h] = four_f16(head, head, 1, 8, false);
}

/* ... of Q8_0: codes plus 128. */
ALWAYS_INLINE void unpack_eights(const unsigned char *group, int h, struct weights *w)
{
    const size_t bytes = sizeof(struct block_q8_0);
    const unsigned char *at = group + 4 * (size_t)h * bytes;
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    __m512i a = _mm512_castsi256_si512(x86_load(at + 2));
    __m512i b = _mm512_castsi256_si512(x86_load(at + 2 * bytes + 2));

    a = _mm512_inserti64x4(a, x86_load(at + bytes + 2), 1);
    b = _mm512_inserti64x4(b, x86_load(at + 3 * bytes + 2), 1);
    w->code[2 * h] = _mm512_xor_si512(_mm512_shuffle_i32x4(a, b, 0x88), flip);
    w->code[2 * h + 1] = _mm512_xor_si512(_mm512_shuffle_i32x4(a, b, 0xdd), flip);
    w->scale[h] = four_f16(_mm512_loadu_si512(at), _mm512_loadu_si512(at + 2 * bytes),
                           0, (int)bytes / 2, true);
}

ALWAYS_INLINE void unpack_iq4_xs(const struct block_iq4_xs *b, struct weights *w)
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i x = _mm512_loadu_si512(b->qs + 64 * h);

        w->code[2 * h] = low_nibbles(x);
        w->code[2 * h + 1] = high_nibbles(x);
    }
    look_up(w, 0, 4);
    w->scale[0] = _mm512_zextps256_ps512(x86_scales_iq4_xs(b));
}

/* A fifth bit for the codes of registers k and k + 2: bits 2i and 2i + 1 of the bytes
 * from 16k on. */
ALWAYS_INLINE void add_fifth_q5_k(const struct block_q5_k *b, int k, struct weights *w)
{
    const __m512i even = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_set_m128i(_mm_set1_epi8(4), _mm_set1_epi8(1))),
        _mm256_set_m128i(_mm_set1_epi8(64), _mm_set1_epi8(16)), 1);
    const __m512i sixteen = _mm512_set1_epi8(16);
    __m512i x = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(b->qh + 16 * k)));

    w->code[k] = _mm512_mask_add_epi8(w->code[k], _mm512_test_epi8_mask(x, even),
                                      w->code[k], sixteen);
    w->code[k + 2] = _mm512_mask_add_epi8(
        w->code[k + 2], _mm512_test_epi8_mask(x, _mm512_add_epi8(even, even)),
        w->code[k + 2], sixteen);
}

/* Q4_K and Q5_K. */
ALWAYS_INLINE void unpack_pairs(enum tensor_type type, const unsigned char *group,
                                struct weights *w)
{
    const __m512i halves =
        _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m512i high = _mm512_set1_epi8((char)0xf0);
    const void *k = group;
    const uint8_t *qs = type == TYPE_Q4_K ? ((const struct block_q4_k *)k)->qs
                                          : ((const struct block_q5_k *)k)->qs;
    __m512i a = _mm512_loadu_si512(qs), b = _mm512_loadu_si512(qs + 64);
    __m512i first = _mm512_shuffle_i32x4(a, b, 0x88);
    __m512i second = _mm512_shuffle_i32x4(a, b, 0xdd);
    __m128i head = _mm_loadu_si128((const void *)group);
    __m512 d =
        _mm512_permutexvar_ps(halves, _mm512_castps128_ps512(_mm_cvtph_ps(head)));
    __m512 s = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x86_scale_bytes_q4_k(head)));

    w->code[0] = low_nibbles(first);
    w->code[1] = low_nibbles(second);
    if (type == TYPE_Q4_K) { /* 16 times the codes; the scales make up for it */
        w->code[2] = _mm512_and_si512(first, high);
        w->code[3] = _mm512_and_si512(second, high);
    } else {
        w->code[2] = high_nibbles(first);
        w->code[3] = high_nibbles(second);
        add_fifth_q5_k(k, 0, w);
        add_fifth_q5_k(k, 1, w);
    }
    w->scale[0] = _mm512_mul_ps(s, d);
}

ALWAYS_INLINE void unpack_q6_k(const struct block_q6_k *b, struct weights *w)
{
    const __m512i left = _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2);
    const __m512i right = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);
    const __m512i two = _mm512_set1_epi8(0x30);
    __m512i la = _mm512_loadu_si512(b->ql), lb = _mm512_loadu_si512(b->ql + 64);
    __m512i ha = twice32(b->qh), hb = twice32(b->qh + 32);
    __m512 s = _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)b->scales)));

    UNROLL
    for (int k = 0; k < 2; k++) {
        __m512i low =
            k == 0 ? _mm512_unpacklo_epi64(la, lb) : _mm512_unpackhi_epi64(la, lb);
        __m512i high =
            k == 0 ? _mm512_unpacklo_epi64(ha, hb) : _mm512_unpackhi_epi64(ha, hb);

        w->code[k] = _mm512_or_si512(
            low_nibbles(low), _mm512_and_si512(_mm512_sllv_epi64(high, left), two));
        w->code[k + 2] = _mm512_or_si512(
            high_nibbles(low), _mm512_and_si512(_mm512_srlv_epi64(high, right), two));
    }
    w->scale[0] = _mm512_mul_ps(s, _mm512_set1_ps(x86_f16(&b->d)));
}

/* Two bits of the codes of Q2_K and Q3_K. */
ALWAYS_INLINE void unpack_bits(const uint8_t *qs, struct weights *w)
{
    const __m512i shift = _mm512_setr_epi64(0, 2, 0, 2, 0, 2, 0, 2);
    const __m512i more = _mm512_setr_epi64(4, 6, 4, 6, 4, 6, 4, 6);
    const __m512i three = _mm512_set1_epi8(3);
    __m512i x = _mm512_loadu_si512(qs);
    __m512i a = _mm512_unpacklo_epi64(x, x), b = _mm512_unpackhi_epi64(x, x);

    w->code[0] = _mm512_and_si512(_mm512_srlv_epi64(a, shift), three);
    w->code[1] = _mm512_and_si512(_mm512_srlv_epi64(b, shift), three);
    w->code[2] = _mm512_and_si512(_mm512_srlv_epi64(a, more), three);
    w->code[3] = _mm512_and_si512(_mm512_srlv_epi64(b, more), three);
}

ALWAYS_INLINE void unpack_q2_k(const struct block_q2_k *b, struct weights *w)
{
    const __m128i mask = _mm_set1_epi8(15);
    __m128i both = _mm_loadu_si128((const void *)b->scales);
    __m512i scales = _mm512_cvtepu8_epi32(_mm_and_si128(both, mask));
    __m512i mins = _mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(both, 4), mask));

    unpack_bits(b->qs, w);
    w->scale[0] =
        _mm512_mul_ps(_mm512_cvtepi32_ps(scales), _mm512_set1_ps(x86_f16(&b->d)));
    w->min[0] =
        _mm512_mul_ps(_mm512_cvtepi32_ps(mins), _mm512_set1_ps(x86_f16(&b->dmin)));
}

ALWAYS_INLINE void unpack_q3_k(const struct block_q3_k *b, struct weights *w)
{
    const __m512i four = _mm512_set1_epi8(4);
    const long long bit0 = 0x0101010101010101LL;
    __m512i mask = _mm512_setr_epi64(bit0, 2 * bit0, bit0, 2 * bit0, 16 * bit0,
                                     32 * bit0, 16 * bit0, 32 * bit0);
    __m512i x = twice32(b->hmask);
    __m512i bits[2] = {_mm512_unpacklo_epi64(x, x), _mm512_unpackhi_epi64(x, x)};
    __m512 s = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x86_scales_q3_k(b->scales)));

    unpack_bits(b->qs, w);
    UNROLL
    for (int k = 0; k < 4; k++) {
        if (k == 2)
            mask = _mm512_slli_epi16(mask, 2);
        w->code[k] = _mm512_mask_add_epi8(
            w->code[k], _mm512_test_epi8_mask(bits[k % 2], mask), w->code[k], four);
    }
    w->scale[0] = _mm512_mul_ps(s, _mm512_set1_ps(x86_f16(&b->d)));
}

/* A group, or (small types only) the first of its halves. */
ALWAYS_INLINE struct weights unpack(enum tensor_type type, const unsigned char *group,
                                    int n_halves)
{
    const void *k = group;
    struct weights w = {.min = {_mm512_setzero_ps(), _mm512_setzero_ps()}};

    UNROLL
    for (int h = 0; h < n_halves; h++) {
        if (type == TYPE_Q4_0 || type == TYPE_Q4_1 || type == TYPE_IQ4_NL)
            unpack_fours(type, group, h, &w);
        else if (type == TYPE_Q5_0 || type == TYPE_Q5_1)
            unpack_fives(type, group, h, &w);
        else if (type == TYPE_Q8_0)
            unpack_eights(group, h, &w);
        if (type == TYPE_IQ4_NL)
            look_up(&w, 2 * h, 2);
    }
    if (type == TYPE_IQ4_XS)
        unpack_iq4_xs(k, &w);
    else if (type == TYPE_Q4_K || type == TYPE_Q5_K)
        unpack_pairs(type, group, &w);
    else if (type == TYPE_Q6_K)
        unpack_q6_k(k, &w);
    else if (type == TYPE_Q2_K)
        unpack_q2_k(k, &w);
    else if (type == TYPE_Q3_K)
        unpack_q3_k(k, &w);
    return w;
}

/* ---- products ---- */

/* The products' scales by lanes. Adds the part of the minima to *sum. */
ALWAYS_INLINE void scales_of(enum tensor_type type, int n_halves,
                             const struct weights *w, const struct lanes *a,
                             __m512 scale[2], __m512 *sum)
{
    const enum order order = order_of(type);
    __m512 s = _mm512_mul_ps(w->scale[0], a->scale[0]);

    if (order == ORDER_PAIRS)
        *sum = _mm512_mask_sub_ps(*sum, 0xff00, *sum, s);
    if (type == TYPE_Q2_K)
        *sum = _mm512_fnmadd_ps(w->min[0], a->min[0], *sum);
    UNROLL
    for (int h = 0; h < n_halves; h++) {
        if (x86_is_small(type))
            scale[h] = _mm512_mul_ps(w->scale[h], a->scale[h]);
        else
            scale[h] =
                x86_is_narrow(type) ? spread16(order, h, s) : spread8(order, h, s);
        if (x86_is_small(type) && x86_has_min(type))
            *sum = _mm512_fmadd_ps(w->min[h], a->min[h], *sum);
    }
}

/* Sums of products of half h by lanes. */
ALWAYS_INLINE __m512i dot(struct form f, const struct weights *w, const struct lanes *a,
                          int h)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i d = offset_of(f.type) != 0 ? a->begin[h] : zero, high = zero;

    if (f.residual) {
        high = _mm512_dpbusd_epi32(high, w->code[2 * h], a->q[2 * h]);
        high = _mm512_dpbusd_epi32(high, w->code[2 * h + 1], a->q[2 * h + 1]);
        d = _mm512_dpbusd_epi32(d, w->code[2 * h], a->low[2 * h]);
        d = _mm512_dpbusd_epi32(d, w->code[2 * h + 1], a->low[2 * h + 1]);
        return _mm512_add_epi32(d, _mm512_slli_epi32(high, 8));
    }
    d = _mm512_dpbusd_epi32(d, w->code[2 * h], a->q[2 * h]);
    return _mm512_dpbusd_epi32(d, w->code[2 * h + 1], a->q[2 * h + 1]);
}

/* Leaves n blocks of a small type's group: what was read behind them belongs to another
 * row, as whose scale it may be no number. */
ALWAYS_INLINE void keep_blocks(int n, int n_halves, struct weights *w)
{
    UNROLL
    for (int h = 0; h < n_halves; h++) {
        __mmask16 mask = first16(4 * (n - 4 * h));

        w->scale[h] = _mm512_maskz_mov_ps(mask, w->scale[h]);
        w->min[h] = _mm512_maskz_mov_ps(mask, w->min[h]);
    }
}

/* Adds n_halves halves of a group of a row to two sums. */
ALWAYS_INLINE void add_products(struct form f, int n_halves, const struct weights *w,
                                const struct lanes *a, __m512 sum[2])
{
    __m512 scale[2];

    scales_of(f.type, n_halves, w, a, scale, &sum[1]);
    UNROLL
    for (int h = 0; h < n_halves; h++)
        sum[h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot(f, w, a, h)), scale[h], sum[h]);
}

/* The same of the row's last group, of which n_left elements are left. `end` is where
 * the weight's last row ends. */
ALWAYS_INLINE void add_rest(struct form f, int n_halves, const unsigned char *group,
                            const unsigned char *end, int n_left, const struct lanes *a,
                            __m512 sum[2])
{
    const ptrdiff_t bytes = (ptrdiff_t)x86_group_bytes(f.type) / 2 * n_halves;
    unsigned char copy[8 * sizeof(struct block_q8_0)];
    struct weights u;

    if (end - group < bytes)
        group = x86_group(f.type, group, n_left, copy);
    u = unpack(f.type, group, n_halves);
    keep_blocks(n_left / 32, n_halves, &u);
    add_products(f, n_halves, &u, a, sum);
}

/* Activations of columns that rows are multiplied with. */
struct columns {
    int n_whole, n_left; /* groups, and elements behind them */
    struct lanes group[CHUNK];
};

ALWAYS_INLINE __m512 one_row(struct form f, const unsigned char *w,
                             const unsigned char *end, const struct columns *c)
{
    const size_t bytes = x86_group_bytes(f.type);
    __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    int g = 0;

    for (; g < c->n_whole; g++, w += bytes) {
        struct weights u = unpack(f.type, w, 2);

        x86_ask_ahead(1, w, 0, 0, bytes);
        add_products(f, 2, &u, &c->group[g], sum);
    }
    if (x86_is_small(f.type) && c->n_left > 0)
        x86_ask_rest(1, w, 0, 0, (size_t)c->n_left / 32 * x86_block_bytes(f.type));
    if (x86_is_small(f.type) && c->n_left > GROUP / 2)
        add_rest(f, 2, w, end, c->n_left, &c->group[g], sum);
    else if (x86_is_small(f.type) && c->n_left > 0)
        add_rest(f, 1, w, end, c->n_left, &c->group[g], sum);
    return _mm512_add_ps(sum[0], sum[1]);
}

/* Columns from group `first` on, at most CHUNK groups. */
ALWAYS_INLINE void load_columns(struct form f, const struct act *a, int first,
                                struct columns *c)
{
    int n = a->n_in - first * GROUP, n_groups;

    n = n < CHUNK * GROUP ? n : CHUNK * GROUP;
    n_groups = (n + GROUP - 1) / GROUP;
    c->n_whole = n / GROUP;
    c->n_left = n % GROUP;
    for (int g = 0; g < n_groups; g++)
        load_lanes(f, a, first + g, &c->group[g]);
}

ALWAYS_INLINE void all_rows(struct form f, const unsigned char *w, size_t row_bytes,
                            int n_rows, const struct act *a, float *y)
{
    const unsigned char *end = w + (size_t)n_rows * row_bytes;
    struct columns c;

    for (int first = 0; first * GROUP < a->n_in; first += CHUNK) {
        const unsigned char *at = w + (size_t)first * x86_group_bytes(f.type);

        load_columns(f, a, first, &c);
        for (int r = 0; r < n_rows; r += ROWS, at += ROWS * row_bytes) {
            const int n = n_rows - r < ROWS ? n_rows - r : ROWS;
            __m512 sum[ROWS];

            for (int i = 0; i < ROWS; i++)
                sum[i] = i < n ? one_row(f, at + (size_t)i * row_bytes, end, &c)
                               : _mm512_setzero_ps();
            put_sums(y + r, sum_lanes(sum), n, first > 0);
        }
    }
}

ALWAYS_INLINE void matvec(enum tensor_type type, const unsigned char *w,
                          size_t row_bytes, int n_rows, const struct act *a, float *y)
{
    const struct form one = {type, false}, two = {type, true};

    if (a->residual)
        all_rows(two, w, row_bytes, n_rows, a, y);
    else
        all_rows(one, w, row_bytes, n_rows, a, y);
}

/* ---- float weights ---- */

ALWAYS_INLINE float dot_row(enum tensor_type type, const unsigned char *row,
                            const float *x, int n)
{
    const size_t size = type == TYPE_F32 ? 4 : 2;
    __m512 sum[4];
    int i = 0;

    UNROLL
    for (int j = 0; j < 4; j++)
        sum[j] = _mm512_setzero_ps();
    for (; i + 64 <= n; i += 64) {
        x86_ask_ahead(1, row + size * (size_t)i, 0, 0, 64 * size);
        UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = _mm512_fmadd_ps(floats16(type, row, i + 16 * j, n),
                                     _mm512_loadu_ps(x + i + 16 * j), sum[j]);
    }
    for (; i < n; i += 16)
        sum[0] = _mm512_fmadd_ps(floats16(type, row, i, n),
                                 floats16(TYPE_F32, (const void *)x, i, n), sum[0]);
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

ALWAYS_INLINE void matvec_float(enum tensor_type type, const unsigned char *w,
                                size_t row_bytes, int n_rows, const struct act *a,
                                float *y)
{
    for (int r = 0; r < n_rows; r++)
        y[r] = dot_row(type, w + (size_t)r * row_bytes, a->x, a->n_in);
}

/* ---- the table ---- */

#define QUANTISED(type) MATVEC(type, matvec)
#define FLOAT(type) MATVEC(type, matvec_float)

EACH_QUANTISED(QUANTISED)
EACH_FLOAT(FLOAT)

const matvec_fn avx512_matvec[KERNEL_TYPES] = {EACH_TYPE(MATVEC_ROW)};
