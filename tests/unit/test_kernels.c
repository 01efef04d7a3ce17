/* SPDX-License-Identifier: MIT
 *
 * The kernels of every instruction set that this processor has, against quant.c and
 * sums in double: products on odd shapes and of every type, and the element-wise
 * kernels.
 *
 * Products with quantised activations are compared with the exact product of the same
 * quantised activations, so that the tolerance is that of float sums.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/detect.h"
#include "src/base/mem.h"
#include "tests/ops/random.h"
#include "tests/test.h"

/* Runs `fn` for each table. */
static void each_table(void (*fn)(const struct cpu_kernels *k))
{
    const struct cpu_kernels *k;

    for (int i = 0; (k = detect_nth(i)) != NULL; i++)
        fn(k);
}

/* A product [n_out][n_in] x [n_cols][n_in], in all the forms that the tests need. */
struct sample {
    const struct quant_type *type;
    int n_out, n_in, n_cols;
    size_t row_bytes;
    unsigned char *w;
    float *x;            /* as given */
    double *x_seen;      /* as the kernels see it: after quantisation */
    double *want, *size; /* [n_cols][n_out]: sum of w x, and of |w x| */
    struct act a;
    unsigned char *records;
};

/* Value i of a record. */
static double value_of(const struct sample *s, const unsigned char *record, int i)
{
    float scale;

    memcpy(&scale, record + act_at_pair(s->a.n_pad, i / 32), sizeof(scale));
    return (double)scale * (double)(signed char)record[i];
}

static void fill_seen(struct sample *s, bool quantised)
{
    for (int c = 0; c < s->n_cols; c++)
        for (int i = 0; i < s->n_in; i++) {
            size_t at = (size_t)c * (size_t)s->n_in + (size_t)i;
            const unsigned char *q = s->records + (size_t)c * s->a.q_stride;

            s->x_seen[at] = (double)s->x[at];
            if (!quantised)
                continue;
            s->x_seen[at] = value_of(s, q, i);
            if (s->a.residual)
                s->x_seen[at] += value_of(s, q + act_record_bytes(s->a.n_pad), i);
        }
}

static void fill_want(struct sample *s)
{
    float *row = mem_array((size_t)s->n_in, sizeof(float));

    for (int r = 0; r < s->n_out; r++) {
        s->type->to_f32(s->w + (size_t)r * s->row_bytes, row, s->n_in);
        for (int c = 0; c < s->n_cols; c++) {
            size_t at = (size_t)c * (size_t)s->n_out + (size_t)r;
            for (int i = 0; i < s->n_in; i++) {
                double p =
                    (double)row[i] * s->x_seen[(size_t)c * (size_t)s->n_in + (size_t)i];
                s->want[at] += p;
                s->size[at] += fabs(p);
            }
        }
    }
    free(row);
}

static struct sample sample_open(const struct cpu_kernels *k, enum tensor_type type,
                                 int n_out, int n_in, int n_cols, bool residual)
{
    struct random rnd = {(uint64_t)(n_out * 7919 + n_in * 31 + n_cols) + type};
    struct sample s = {
        .type = quant_find(type), .n_out = n_out, .n_in = n_in, .n_cols = n_cols};
    size_t out = (size_t)n_out, in = (size_t)n_in, cols = (size_t)n_cols;
    bool quantised = k->pack[type] != NULL;

    s.row_bytes = quant_row_bytes(s.type, n_in);
    s.w = mem_alloc(out * s.row_bytes);
    for (size_t r = 0; r < out; r++)
        random_row(&rnd, s.type, s.w + r * s.row_bytes, n_in);
    s.x = mem_array(cols * in, sizeof(float));
    random_floats(&rnd, s.x, cols * in);
    s.x_seen = mem_array(cols * in, sizeof(double));
    s.want = mem_array(cols * out, sizeof(double));
    s.size = mem_array(cols * out, sizeof(double));
    s.a = (struct act){.n_in = n_in,
                       .n_pad = act_padded(n_in),
                       .x = s.x,
                       .x_stride = in,
                       .q_stride = 2 * act_record_bytes(act_padded(n_in)),
                       .residual = residual};
    s.records = mem_try(cols, s.a.q_stride, "records", NULL);
    for (size_t c = 0; quantised && c < cols; c++)
        k->quantize(s.x + c * in, n_in, s.records + c * s.a.q_stride,
                    residual ? s.records + c * s.a.q_stride + s.a.q_stride / 2 : NULL);
    s.a.q = s.records;
    fill_seen(&s, quantised);
    fill_want(&s);
    return s;
}

