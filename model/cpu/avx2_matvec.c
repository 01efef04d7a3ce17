/* SPDX-License-Identifier: MIT
 *
 * AVX2: products with one row of activations.
 *
 * vpmaddubsw multiplies unsigned codes by signed activations and adds pairs into 16
 * bits. Codes below 64 leave room for two such pairs (2 * 2 * 63 * 127 < 2^15). Signed
 * codes go through |code| and activation * sign(code), one pair at most (2 * 128 * 127
 * < 2^15).
 *
 * Where 16 bytes hold a block's codes (is_joined), two blocks are taken together, so
 * that one register of sums, 4 lanes a block, takes both. Rows go up to ROWS at a time,
 * for which activations are arranged once; their sums depend on each other no more than
 * those of one row would.
 */
#include "config.h"

#include "model/cpu/avx2.h"

enum { ROWS = 4 };

ALWAYS_INLINE bool is_joined(enum tensor_type type)
{
    return (x86_is_small(type) && type != TYPE_Q8_0) || type == TYPE_IQ4_XS;
}

/* ---- activations ---- */

/* How a product is compiled: for each type, with one record and with two. */
struct form {
    enum tensor_type type;
    bool residual;
};

/* A group of a record, and of a second one. q: in order where it lies in the record, or
 * (is_joined) 16 of block 2k and 16 of block 2k + 1, then the other 16 of both. */
struct lanes {
    const unsigned char *q, *low;
    __m256i joined[8], joined_low[8];
    __m256 scale, sum, sum16[2]; /* of blocks of 32; sums of 16 */
};

ALWAYS_INLINE void join_blocks(const unsigned char *q, __m256i joined[8])
{
    UNROLL
    for (int j = 0; j < 8; j += 2) {
        __m256i x = x86_load(q + 32 * j), y = x86_load(q + 32 * j + 32);

        joined[j] = _mm256_permute2x128_si256(x, y, 0x20);
        joined[j + 1] = _mm256_permute2x128_si256(x, y, 0x31);
    }
}

/* 8 floats of a record, `at` bytes from its beginning; of both: their sum. */
ALWAYS_INLINE __m256 floats_at(struct form f, const struct act *a, size_t at)
{
    const unsigned char *second = a->q + act_record_bytes(a->n_pad) + at;
    __m256 x = _mm256_loadu_ps((const void *)(a->q + at));

    return f.residual ? _mm256_add_ps(x, _mm256_loadu_ps((const void *)second)) : x;
}

ALWAYS_INLINE void load_lanes(struct form f, const struct act *a, int g,
                              struct lanes *out)
{
    const size_t second = f.residual ? act_record_bytes(a->n_pad) : 0;
    const size_t pair = act_at_pair(a->n_pad, 8 * g);
    const size_t sum16 = act_at_sum16(a->n_pad) + 64 * (size_t)g;

    out->q = a->q + GROUP * g;
    out->low = out->q + second;
    out->scale = _mm256_loadu_ps((const void *)(a->q + second + pair));
    out->sum = floats_at(f, a, pair + 32);
    out->sum16[0] = floats_at(f, a, sum16);
    out->sum16[1] = floats_at(f, a, sum16 + 32);
    if (is_joined(f.type))
        join_blocks(out->q, out->joined);
    if (is_joined(f.type) && f.residual)
        join_blocks(out->low, out->joined_low);
}

/* ---- weights ---- */

/* 16 bytes of `at`, 16 bytes `step` further. */
ALWAYS_INLINE __m256i two_places(const unsigned char *at, size_t step)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const void *)at)),
        _mm_loadu_si128((const void *)(at + step)), 1);
}

/* 16 in each byte whose bit of two bytes of `head`, from byte `at` of its half on, is
 * set. */
ALWAYS_INLINE __m256i fifth_bits(__m256i head, int at)
{
    const __m256i others = _mm256_set1_epi64x((long long)0x7fbfdfeff7fbfdfeULL);
    const __m256i pick = _mm256_broadcastsi128_si256(
        _mm_set_epi64x((at + 1) * 0x0101010101010101LL, at * 0x0101010101010101LL));
    __m256i x = _mm256_or_si256(_mm256_shuffle_epi8(head, pick), others);

    return _mm256_and_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(-1)),
                            _mm256_set1_epi8(16));
}

