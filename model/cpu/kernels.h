/* SPDX-License-Identifier: MIT
 *
 * The inner loops of the CPU back end, as one table an instruction set.
 *
 * Products come in two kinds. With one row of activations (decode) memory is the limit:
 * `matvec` reads the blocks of a weight as they lie in the file, once. With many
 * (prefill) arithmetic is: `pack` unpacks a panel, panel_rows rows of a weight, once,
 * into the order in which `gemm` consumes them, and `gemm` uses it for all rows of
 * activations.
 *
 * Against quantised weights, activations are quantised too: int8, one scale for 32
 * values (struct act). Against float weights one row stays float, and many take 16 bits
 * each (struct wide_kernels).
 */
#ifndef HADAL_MODEL_CPU_KERNELS_H
#define HADAL_MODEL_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACT_PAD = 256,     /* quantised rows are padded with zeros to a multiple of it */
    KERNEL_TYPES = 32, /* room for every enum tensor_type */
    PANEL_ROWS_MAX = 32,
    PANEL_K = 4096,             /* values of a row that a panel holds at most */
    PANEL_K_WIDE = PANEL_K / 2, /* ... where they have 16 bits */
};

/* What a product reads of activations, besides floats. */
enum act_form {
    ACT_INT8,  /* records of 8 bits a value, see below */
    ACT_INT16, /* records of a struct wide_kernels */
    ACT_BF16,
    ACT_FORMS,
};

/* Rows of activations, each [n_in]. x: float rows, x_stride floats apart. q: records of
 * the form that a kernel reads, q_stride bytes apart (or NULL). That of ACT_INT8 is
 * five arrays,
 *
 *   int8_t  q[n_pad]            value = scale * q
 *   float   pair[n_pad/256][2][8]  8 scales of 32 values each; 8 times scale * sum of
 *                               q, which a weight's minimum is multiplied with
 *   float   sum16[n_pad/16]     the same sums of 16 values
 *   int32_t bias32[n_pad/32]    -128 * sum of q: undoes an offset of 128 of codes
 *   int32_t bias16[n_pad/16]
 *
 * with n_pad = n_in rounded up to ACT_PAD. Kernels read one record a row. Where
 * `residual` is set a second one follows it, of what the first left over (x - scale *
 * q), whose scales are the first's / 256: both together are 16 bits, scale / 256 *
 * (256 q + q2), which a product may add up as such (matvec) or one after the other
 * (gemm.c). */
struct act {
    int n_in, n_pad;
    const float *x;
    size_t x_stride;
    const unsigned char *q;
    size_t q_stride;
    bool residual;
    struct {
        const unsigned char *q; /* or NULL */
        size_t q_stride;
    } form[ACT_FORMS]; /* what there is; gemm_run makes one of them q */
};

static inline int act_padded(int n_in)
{
    return (n_in + ACT_PAD - 1) / ACT_PAD * ACT_PAD;
}

/* Offsets in a record, in bytes. Of the scale of block `block` (of 32); its sum is 8
 * floats behind. */
static inline size_t act_at_pair(int n_pad, int block)
{
    return (size_t)n_pad + sizeof(float) * (size_t)(block / 8 * 16 + block % 8);
}
/* Of the other arrays' beginnings. */
static inline size_t act_at_sum16(int n_pad)
{
    return (size_t)n_pad / 8 * 10;
}
static inline size_t act_at_bias32(int n_pad)
{
    return (size_t)n_pad / 8 * 12;
}
static inline size_t act_at_bias16(int n_pad)
{
    return (size_t)n_pad / 8 * 13;
}
/* Bytes of a record: a multiple of 64, since n_pad is one of 256. */
static inline size_t act_record_bytes(int n_pad)
{
    return (size_t)n_pad * 2;
}

/* Unpacked rows of a quantised weight, of R = panel_rows rows, for columns k0..k1.
 * Element [k] of row r is scale * (q - offset) or scale * q + min; the order of the
 * arrays, and which are used, is between the `pack` and `gemm` of one table (`kind`).
 */
struct panel {
    int kind;
    int k0, k1;     /* multiples of 32; k1 - k0 <= PANEL_K */
    uint8_t *q;     /* (k1-k0) * R, with room for PANEL_K * R */
    float *scale;   /* (k1-k0)/16 or /32 * R, with room for PANEL_K/16 * R */
    float *min;     /* the same */
    int32_t *cross; /* as many, with room for PANEL_K_WIDE/16 * R: avx512_int16.c */
    const unsigned char *next; /* the rows that this thread packs next, if memory is to
                                  be asked for them meanwhile: avx512_bf16.c */
};

/* y[r] = sum over i of w[r][i] * a[i] for n_rows rows; `a` has one row, of which both
 * records are read where there are two. */
typedef void (*matvec_fn)(const unsigned char *w, size_t row_bytes, int n_rows,
                          const struct act *a, float *y);