static void sample_release(struct sample *s)
{
    free(s->w);
    free(s->x);
    free(s->x_seen);
    free(s->want);
    free(s->size);
    free(s->records);
}

/* got: [n_cols][n_out]; error: by which part of the sum of |w x| it may be off. */
static void check_within(const struct cpu_kernels *k, const struct sample *s,
                         const float *got, double error, const char *what)
{
    for (int i = 0; i < s->n_cols * s->n_out; i++)
        if (!(fabs((double)got[i] - s->want[i]) <= error * s->size[i] + 1e-7)) {
            FAIL("%s %s %s [%d][%d] x %d: column %d row %d is %g, not %g", k->name,
                 s->type->name, what, s->n_out, s->n_in, s->n_cols, i / s->n_out,
                 i % s->n_out, (double)got[i], s->want[i]);
            return;
        }
}

static void check_sample(const struct cpu_kernels *k, const struct sample *s,
                         const float *got, const char *what)
{
    check_within(k, s, got, 3e-6, what);
}

static void check_matvec(const struct cpu_kernels *k, enum tensor_type type, int n_out,
                         int n_in, bool residual)
{
    struct sample s = sample_open(k, type, n_out, n_in, 1, residual);
    float *y = mem_array((size_t)n_out, sizeof(float));

    k->matvec[type](s.w, s.row_bytes, n_out, &s.a, y);
    check_sample(k, &s, y, "matvec");
    free(y);
    sample_release(&s);
}

static void matvec_of(const struct cpu_kernels *k)
{
    static const int widths[] = {32,   96,   128,   160,   256,  512,
                                 1408, 2048, 10944, 12544, 12704};

    for (size_t t = 0; t < random_n_types; t++)
        for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
            for (int n_out = 1; n_out <= 9 && (i < 4 || n_out <= 5); n_out++)
                if (widths[i] % quant_find(random_types[t])->block_elems == 0)
                    check_matvec(k, random_types[t], n_out, widths[i], n_out % 2 == 0);
}

static void test_matvec(void)
{
    each_table(matvec_of);
}

/* Rows of float weights need not be a multiple of anything. */
static void float_widths_of(const struct cpu_kernels *k)
{
    for (int n_in = 1; n_in < 70; n_in++) {
        check_matvec(k, TYPE_F32, 3, n_in, false);
        check_matvec(k, TYPE_F16, 5, n_in, false);
        check_matvec(k, TYPE_BF16, 4, n_in, false);
    }
}

static void test_float_widths(void)
{
    each_table(float_widths_of);
}

static struct panel panel_open(int rows)
{
    size_t r = (size_t)rows;
    struct panel p = {0};

    p.q = mem_try(r, PANEL_K, "panel", NULL);
    p.scale = mem_try(r * PANEL_K / 16, sizeof(float), "panel", NULL);
    p.min = mem_try(r * PANEL_K / 16, sizeof(float), "panel", NULL);
    p.cross = mem_try(r * PANEL_K_WIDE / 16, sizeof(int32_t), "panel", NULL);
    return p;
}

static void panel_release(struct panel *p)
{
    free(p->q);
    free(p->scale);
    free(p->min);
    free(p->cross);
}

