/* SPDX-License-Identifier: MIT
 *
 * Kernels in plain C, for processors without any of the instruction sets that have a
 * file of their own: rows of weights become floats (quant.c), and the rest is float.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/blocks.h"
#include "model/cpu/kernels.h"
#include "model/quant.h"

enum {
    R = 16,      /* panel_rows */
    CHUNK = 256, /* values unpacked at a time: a multiple of every block */
};

static float dot(const float *a, const float *b, int n)
{
    float sum[8] = {0};
    int i = 0;

    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            sum[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sum[i % 8] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) +
           ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Type of row as the functions below see it: quant.c's reader of it. */
static inline void matvec_any(enum tensor_type type, const unsigned char *w,
                              size_t row_bytes, int n_rows, const struct act *a,
                              float *y)
{
    const struct quant_type *t = quant_find(type);
    float chunk[CHUNK];

    for (int r = 0; r < n_rows; r++) {
        const unsigned char *row = w + (size_t)r * row_bytes;
        float sum = 0;
        for (int k = 0; k < a->n_in; k += CHUNK) {
            int n = a->n_in - k < CHUNK ? a->n_in - k : CHUNK;
            t->to_f32(row + quant_row_bytes(t, k), chunk, n);
            sum += dot(chunk, a->x + k, n);
        }
        y[r] = sum;
    }
}

static inline void pack_f32_any(enum tensor_type type, const unsigned char *w,
                                size_t row_bytes, int n_rows, int k0, int k1,
                                float *panel)
{
    const struct quant_type *t = quant_find(type);
    float chunk[CHUNK];

    for (int r = 0; r < R; r++) {
        const unsigned char *row = w + (size_t)r * row_bytes;
        for (int k = k0; k < k1; k += CHUNK) {
            int n = k1 - k < CHUNK ? k1 - k : CHUNK;
            memset(chunk, 0, sizeof(chunk));
            if (r < n_rows)
                t->to_f32(row + quant_row_bytes(t, k), chunk, n);
            for (int i = 0; i < n; i++)
                panel[(size_t)(k - k0 + i) * R + (size_t)r] = chunk[i];
        }
    }
}

#define MATVEC_ANY(type) MATVEC(type, matvec_any)
#define PACK_F32_ANY(type) PACK_F32(type, pack_f32_any)

EACH_TYPE(MATVEC_ANY)
EACH_TYPE(PACK_F32_ANY)

static void gemm_f32(const float *panel, size_t stride, int n_k, int n_rows,
                     const float *x, size_t x_stride, int n_cols, float *y, size_t ldy,
                     bool add)
{
    for (int c = 0; c < n_cols; c++) {
        float acc[R] = {0};
        for (int k = 0; k < n_k; k++) {
            float a = x[(size_t)c * x_stride + (size_t)k];
            for (int r = 0; r < R; r++)
                acc[r] += a * panel[(size_t)k * stride + (size_t)r];
        }
        for (int r = 0; r < n_rows; r++) {
            float *out = y + (size_t)c * ldy + r;
            *out = add ? *out + acc[r] : acc[r];
        }
    }
}

static void dots(const float *x, size_t x_stride, int n_x, const float *y,
                 size_t y_stride, int n_y, int n, float *out, size_t ld)
{
    for (int i = 0; i < n_x; i++)
        for (int j = 0; j < n_y; j++)
            out[(size_t)i * ld + (size_t)j] =
                dot(x + (size_t)i * x_stride, y + (size_t)j * y_stride, n);
}

static void rms_norm(float *y, const float *x, const float *gain, int n, float eps)
{
    float scale = 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);

    for (int i = 0; i < n; i++)
        y[i] = x[i] * scale * gain[i];
}

static void swiglu(float *h, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        h[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static float exp_sum(float *x, int n, float max)
{
    float sum = 0;

    for (int i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    return sum;
}

static float max_of(const float *x, int n)
{
    float max = -INFINITY;

    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static void axpy(float *y, float a, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void scale_by(float *y, float a, int n)
{
    for (int i = 0; i < n; i++)
        y[i] *= a;
}

static void f16_to_f32(const uint16_t *h, float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = quant_f16_to_f32(h[i]);
}

static void f32_to_f16(const float *x, uint16_t *h, int n)
{
    for (int i = 0; i < n; i++)
        h[i] = quant_f32_to_f16(x[i]);
}

static void f32_to_q8_0(const float *x, int n, unsigned char *blocks)
{
    for (int i = 0; i < n; i += 32, blocks += sizeof(struct block_q8_0)) {
        const int len = n - i < 32 ? n - i : 32;
        float max = 0, zero = 0, d, inverse;
        uint16_t h;

        for (int j = 0; j < len; j++) {
            max = fmaxf(max, fabsf(x[i + j]));
            zero += x[i + j] - x[i + j]; /* NaN if one is not finite */
        }
        h = quant_f32_to_f16(max / 127.0f + zero);
        d = quant_f16_to_f32(h);
        inverse = d > 0 ? 1.0f / d : 0.0f;
        memset(blocks, 0, sizeof(struct block_q8_0));
        memcpy(blocks, &h, sizeof(h));
        for (int j = 0; j < len; j++) {
            float q = fminf(fmaxf(rintf(x[i + j] * inverse), -127.0f), 127.0f);
            blocks[sizeof(h) + (size_t)j] = (unsigned char)(signed char)q;
        }
    }
}

static void q8_0_to_f32(const unsigned char *blocks, float *x, int n)
{
    quant_find(TYPE_Q8_0)->to_f32(blocks, x, n);
}

/* The sums and differences of pairs `h` apart, for h = 1, 2, 4, ... */
static void hadamard(float *x, int n)
{
    for (int size; n >= 8; x += size, n -= size) {
        for (size = 8; 2 * size <= n;)
            size *= 2;
        for (int h = 1; h < size; h *= 2)
            for (int i = 0; i < size; i++)
                if ((i & h) == 0) {
                    float a = x[i], b = x[i + h];
                    x[i] = a + b;
                    x[i + h] = a - b;
                }
        scale_by(x, 1.0f / sqrtf((float)size), size);
    }
}

static const matvec_fn matvec[KERNEL_TYPES] = {EACH_TYPE(MATVEC_ROW)};
/* There is none: products read floats. */
static const pack_fn pack[KERNEL_TYPES];
static const pack_f32_fn pack_f32[KERNEL_TYPES] = {EACH_TYPE(PACK_F32_ROW)};

const struct cpu_kernels cpu_kernels_scalar = {
    .name = "scalar",
    .features = "scalar",
    .panel_rows = R,
    .matvec = matvec,
    .pack = pack,
    .pack_f32 = pack_f32,
    .gemm_f32 = gemm_f32,
    .dots = dots,
    .rms_norm = rms_norm,
    .swiglu = swiglu,
    .exp_sum = exp_sum,
    .max = max_of,
    .axpy = axpy,
    .scale = scale_by,
    .f16_to_f32 = f16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .f32_to_q8_0 = f32_to_q8_0,
    .q8_0_to_f32 = q8_0_to_f32,
    .hadamard = hadamard,
};