/* Fills p from rows 0..n_rows-1 (at most panel_rows; the others become zero). */
typedef void (*pack_fn)(const unsigned char *w, size_t row_bytes, int n_rows,
                        struct panel *p);
/* Columns k0..k1 of n_rows rows as floats, transposed: panel[k - k0][panel_rows]. */
typedef void (*pack_f32_fn)(const unsigned char *w, size_t row_bytes, int n_rows,
                            int k0, int k1, float *panel);

/* y[c * ldy + r] (+)= sum over k of panel[r][k] * a[c][k], rows r < n_rows, columns
 * (rows of activations) c < n_cols. */
typedef void (*gemm_fn)(const struct panel *p, int n_rows, const struct act *a,
                        int n_cols, float *y, size_t ldy, bool add);

/* Panels times rows of activations that have 16 bits a value, in a record of the
 * table's own. `pack`: a type without one goes with the panels of struct cpu_kernels,
 * if quantised. `pays`: whether such types do even where 8 bits would suffice, since
 * this product is the faster one; NULL: none does. */
struct wide_kernels {
    const bool *pays; /* [KERNEL_TYPES] */
    size_t (*record_bytes)(int n_pad);
    void (*record)(const float *x, int n, unsigned char *record);
    pack_fn pack[KERNEL_TYPES];
    gemm_fn gemm;
};

/* Attention to latent rows as integers of 16 bits: `split` values of a latent, then
 * those of a rotated key up to `width`, both padded with zeros to multiples of 32, and
 * a scale for each of the two. LATENT_HEADS heads are taken together, up to LATENT_TILE
 * rows at a time.
 *
 * Sums stay in 32 bits: of rows and queries by their lengths (|sum| is at most the
 * product of the two, for each part of a sum too), of weights and values since the
 * weights sum up to at most 2^16. */
enum {
    LATENT_HEADS = 16,
    LATENT_TILE = 128,
    LATENT_ROW_LENGTH = 65400, /* of a row's integers, the root of the sum of squares */
    LATENT_QUERY_LENGTH = 32700,
    LATENT_WEIGHTS = 65400, /* sum of a tile's */
    LATENT_Q8_UNIT = 128,   /* a scale of a block of Q8_0 is so many of these */
};
/* What is smaller counts as 0: its square would not be a normal number. */
#define LATENT_SCALE_MIN 1e-20F
#define LATENT_UNIT_MIN 1e-30F

struct latent_tile {
    const int16_t *q;     /* [width / 2][LATENT_HEADS][2] */
    const float *q_scale; /* [2][LATENT_HEADS] */
    const int16_t *row;   /* [n_rows][stride] */
    size_t stride;
    const float *row_scale; /* [n_rows][2] */
    int split, width, n_rows;
    const int16_t *next; /* the rows after these: to be asked for meanwhile */
};

/* The softmax of LATENT_HEADS heads, tile by tile (see attn_soften), and of the last
 * tile the integers' scale and what sums of earlier ones are to be multiplied with. */
struct latent_state {
    float m[LATENT_HEADS], l[LATENT_HEADS], scale[LATENT_HEADS], fade[LATENT_HEADS];
};

struct latent_kernels {
    /* n floats as integers of at most this length, padded; returns their scale. What is
     * not finite is so in the scale alone. */
    float (*narrow)(const float *x, int n, float length, int16_t *out);
    /* and back */
    void (*widen)(const int16_t *q, float scale, int n, float *out);
    /* n values of Q8_0, a multiple of 32, as integers of that scale */
    void (*from_q8_0)(const unsigned char *blocks, int n, float scale, int16_t *out);

    /* score[row][head] */
    void (*scores)(const struct latent_tile *t, float *score);
    /* Scores to weights: e^(score - m), times the latent's scale, as integers, [row /
     * 2] [head][row % 2]. Writes into score. */
    void (*weights)(const struct latent_tile *t, float *score, struct latent_state *s,
                    int32_t *weight);
    /* u[head][v_width] (+)= the sum of weights and latents; v_width <= split */
    void (*values)(const struct latent_tile *t, const int32_t *weight,
                   const struct latent_state *s, int n_heads, float *u, int v_width,
                   bool add);
};

struct cpu_kernels {
    const char *name;     /* as HADAL_CPU names it */
    const char *features; /* "avx2+fma+f16c" */
    int panel_rows;

    /* [KERNEL_TYPES]. matvec and pack_f32: every type of quant.h that holds weights.
     * pack: those types whose products (matvec too) read quantised activations; the
     * others read floats.
     */
    const matvec_fn *matvec;
    const pack_fn *pack;
    const pack_f32_fn *pack_f32;