/* The product by panels of at most `width` columns, onto ones that are taken off. */
static void multiply_panels(const struct cpu_kernels *k, const struct sample *s,
                            int width, float *y)
{
    struct panel p = panel_open(k->panel_rows);
    float *floats =
        mem_try((size_t)k->panel_rows * (size_t)width, sizeof(float), "panel", NULL);
    size_t ldy = (size_t)s->n_out;

    for (int r = 0; r < s->n_out; r += k->panel_rows)
        for (int k0 = 0; k0 < s->n_in; k0 += width) {
            int n = s->n_out - r < k->panel_rows ? s->n_out - r : k->panel_rows;
            int k1 = s->n_in - k0 < width ? s->n_in : k0 + width;
            const unsigned char *w = s->w + (size_t)r * s->row_bytes;
            if (k->pack[s->type->type] != NULL) {
                p.k0 = k0;
                p.k1 = k1;
                k->pack[s->type->type](w, s->row_bytes, n, &p);
                k->gemm(&p, n, &s->a, s->n_cols, y + r, ldy, k0 > 0);
            } else {
                k->pack_f32[s->type->type](w, s->row_bytes, n, k0, k1, floats);
                k->gemm_f32(floats, (size_t)k->panel_rows, k1 - k0, n, s->x + k0,
                            (size_t)s->n_in, s->n_cols, y + r, ldy, k0 > 0);
            }
        }
    free(floats);
    panel_release(&p);
}

static void check_gemm(const struct cpu_kernels *k, enum tensor_type type, int n_out,
                       int n_in, int n_cols)
{
    struct sample s = sample_open(k, type, n_out, n_in, n_cols, false);
    size_t n = (size_t)n_out * (size_t)n_cols;
    float *y = mem_array(n + 1, sizeof(float));

    y[n] = 12345;
    multiply_panels(k, &s, n_in > 1024 ? 1024 : PANEL_K, y);
    check_sample(k, &s, y, "gemm");
    CHECK(y[n] == 12345);
    free(y);
    sample_release(&s);
}

static void gemm_of(const struct cpu_kernels *k)
{
    static const int widths[] = {32, 96, 256, 1408, 2048};
    static const int outs[] = {1, 8, 15, 33};

    for (size_t t = 0; t < random_n_types; t++)
        for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
            for (int n_cols = 1; n_cols <= 17; n_cols += n_cols < 9 ? 1 : 4)
                if (widths[i] % quant_find(random_types[t])->block_elems == 0)
                    check_gemm(k, random_types[t], outs[(size_t)n_cols % 4], widths[i],
                               n_cols);
}

static void test_gemm(void)
{
    each_table(gemm_of);
}

/* Records of 16 bits, and the product by panels of at most `width` columns. */
static void multiply_wide(const struct cpu_kernels *k, const struct wide_kernels *wide,
                          const struct sample *s, int width, float *y)
{
    pack_fn pack = wide->pack[s->type->type] != NULL ? wide->pack[s->type->type]
                                                     : k->pack[s->type->type];
    struct panel p = panel_open(k->panel_rows);
    struct act a = s->a;
    unsigned char *records;

    a.q_stride = wide->record_bytes(a.n_pad);
    records = mem_try((size_t)s->n_cols, a.q_stride, "records", NULL);
    memset(records, 0x55, (size_t)s->n_cols * a.q_stride);
    for (int c = 0; c < s->n_cols; c++)
        wide->record(s->x + (size_t)c * (size_t)s->n_in, s->n_in,
                     records + (size_t)c * a.q_stride);
    a.q = records;
    p.next = s->w;
    for (int r = 0; r < s->n_out; r += k->panel_rows)
        for (p.k0 = 0; p.k0 < s->n_in; p.k0 = p.k1) {
            int n = s->n_out - r < k->panel_rows ? s->n_out - r : k->panel_rows;

            p.k1 = s->n_in - p.k0 < width ? s->n_in : p.k0 + width;
            pack(s->w + (size_t)r * s->row_bytes, s->row_bytes, n, &p);
            wide->gemm(&p, n, &a, s->n_cols, y + r, (size_t)s->n_out, p.k0 > 0);
        }
    free(records);
    panel_release(&p);
}