/* Codes of blocks 2k and 2k + 1 of a joined type: 16 of both, then the other 16. */
ALWAYS_INLINE void joined_codes(enum tensor_type type, const unsigned char *group,
                                int k, __m256i code[2])
{
    const __m256i mask = _mm256_set1_epi8(15);
    const size_t bytes = type == TYPE_IQ4_XS ? 16 : x86_block_bytes(type);
    const unsigned char *block = group + (size_t)(2 * k) * bytes;
    const int bits_at = type == TYPE_Q5_0 ? 2 : 4;
    __m256i x;

    if (type == TYPE_IQ4_XS) {
        const void *all = group;
        x = x86_load(((const struct block_iq4_xs *)all)->qs + 32 * k);
    } else {
        x = two_places(block + bytes - 16, bytes);
    }
    code[0] = _mm256_and_si256(x, mask);
    code[1] = _mm256_and_si256(_mm256_srli_epi16(x, 4), mask);
    if (type == TYPE_Q5_0 || type == TYPE_Q5_1) {
        __m256i head = two_places(block, bytes);
        code[0] = _mm256_or_si256(code[0], fifth_bits(head, bits_at));
        code[1] = _mm256_or_si256(code[1], fifth_bits(head, bits_at + 2));
    } else if (x86_is_signed(type)) {
        code[0] = x86_iq4_values(code[0]);
        code[1] = x86_iq4_values(code[1]);
    }
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

/* What a group of a row is multiplied with, times the scales of the activations.
 * Integer scales: of narrow types. */
struct scales {
    float block[8];
    __m256i integer;
};

/* Of 8 numbers the first n, zeros for the others. */
ALWAYS_INLINE __m256 first_of(__m256 x, int n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_and_ps(
        x, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane)));
}

/* Fills *out and returns the part of the minima. Of a small type there may be less than
 * 8 blocks: what was read behind them belongs to another row, as whose scale it may be
 * no number. */
ALWAYS_INLINE __m256 load_scales(enum tensor_type type, const unsigned char *group,
                                 int n_blocks, const struct lanes *a,
                                 struct scales *out)
{
    struct x86_scales32 wide;
    struct x86_scales16 narrow;
    __m256 sum = _mm256_setzero_ps();

    if (x86_is_narrow(type)) {
        narrow = x86_scales16(type, group);
        out->integer = narrow.scale;
        wide.scale = _mm256_set1_ps(narrow.factor);
        sum = _mm256_mul_ps(narrow.min[0], a->sum16[0]);
        sum = _mm256_fmadd_ps(narrow.min[1], a->sum16[1], sum);
    } else {
        wide = x86_scales32(type, group);
        if (x86_is_small(type) && n_blocks < 8) {
            wide.scale = first_of(wide.scale, n_blocks);
            wide.min = first_of(wide.min, n_blocks);
        }
        if (!x86_is_signed(type))
            sum = _mm256_mul_ps(wide.min, a->sum);
    }
    _mm256_storeu_ps(out->block, _mm256_mul_ps(wide.scale, a->scale));
    return sum;
}

/* ---- products ---- */

/* Sums of pairs of products, 16 x int16. */
ALWAYS_INLINE __m256i pairs_of(enum tensor_type type, __m256i code, __m256i a)
{
    return x86_is_signed(type) ? _mm256_maddubs_epi16(_mm256_sign_epi8(code, code),
                                                      _mm256_sign_epi8(a, code))
                               : _mm256_maddubs_epi16(code, a);
}

/* Pairs, and those of a second record, times factor: 8 x int32. */
ALWAYS_INLINE __m256i fours_of(struct form f, __m256i pairs, __m256i low,
                               __m256i factor)
{
    if (!f.residual)
        return _mm256_madd_epi16(pairs, factor);
    return _mm256_add_epi32(_mm256_madd_epi16(pairs, _mm256_slli_epi16(factor, 8)),
                            _mm256_madd_epi16(low, factor));
}