    gemm_fn gemm;
    /* The same in float: panel [n_k][stride], of which panel_rows columns are read, and
     * x[c * x_stride + k]. */
    void (*gemm_f32)(const float *panel, size_t stride, int n_k, int n_rows,
                     const float *x, size_t x_stride, int n_cols, float *y, size_t ldy,
                     bool add);

    const struct wide_kernels *int16;    /* or NULL */
    const struct latent_kernels *latent; /* or NULL: attention in floats */

    /* out[i * ld + j] = x_i . y_j: n_x rows of x, n_y of y, n values each; n is a
     * multiple of 32. */
    void (*dots)(const float *x, size_t x_stride, int n_x, const float *y,
                 size_t y_stride, int n_y, int n, float *out, size_t ld);

    /* Quantises n values into one record, and what it leaves over into a second one
     * (or NULL). No function where pack has none. */
    void (*quantize)(const float *x, int n, unsigned char *record,
                     unsigned char *second);
    /* y = x * gain / sqrt(mean(x^2) + eps) */
    void (*rms_norm)(float *y, const float *x, const float *gain, int n, float eps);
    /* h[i] = silu(gate[i]) * up[i] */
    void (*swiglu)(float *h, const float *gate, const float *up, int n);
    /* x[i] = exp(x[i] - max); returns the sum. -inf gives 0. */
    float (*exp_sum)(float *x, int n, float max);
    float (*max)(const float *x, int n);
    /* y += a * x; y *= a */
    void (*axpy)(float *y, float a, const float *x, int n);
    void (*scale)(float *y, float a, int n);
    void (*f16_to_f32)(const uint16_t *h, float *x, int n);
    void (*f32_to_f16)(const float *x, uint16_t *h, int n);
    /* n values to blocks of Q8_0, the last one padded with zeros, and n, a multiple of
     * 32, back. What is not finite makes its block NaN. */
    void (*f32_to_q8_0)(const float *x, int n, unsigned char *blocks);
    void (*q8_0_to_f32)(const unsigned char *blocks, float *x, int n);
    /* x = H x, where H is orthogonal, symmetric and made of Hadamard matrices, whose
     * elements are +-1/sqrt(size): one for each power of two from 8 on that n is the
     * sum of, the largest first. Up to 7 values behind them stay. */
    void (*hadamard)(float *x, int n);
};

/* Runs X(type) for each type that holds weights. */
#define EACH_FLOAT(X) X(F32) X(F16) X(BF16)
#define EACH_QUANTISED(X)                                                              \
    X(Q4_0)                                                                            \
    X(Q4_1)                                                                            \
    X(Q5_0)                                                                            \
    X(Q5_1)                                                                            \
    X(Q8_0)                                                                            \
    X(Q2_K)                                                                            \
    X(Q3_K)                                                                            \
    X(Q4_K)                                                                            \
    X(Q5_K)                                                                            \
    X(Q6_K)                                                                            \
    X(IQ4_NL)                                                                          \
    X(IQ4_XS)
#define EACH_TYPE(X) EACH_FLOAT(X) EACH_QUANTISED(X)

/* A kernel of one type, and its place in a table: fn, whose first argument is the type,
 * compiled for this one. */
#define MATVEC(type, fn)                                                               \
    static void matvec_##type(const unsigned char *w, size_t row_bytes, int n_rows,    \
                              const struct act *a, float *y)                           \
    {                                                                                  \
        fn(TYPE_##type, w, row_bytes, n_rows, a, y);                                   \
    }
#define MATVEC_ROW(type) [TYPE_##type] = matvec_##type,
#define PACK(type, fn)                                                                 \
    static void pack_##type(const unsigned char *w, size_t row_bytes, int n_rows,      \
                            struct panel *p)                                           \
    {                                                                                  \
        fn(TYPE_##type, w, row_bytes, n_rows, p);                                      \
    }
#define PACK_ROW(type) [TYPE_##type] = pack_##type,
#define PACK_F32(type, fn)                                                             \
    static void pack_f32_##type(const unsigned char *w, size_t row_bytes, int n_rows,  \
                                int k0, int k1, float *panel)                          \
    {                                                                                  \
        fn(TYPE_##type, w, row_bytes, n_rows, k0, k1, panel);                          \
    }
#define PACK_F32_ROW(type) [TYPE_##type] = pack_f32_##type,

extern const struct cpu_kernels cpu_kernels_scalar;
#if defined(__x86_64__)
extern const struct cpu_kernels cpu_kernels_avx2;   /* AVX2, FMA, F16C */
extern const struct cpu_kernels cpu_kernels_avx512; /* and F, BW, DQ, VL, VNNI */
extern const struct wide_kernels wide_avx2_int16;
extern const struct wide_kernels wide_avx512_int16;
extern const struct latent_kernels latent_avx2;
extern const struct latent_kernels latent_avx512;
extern const struct wide_kernels wide_avx512_bf16; /* and BF16 */
#endif

#endif