static void check_wide(const struct cpu_kernels *k, const struct wide_kernels *wide,
                       enum tensor_type type, int n_out, int n_in, int n_cols)
{
    struct sample s = sample_open(k, type, n_out, n_in, n_cols, false);
    size_t n = (size_t)n_out * (size_t)n_cols;
    float *y = mem_array(n + 1, sizeof(float));

    memset(s.want, 0, n * sizeof(double)); /* that of the activations as given */
    memset(s.size, 0, n * sizeof(double));
    fill_seen(&s, false);
    fill_want(&s);
    y[n] = 12345;
    multiply_wide(k, wide, &s, n_in > 1024 ? 1024 : PANEL_K_WIDE, y);
    check_within(k, &s, y, wide == k->int16 ? 2e-3 : 4e-3, "wide gemm");
    CHECK(y[n] == 12345);
    s.x[n_in / 2] = INFINITY; /* is not lost, and stays in its row */
    multiply_wide(k, wide, &s, PANEL_K_WIDE, y);
    CHECK(!isfinite(y[0]) && (n_cols == 1 || isfinite(y[n - 1])));
    free(y);
    sample_release(&s);
}

static void wide_of(const struct cpu_kernels *k)
{
    static const int widths[] = {32, 96, 256, 1408, 2048, 1, 7, 333};
    static const int outs[] = {1, 8, 15, 33};
    const struct wide_kernels *tables[] = {k->int16, detect_bf16(k)};

    for (size_t i = 0; i < 2 * random_n_types; i++) {
        const struct wide_kernels *wide = tables[i % 2];
        enum tensor_type type = random_types[i / 2];

        if (wide == NULL ||
            (wide->pack[type] == NULL && (k->pack[type] == NULL || wide != k->int16)))
            continue;
        for (size_t j = 0; j < sizeof(widths) / sizeof(widths[0]); j++)
            for (int n_cols = 1; n_cols <= 25; n_cols += n_cols < 13 ? 1 : 4)
                if (widths[j] % quant_find(type)->block_elems == 0)
                    check_wide(k, wide, type, outs[n_cols % 4], widths[j], n_cols);
    }
}

static void test_wide(void)
{
    each_table(wide_of);
}

/* pack_f32 gives every type's exact values. */
static void pack_f32_of(const struct cpu_kernels *k)
{
    const int n_in = 512, r = k->panel_rows;
    float *panel = mem_try((size_t)(r * n_in), sizeof(float), "panel", NULL);
    float *row = mem_array((size_t)n_in, sizeof(float));

    for (size_t t = 0; t < random_n_types; t++) {
        struct sample s = sample_open(k, random_types[t], r - 1, n_in, 1, false);
        k->pack_f32[random_types[t]](s.w, s.row_bytes, r - 1, 256, n_in, panel);
        for (int i = 0; i < r; i++) {
            memset(row, 0, (size_t)n_in * sizeof(float));
            if (i < r - 1)
                s.type->to_f32(s.w + (size_t)i * s.row_bytes, row, n_in);
            for (int c = 256; c < n_in; c++) {
                float got = panel[(c - 256) * r + i];
                if (!(fabsf(got - row[c]) <=
                      1e-6f * (fabsf(row[c]) + 1 / sqrtf((float)n_in))) &&
                    !FAIL("%s pack_f32 %s: [%d][%d] is %g, not %g", k->name,
                          s.type->name, i, c, (double)got, (double)row[c]))
                    goto done;
            }
        }
    done:
        sample_release(&s);
    }
    free(row);
    free(panel);
}

static void test_pack_f32(void)
{
    each_table(pack_f32_of);
}