/* The sums of registers 2k and 2k + 1 of a joined type. */
ALWAYS_INLINE __m256i joined_dot(struct form f, const __m256i code[2],
                                 const struct lanes *a, int k)
{
    const __m256i ones = _mm256_set1_epi16(1), zero = _mm256_setzero_si256();
    __m256i p[2], low[2] = {zero, zero};

    UNROLL
    for (int i = 0; i < 2; i++) {
        p[i] = pairs_of(f.type, code[i], a->joined[2 * k + i]);
        if (f.residual)
            low[i] = pairs_of(f.type, code[i], a->joined_low[2 * k + i]);
    }
    if (x86_is_signed(f.type))
        return _mm256_add_epi32(fours_of(f, p[0], low[0], ones),
                                fours_of(f, p[1], low[1], ones));
    return fours_of(f, _mm256_add_epi16(p[0], p[1]), _mm256_add_epi16(low[0], low[1]),
                    ones);
}

/* Blocks 2k and 2k + 1 of a joined type. scale: by block. */
ALWAYS_INLINE __m256 add_joined(struct form f, const __m256i code[2],
                                const struct lanes *a, int k, const float *scale,
                                __m256 sum)
{
    const __m256i spread = _mm256_add_epi32(_mm256_set1_epi32(2 * k),
                                            _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));

    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(joined_dot(f, code, a, k)),
                           _mm256_permutevar8x32_ps(_mm256_loadu_ps(scale), spread),
                           sum);
}

/* Block j of another type. factor: what pairs of products are multiplied with. */
ALWAYS_INLINE __m256 add_block(struct form f, __m256i code, const struct lanes *a,
                               int j, __m256i factor, const float *scale, __m256 sum)
{
    __m256i p = pairs_of(f.type, code, x86_load(a->q + 32 * j)), low = p;

    if (f.residual)
        low = pairs_of(f.type, code, x86_load(a->low + 32 * j));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(fours_of(f, p, low, factor)),
                           _mm256_broadcast_ss(scale + j), sum);
}

/* n_blocks blocks of a row's group. Returns the sums by lane. */
ALWAYS_INLINE __m256 group_sum(struct form f, const unsigned char *group, int n_blocks,
                               const struct scales *s, const struct lanes *a)
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256i code[2], factor = _mm256_set1_epi16(1);

    UNROLL
    for (int j = 0; j < 8; j++) {
        if (j >= n_blocks || (is_joined(f.type) && j % 2 == 1))
            continue;
        if (is_joined(f.type)) {
            const int k = j / 2;
            joined_codes(f.type, group, k, code);
            sum[k % 2] = add_joined(f, code, a, k, s->block, sum[k % 2]);
            continue;
        }
        if (x86_is_narrow(f.type))
            factor = scale_pair(s->integer, j);
        code[0] = x86_codes(f.type, group, j);
        sum[j % 2] = add_block(f, code[0], a, j, factor, s->block, sum[j % 2]);
    }
    return _mm256_add_ps(sum[0], sum[1]);
}

/* Group g of n rows, n_blocks blocks of it. Scales first, for all rows: they take long
 * to come, and the processor looks no further than about one row's products ahead. */
ALWAYS_INLINE void add_group(struct form f, int n, const unsigned char *w,
                             size_t row_bytes, int n_blocks, const struct act *a, int g,
                             __m256 *sum)
{
    struct scales s[ROWS];
    struct lanes x;

    load_lanes(f, a, g, &x);
    UNROLL
    for (int r = 0; r < n; r++)
        sum[r] = _mm256_add_ps(sum[r], load_scales(f.type, w + (size_t)r * row_bytes,
                                                   n_blocks, &x, &s[r]));
    UNROLL
    for (int r = 0; r < n; r++)
        sum[r] = _mm256_add_ps(
            sum[r], group_sum(f, w + (size_t)r * row_bytes, n_blocks, &s[r], &x));
}

/* The last blocks, less than 8, of the group of n rows that begins at `group` in the
 * first. */