/* The sums of a record are those of its codes. */
static void check_sums(const unsigned char *record, int n_pad)
{
    const float *sum16 = (const void *)(record + act_at_sum16(n_pad));
    const int32_t *bias32 = (const void *)(record + act_at_bias32(n_pad));
    const int32_t *bias16 = (const void *)(record + act_at_bias16(n_pad));

    for (int b = 0; b < n_pad / 16; b++) {
        const float *scale = (const void *)(record + act_at_pair(n_pad, b / 2));
        int sum = 0;
        for (int i = 16 * b; i < 16 * b + 16; i++)
            sum += (signed char)record[i];
        CHECK(bias16[b] == -128 * sum);
        CHECK(fabsf(sum16[b] - scale[0] * (float)sum) <= 1e-5f * fabsf(sum16[b]));
    }
    for (int b = 0; b < n_pad / 32; b++) {
        const float *pair = (const void *)(record + act_at_pair(n_pad, b));
        CHECK(bias32[b] == bias16[2 * b] + bias16[2 * b + 1] &&
              fabsf(pair[8] - sum16[2 * b] - sum16[2 * b + 1]) <= pair[0] * 1e-2f);
    }
}

/* Quantised values are within half a step, and with a second record, whose steps are
 * 1/256 of the first's, within one of those. */
static void check_record(const struct cpu_kernels *k, const float *x, int n)
{
    int n_pad = act_padded(n);
    size_t bytes = act_record_bytes(n_pad);
    unsigned char *record = mem_try(2, bytes, "records", NULL), *second;

    second = record + bytes;
    memset(record, 0x55, 2 * bytes);
    k->quantize(x, n, record, second);
    check_sums(record, n_pad);
    check_sums(second, n_pad);
    for (int i = 0; i < n_pad; i++) {
        const float *scale = (const void *)(record + act_at_pair(n_pad, i / 32));
        const float *scale2 = (const void *)(second + act_at_pair(n_pad, i / 32));
        int q = (signed char)record[i], q2 = (signed char)second[i];
        float rest = (i < n ? x[i] : 0) - (float)q * scale[0];

        CHECK(scale2[0] == scale[0] / 256);
        if (!(fabsf(rest) <= scale[0] * 0.501f + 1e-30f) ||
            !(fabsf(rest - (float)q2 * scale2[0]) <= scale2[0] * 1.01f + 1e-30f))
            FAIL("%s quantize %d: [%d] is %d * %g and %d / 256 of it, not %g", k->name,
                 n, i, q, (double)scale[0], q2, (double)x[i]);
    }
    free(record);
}

static void quantize_of(const struct cpu_kernels *k)
{
    float x[600];
    struct random rnd = {5};

    if (k->quantize == NULL)
        return;
    random_floats(&rnd, x, 600);
    for (int n = 1; n <= 600; n += n < 70 ? 1 : 53)
        check_record(k, x, n);
    memset(x, 0, sizeof(x));
    check_record(k, x, 512);
    x[40] = -3e-38f;
    x[70] = 1e30f;
    check_record(k, x, 512);
}

static void test_quantize(void)
{
    each_table(quantize_of);
}

static void check_close(const struct cpu_kernels *k, const char *what, int n, int i,
                        float got, double want, double tolerance)
{
    if (!(fabs((double)got - want) <= tolerance))
        FAIL("%s %s of %d: [%d] is %.9g, not %.9g", k->name, what, n, i, (double)got,
             want);
}

static void elements_of(const struct cpu_kernels *k)
{
    enum { N = 70 };
    struct random rnd = {11};
    float a[N], b[N], y[N + 1];

    for (int n = 1; n <= N; n++) {
        double sum = 0, square = 0, total = 0;
        random_floats(&rnd, a, N);
        random_floats(&rnd, b, N);
        for (int i = 0; i < n; i++)
            square += (double)a[i] * (double)a[i];
        y[n] = 77;
        k->rms_norm(y, a, b, n, 1e-5f);
        for (int i = 0; i < n; i++)
            check_close(k, "rms_norm", n, i, y[i],
                        (double)a[i] * (double)b[i] / sqrt(square / n + 1e-5), 2e-6);
        for (int i = 0; i < n; i++)
            a[i] *= 30;
        k->swiglu(y, a, b, n);
        for (int i = 0; i < n; i++) {
            double want = (double)a[i] / (1 + exp(-(double)a[i])) * (double)b[i];
            check_close(k, "swiglu", n, i, y[i], want, 2e-6 * fabs(want) + 1e-30);
        }
        memcpy(y, b, sizeof(b));
        k->axpy(y, 0.5f, a, n);
        k->scale(y, 2.0f, n);
        for (int i = 0; i < n; i++)
            check_close(k, "axpy and scale", n, i, y[i],
                        2 * ((double)b[i] + 0.5 * (double)a[i]), 1e-5);
        CHECK(y[n] == (n == N ? 77 : b[n]));
        sum = (double)k->max(a, n);
        for (int i = 0; i < n; i++)
            CHECK((double)a[i] <= sum);
        memcpy(y, a, sizeof(a));
        total = (double)k->exp_sum(y, n, (float)sum);
        for (int i = 0; i < n; i++) {
            double want = exp((double)(a[i] - (float)sum));
            check_close(k, "exp", n, i, y[i], want, 1e-6 * want + 1e-37);
            total -= want;
        }
        check_close(k, "exp_sum", n, 0, (float)total, 0, 1e-5);
    }
}

static void test_elements(void)
{
    each_table(elements_of);
}