ALWAYS_INLINE void add_rest(struct form f, int n, const unsigned char *group,
                            size_t row_bytes, const unsigned char *end, int n_blocks,
                            const struct act *a, int g, __m256 *sum)
{
    unsigned char copy[ROWS][8 * sizeof(struct block_q8_0)];
    const unsigned char *last = group + (size_t)(n - 1) * row_bytes;

    if ((size_t)(end - last) < x86_group_bytes(f.type)) {
        UNROLL
        for (int r = 0; r < n; r++)
            (void)x86_group(f.type, group + (size_t)r * row_bytes, 32 * n_blocks,
                            copy[r]);
        group = copy[0];
        row_bytes = sizeof(copy[0]);
    }
    add_group(f, n, group, row_bytes, n_blocks, a, g, sum);
}

/* n rows, a constant. `end` is where the weight's last row ends. */
ALWAYS_INLINE void some_rows(struct form f, int n, const unsigned char *w,
                             size_t row_bytes, const unsigned char *end,
                             const struct act *a, float *y)
{
    const size_t bytes = x86_group_bytes(f.type);
    const int n_whole = a->n_in / GROUP, n_left = a->n_in % GROUP;
    const size_t whole_bytes = (size_t)n_whole * bytes;
    __m256 sum[ROWS];

    UNROLL
    for (int r = 0; r < n; r++)
        sum[r] = _mm256_setzero_ps();
    for (int g = 0; g < n_whole; g++) {
        x86_ask_ahead(n, w, row_bytes, (size_t)g * bytes, bytes);
        add_group(f, n, w + (size_t)g * bytes, row_bytes, 8, a, g, sum);
    }
    if (x86_is_small(f.type) && n_left > 0) {
        x86_ask_rest(n, w, row_bytes, whole_bytes, row_bytes - whole_bytes);
        add_rest(f, n, w + whole_bytes, row_bytes, end, n_left / 32, a, n_whole, sum);
    }
    UNROLL
    for (int r = 0; r < n; r++)
        y[r] = sum8(sum[r]);
}

/* How many rows go together: one where that costs no more arithmetic, since memory is
 * fastest where it is read in one stream (Zen 4, two threads: +3 to 7 %). */
ALWAYS_INLINE int rows_of(enum tensor_type type)
{
    return type == TYPE_Q8_0 || type == TYPE_Q6_K ? 1 : ROWS;
}

ALWAYS_INLINE void form_rows(enum tensor_type type, int n, const unsigned char *w,
                             size_t row_bytes, const unsigned char *end,
                             const struct act *a, float *y)
{
    const struct form one = {type, false}, two = {type, true};

    if (a->residual)
        some_rows(two, n, w, row_bytes, end, a, y);
    else
        some_rows(one, n, w, row_bytes, end, a, y);
}

ALWAYS_INLINE void matvec(enum tensor_type type, const unsigned char *w,
                          size_t row_bytes, int n_rows, const struct act *a, float *y)
{
    const unsigned char *end = w + (size_t)n_rows * row_bytes;
    const int step = rows_of(type);
    int r = 0;

    for (; r + step <= n_rows; r += step)
        form_rows(type, step, w + (size_t)r * row_bytes, row_bytes, end, a, y + r);
    for (; r < n_rows; r++)
        form_rows(type, 1, w + (size_t)r * row_bytes, row_bytes, end, a, y + r);
}

/* ---- float weights ---- */

ALWAYS_INLINE float dot_row(enum tensor_type type, const unsigned char *row,
                            const float *x, int n)
{
    const size_t size = type == TYPE_F32 ? 4 : 2;
    __m256 sum[4];
    float total;
    int i = 0;

    UNROLL
    for (int j = 0; j < 4; j++)
        sum[j] = _mm256_setzero_ps();
    for (; i + 32 <= n; i += 32) {
        x86_ask_ahead(1, row + size * (size_t)i, 0, 0, 32 * size);
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

/* ---- the table ---- */

#define QUANTISED(type) MATVEC(type, matvec)
#define FLOAT(type) MATVEC(type, matvec_float)

EACH_QUANTISED(QUANTISED)
EACH_FLOAT(FLOAT)

const matvec_fn avx2_matvec[KERNEL_TYPES] = {EACH_TYPE(MATVEC_ROW)};