/* Large and not finite numbers give what the formulas give. */
static void extremes_of(const struct cpu_kernels *k)
{
    float gate[] = {-1e30f, -200, -100, -88, 88, 100, 1e30f, 0, INFINITY};
    float up[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, y[9];
    float x[] = {-INFINITY, -1e30f, -104, -87, 0, -INFINITY, -1, -2, -3};

    k->swiglu(y, gate, up, 9);
    for (int i = 0; i < 4; i++)
        CHECK(y[i] <= 0 && y[i] > -1e-30f);
    CHECK(fabsf(y[4] - 88) < 1e-4f && fabsf(y[5] - 100) < 1e-4f && y[6] > 9e29f);
    CHECK(y[7] == 0 && y[8] == INFINITY);
    gate[0] = NAN;
    k->swiglu(y, gate, up, 9);
    CHECK(isnan(y[0]) && y[7] == 0);
    k->exp_sum(x, 9, 0);
    CHECK(x[0] == 0 && x[1] == 0 && x[5] == 0 && x[4] == 1);
    CHECK(x[2] < 1e-44f && fabsf(x[3] / 1.64581143e-38f - 1) < 1e-5f);
}

static void test_extremes(void)
{
    each_table(extremes_of);
}

static void f16_of(const struct cpu_kernels *k)
{
    uint16_t h[67], back[67];
    float x[67];

    for (uint32_t first = 0; first < 0x10000; first += 67) {
        for (uint32_t i = 0; i < 67; i++)
            h[i] = (uint16_t)(first + i);
        k->f16_to_f32(h, x, 67);
        k->f32_to_f16(x, back, 67);
        for (int i = 0; i < 67; i++) {
            float want = quant_f16_to_f32(h[i]);
            if (!(x[i] == want || (isnan(x[i]) && isnan(want))) ||
                (back[i] != h[i] && !isnan(want))) {
                FAIL("%s f16 %04x: %g, back %04x", k->name, h[i], (double)x[i],
                     back[i]);
                return;
            }
        }
    }
}

static void test_f16(void)
{
    each_table(f16_of);
}

/* The largest of the n values in the block of 32 that x[i] is in. */
static float largest_of(const float *x, int i, int n)
{
    const int end = i / 32 * 32 + 32 < n ? i / 32 * 32 + 32 : n;
    float max = 0;

    for (int j = i / 32 * 32; j < end; j++)
        max = fmaxf(max, fabsf(x[j]));
    return max;
}

/* Blocks are those of the scalar kernels, byte by byte, and give back what they are. */
static void q8_0_of(const struct cpu_kernels *k)
{
    enum { N = 200, PADDED = 224, BYTES = PADDED / 32 * 34 };
    struct random rnd = {13};
    float x[N], back[PADDED], want[PADDED];
    unsigned char got[BYTES], expected[BYTES];

    for (int n = 1; n <= N; n += n < 70 ? 1 : 13) {
        const int padded = (n + 31) / 32 * 32;
        const size_t bytes = (size_t)padded / 32 * 34;

        random_floats(&rnd, x, N);
        x[n - 1] *= n % 3 == 0 ? 1e6f : n % 3 == 1 ? 1e-6f : 0.0f;
        k->f32_to_q8_0(x, n, got);
        cpu_kernels_scalar.f32_to_q8_0(x, n, expected);
        if (memcmp(got, expected, bytes) != 0)
            FAIL("%s: %d values give other blocks of Q8_0", k->name, n);
        k->q8_0_to_f32(got, back, padded);
        cpu_kernels_scalar.q8_0_to_f32(got, want, padded);
        CHECK(memcmp(back, want, (size_t)padded * sizeof(float)) == 0);
        for (int i = 0; i < n; i++)
            CHECK(fabsf(back[i] - x[i]) <= 0.57f * largest_of(x, i, n) / 127 + 4e-6f);
        for (int i = n; i < padded; i++)
            CHECK(back[i] == 0);
    }
    memset(x, 0, sizeof(x));
    x[3] = NAN;
    x[37] = -INFINITY;
    k->f32_to_q8_0(x, 96, got);
    k->q8_0_to_f32(got, back, 96);
    CHECK(isnan(back[0]) && isnan(back[63]) && back[64] == 0);
}

static void test_q8_0(void)
{
    each_table(q8_0_of);
}

/* Element (i, j) of the matrix that n values are multiplied with. */
static double hadamard_element(int n, int i, int j)
{
    for (int size; n >= 8; n -= size, i -= size, j -= size) {
        for (size = 8; 2 * size <= n;)
            size *= 2;
        if (i < size && j < size)
            return (__builtin_parity((unsigned)(i & j)) ? -1 : 1) / sqrt(size);
        if (i < size || j < size)
            return 0;
    }
    return i == j;
}

static void hadamard_of(const struct cpu_kernels *k)
{
    static const int sizes[] = {1, 7, 8, 15, 20, 32, 63, 64, 80, 96, 128, 200, 256};
    struct random rnd = {17};
    float x[257], y[257];

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const int n = sizes[s];

        random_floats(&rnd, x, 257);
        memcpy(y, x, sizeof(x));
        k->hadamard(y, n);
        for (int i = 0; i < n; i++) {
            double want = 0;
            for (int j = 0; j < n; j++)
                want += hadamard_element(n, i, j) * (double)x[j];
            check_close(k, "hadamard", n, i, y[i], want, 1e-5);
        }
        CHECK(y[n] == x[n]);
        k->hadamard(y, n);
        for (int i = 0; i < n; i++)
            check_close(k, "hadamard twice", n, i, y[i], (double)x[i], 1e-5);
    }
}

static void test_hadamard(void)
{
    each_table(hadamard_of);
}

static void test_choice(void)
{
    struct err err = {0};

    setenv("HADAL_CPU", "scalar", 1);
    CHECK(detect_kernels(&err) == &cpu_kernels_scalar);
    setenv("HADAL_CPU", "avx9000", 1);
    CHECK(detect_kernels(&err) == NULL && err.kind == ERR_DEVICE);
    CHECK(strstr(err.text, "avx9000") != NULL);
    unsetenv("HADAL_CPU");
    CHECK(detect_kernels(&err) == detect_nth(0));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"choice", test_choice},
        {"matvec", test_matvec},
        {"float_widths", test_float_widths},
        {"gemm", test_gemm},
        {"wide", test_wide},
        {"pack_f32", test_pack_f32},
        {"quantize", test_quantize},
        {"elements", test_elements},
        {"extremes", test_extremes},
        {"f16", test_f16},
        {"q8_0", test_q8_0},
        {"hadamard", test_hadamard},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
