/* SPDX-License-Identifier: MIT
 *
 * The kernels of latent attention in 16-bit integers, of every instruction set that
 * this processor has, against sums in double over the same integers, on odd shapes; and
 * their rows against the values that they were made of.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/blocks.h"
#include "model/cpu/attn_priv.h"
#include "model/cpu/detect.h"
#include "model/quant.h"
#include "model/shape.h"
#include "src/base/mem.h"
#include "tests/ops/random.h"
#include "tests/test.h"

enum { HEADS = LATENT_HEADS };

static void each_table(void (*fn)(const struct cpu_kernels *k))
{
    const struct cpu_kernels *k;

    for (int i = 0; (k = detect_nth(i)) != NULL; i++)
        if (k->latent != NULL)
            fn(k);
}

static int padded(int n)
{
    return (n + 31) / 32 * 32;
}

/* A tile with its queries and rows as floats; [.][width], the parts at 0 and split. */
struct sample {
    int rank, key, n_heads, n_rows;
    struct latent_tile t;
    float *row, *query; /* [n][rank + key] */
    int16_t *row_q, *q;
    float *row_scale, *q_scale;
};

static void fill_query(struct sample *s, const struct latent_kernels *k, int head)
{
    const float *x = s->query + head * (s->rank + s->key);
    int16_t *line = mem_array((size_t)s->t.width, sizeof(*line));

    s->q_scale[head] = k->narrow(x, s->rank, LATENT_QUERY_LENGTH, line);
    s->q_scale[HEADS + head] =
        k->narrow(x + s->rank, s->key, LATENT_QUERY_LENGTH, line + s->t.split);
    for (int i = 0; i < s->t.width; i++)
        s->q[(i / 2 * HEADS + head) * 2 + i % 2] = line[i];
    free(line);
}

/* peak: what the values are multiplied with, now and then. */
static struct sample sample_open(const struct latent_kernels *k, int rank, int key,
                                 int n_heads, int n_rows, float peak)
{
    struct random rnd = {(uint64_t)(rank * 131 + key * 7 + n_heads * 3 + n_rows)};
    size_t width = (size_t)(padded(rank) + padded(key)), n = (size_t)n_rows;
    size_t values = (size_t)(rank + key);
    struct sample s = {.rank = rank, .key = key, .n_heads = n_heads, .n_rows = n_rows};

    s.row = mem_array(n * values, sizeof(float));
    s.query = mem_array(HEADS * values, sizeof(float));
    s.row_q = mem_array(n * width, sizeof(int16_t));
    s.q = mem_array(HEADS * width, sizeof(int16_t));
    s.row_scale = mem_array(2 * n, sizeof(float));
    s.q_scale = mem_array(2 * HEADS, sizeof(float));
    s.t = (struct latent_tile){.q = s.q,
                               .q_scale = s.q_scale,
                               .row = s.row_q,
                               .stride = width,
                               .row_scale = s.row_scale,
                               .split = padded(rank),
                               .width = (int)width,
                               .n_rows = n_rows,
                               .next = s.row_q};
    random_floats(&rnd, s.row, n * values);
    random_floats(&rnd, s.query, (size_t)n_heads * values);
    for (size_t i = 0; i < n * values; i += 97)
        s.row[i] *= peak;
    for (int h = 0; h < n_heads; h++)
        fill_query(&s, k, h);
    for (size_t i = 0; i < n; i++) {
        const float *x = s.row + i * values;
        int16_t *q = s.row_q + i * width;

        s.row_scale[2 * i] = k->narrow(x, rank, LATENT_ROW_LENGTH, q);
        s.row_scale[2 * i + 1] =
            k->narrow(x + rank, key, LATENT_ROW_LENGTH, q + s.t.split);
    }
    return s;
}

static void sample_release(struct sample *s)
{
    free(s->row);
    free(s->query);
    free(s->row_q);
    free(s->q);
    free(s->row_scale);
    free(s->q_scale);
}

/* Value i of a row's integers. */
static double value_of(const struct sample *s, int row, int i)
{
    int part = i >= s->t.split;

    return (double)s->row_q[(size_t)row * s->t.stride + (size_t)i] *
           (double)s->row_scale[2 * row + part];
}

static double score_of(const struct sample *s, int row, int head)
{
    double sum = 0;

    for (int i = 0; i < s->t.width; i++)
        sum += value_of(s, row, i) * s->q[(i / 2 * HEADS + head) * 2 + i % 2] *
               (double)s->q_scale[(i >= s->t.split) * HEADS + head];
    return sum;
}

/* The exact result [n_heads][rank] of the values that the integers were made of. */
static double *attend_exactly(const struct sample *s)
{
    const int width = s->rank + s->key;
    double *out = mem_array((size_t)(s->n_heads * s->rank), sizeof(*out));
    double *score = mem_array((size_t)s->n_rows, sizeof(*score));

    for (int h = 0; h < s->n_heads; h++) {
        double max = -INFINITY, sum = 0;

        for (int p = 0; p < s->n_rows; p++) {
            score[p] = 0;
            for (int i = 0; i < width; i++)
                score[p] += (double)s->row[p * width + i] * s->query[h * width + i];
            max = fmax(max, score[p]);
        }
        for (int p = 0; p < s->n_rows; p++)
            sum += exp(score[p] - max);
        for (int p = 0; p < s->n_rows; p++)
            for (int i = 0; i < s->rank; i++)
                out[h * s->rank + i] +=
                    exp(score[p] - max) / sum * s->row[p * width + i];
    }
    free(score);
    return out;
}

static void check_scores(const struct cpu_kernels *k, const struct sample *s,
                         const float *score)
{
    for (int p = 0; p < s->n_rows; p++)
        for (int h = 0; h < s->n_heads; h++) {
            double want = score_of(s, p, h), got = (double)score[p * HEADS + h];

            if (!(fabs(got - want) <= 1e-4 + 1e-5 * fabs(want))) {
                FAIL("%s: %d + %d, row %d of %d, head %d: score %g, not %g", k->name,
                     s->rank, s->key, p, s->n_rows, h, got, want);
                return;
            }
        }
}

/* All rows in tiles of `step`. */
static void check_attend(const struct cpu_kernels *k, int rank, int key, int n_heads,
                         int n_rows, int step, float peak)
{
    struct sample s = sample_open(k->latent, rank, key, n_heads, n_rows, peak);
    float score[LATENT_TILE * HEADS], *u;
    int32_t weight[LATENT_TILE / 2 * HEADS];
    struct latent_state state;
    double *want = attend_exactly(&s), worst = 0;

    u = mem_array((size_t)(n_heads * rank), sizeof(*u));
    for (int h = 0; h < HEADS; h++) {
        state.m[h] = -INFINITY;
        state.l[h] = 0;
    }
    k->latent->scores(&s.t, score);
    check_scores(k, &s, score);
    for (int p = 0; p < n_rows; p += step) {
        struct latent_tile t = s.t;

        t.row += (size_t)p * t.stride;
        t.row_scale += 2 * p;
        t.n_rows = n_rows - p < step ? n_rows - p : step;
        k->latent->scores(&t, score);
        k->latent->weights(&t, score, &state, weight);
        k->latent->values(&t, weight, &state, n_heads, u, rank, p > 0);
    }
    for (int i = 0; i < n_heads * rank; i++)
        worst = fmax(worst, fabs((double)(u[i] / state.l[i / rank]) - want[i]));
    if (!(worst <= 2e-3 * (double)peak))
        FAIL("%s: %d + %d, %d heads, %d rows by %d: off by %g", k->name, rank, key,
             n_heads, n_rows, step, worst);
    free(u);
    free(want);
    sample_release(&s);
}

static void attend_of(const struct cpu_kernels *k)
{
    check_attend(k, 512, 64, 16, 128, 128, 1);
    check_attend(k, 512, 64, 16, 101, 48, 1);
    check_attend(k, 512, 64, 4, 19, 7, 20);
    check_attend(k, 32, 8, 5, 1, 1, 1);
    check_attend(k, 24, 6, 13, 2, 1, 4);
    check_attend(k, 40, 34, 11, 37, 33, 8);
    check_attend(k, 7, 2, 1, 127, 128, 1);
}

static void test_attend(void)
{
    each_table(attend_of);
}

/* Sums as large as they may become: all values alike, then one of each row alone. */
static void limits_of(const struct cpu_kernels *k)
{
    enum { RANK = 512, KEY = 64, ROWS = 128 };

    for (int alone = 0; alone < 2; alone++) {
        struct sample s = sample_open(k->latent, RANK, KEY, HEADS, ROWS, 1);
        float score[ROWS * HEADS], u[RANK];
        int32_t weight[ROWS / 2 * HEADS];
        struct latent_state state;

        for (int i = 0; i < ROWS * (RANK + KEY); i++)
            s.row[i] = !alone || i % (RANK + KEY) == 0 ? 3 : 0;
        for (int p = 0; p < ROWS; p++)
            s.row_scale[2 * p] =
                k->latent->narrow(s.row + p * (RANK + KEY), RANK, LATENT_ROW_LENGTH,
                                  s.row_q + (size_t)p * s.t.stride);
        for (int h = 0; h < HEADS; h++) {
            memcpy(s.query + h * (RANK + KEY), s.row, sizeof(float) * (RANK + KEY));
            fill_query(&s, k->latent, h);
            state.m[h] = -INFINITY;
            state.l[h] = 0;
        }
        k->latent->scores(&s.t, score);
        check_scores(k, &s, score);
        k->latent->weights(&s.t, score, &state, weight);
        k->latent->values(&s.t, weight, &state, 1, u, RANK, false);
        for (int i = 0; i < (alone ? 1 : RANK); i++)
            CHECK(fabsf(u[i] / state.l[0] - 3) < 0.01F);
        sample_release(&s);
    }
}

static void test_limits(void)
{
    each_table(limits_of);
}

static void narrow_of(const struct cpu_kernels *k)
{
    static const int widths[] = {1, 7, 32, 63, 512};
    struct random rnd = {11};

    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        float x[512], back[512];
        int16_t q[512];
        double length = 0;
        float scale;
        int n = widths[w];

        random_floats(&rnd, x, (size_t)n);
        scale = k->latent->narrow(x, n, LATENT_ROW_LENGTH, q);
        k->latent->widen(q, scale, n, back);
        for (int i = 0; i < n; i++) {
            length += (double)q[i] * q[i];
            CHECK(fabsf(back[i] - x[i]) <= 0.51F * scale);
        }
        for (int i = n; i < padded(n); i++)
            CHECK(q[i] == 0);
        CHECK(sqrt(length) <= LATENT_ROW_LENGTH + 32);
        x[n / 2] = NAN;
        CHECK(isnan(k->latent->narrow(x, n, LATENT_ROW_LENGTH, q)));
        x[n / 2] = -INFINITY;
        CHECK(isinf(k->latent->narrow(x, n, LATENT_ROW_LENGTH, q)));
        memset(x, 0, sizeof(x));
        CHECK(k->latent->narrow(x, n, LATENT_ROW_LENGTH, q) == 0 && q[0] == 0);
    }
}

static void test_narrow(void)
{
    each_table(narrow_of);
}

static void q8_0_of(const struct cpu_kernels *k)
{
    enum { N = 96 };
    const struct quant_type *type = quant_find(TYPE_Q8_0);
    struct random rnd = {5};
    unsigned char blocks[N / 32 * sizeof(struct block_q8_0)];
    float x[N], scale = 0;
    int16_t q[N];

    random_row(&rnd, type, blocks, N);
    type->to_f32(blocks, x, N);
    for (int i = 0; i < N; i += 32) {
        uint16_t d;

        memcpy(&d, blocks + i / 32 * (int)sizeof(struct block_q8_0), sizeof(d));
        scale = fmaxf(scale, quant_f16_to_f32(d));
    }
    scale *= 1.01F * LATENT_Q8_UNIT / 32767;
    k->latent->from_q8_0(blocks, N, scale, q);
    for (int i = 0; i < N; i++)
        if (!(fabsf((float)q[i] * scale - x[i]) <= 1.1F * scale))
            FAIL("%s: value %d is %d of %g, not %g", k->name, i, q[i], (double)scale,
                 (double)x[i]);
}

static void test_q8_0(void)
{
    each_table(q8_0_of);
}

/* What is not finite in a row is so in the result. */
static void faults_of(const struct cpu_kernels *k)
{
    struct sample s = sample_open(k->latent, 64, 32, HEADS, 20, 1);
    float score[LATENT_TILE * HEADS], u[64];
    int32_t weight[LATENT_TILE / 2 * HEADS];
    struct latent_state state;

    for (int h = 0; h < HEADS; h++) {
        state.m[h] = -INFINITY;
        state.l[h] = 0;
    }
    s.row[3 * 96 + 5] = NAN;
    s.row_scale[2 * 3] = k->latent->narrow(s.row + (size_t)(3 * 96), 64,
                                           LATENT_ROW_LENGTH, s.row_q + 3 * s.t.stride);
    k->latent->scores(&s.t, score);
    k->latent->weights(&s.t, score, &state, weight);
    k->latent->values(&s.t, weight, &state, 1, u, 64, false);
    CHECK(!isfinite(u[0] / state.l[0]));
    sample_release(&s);
}

static void test_faults(void)
{
    each_table(faults_of);
}

/* ---- all of it, beside attention in floats ---- */

enum { DEEP = 4500, N_ROWS = 3, N_HEADS = 20, RANK = 64, KEY = 16 };

/* The last N_ROWS positions' attention to all before them. */
static void attend_cache(enum cache_type type, int n_threads, float *out)
{
    const struct shape shape = {.attention = ATTENTION_MLA,
                                .n_layer = 1,
                                .n_head = N_HEADS,
                                .kv_rank = RANK,
                                .rope_dim = KEY};
    const int32_t pos[N_ROWS] = {DEEP - 3, DEEP - 2, DEEP - 1};
    struct err err = {0};
    struct backend *be = backend_cpu.open(n_threads, &err);
    struct kv *kv = attn_kv_open(be, &shape, type, DEEP, &err);
    struct kv *const kvs[N_ROWS] = {kv, kv, kv};
    const struct rows rows = {.n = N_ROWS, .pos = pos, .kv = kvs};
    float query[N_ROWS * N_HEADS * (RANK + KEY)], x[RANK + KEY];
    struct random rnd = {17};
    struct latent_heads heads = {N_HEADS, query, out, 0.3F};
    struct attend floats = {.v_width = RANK,
                            .q = query,
                            .out = out,
                            .per = N_HEADS,
                            .n_head = N_HEADS,
                            .scale = 0.3F};

    random_floats(&rnd, query, sizeof(query) / sizeof(query[0]));
    for (int p = 0; p < DEEP; p++) {
        random_floats(&rnd, x, RANK + KEY);
        kv_store_latent(kv, be->kernels, 0, p, x);
    }
    if (kv->scaled)
        latent_attend(be, &heads, 0, &rows, 0, N_ROWS);
    else
        attn_attend(be, &floats, 0, &rows, 0, N_ROWS);
    attn_kv_close(be, kv);
    backend_cpu.close(be);
}

static void test_deep(void)
{
    enum { N = N_ROWS * N_HEADS * RANK };
    static float want[N], got[N], again[N];
    static const struct {
        enum cache_type type;
        float tolerance;
    } cases[] = {{CACHE_F16, 1e-4F}, {CACHE_Q8_0, 5e-3F}};

    attend_cache(CACHE_F32, 1, want);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        float worst = 0;

        attend_cache(cases[i].type, 1, got);
        attend_cache(cases[i].type, 3, again);
        CHECK(memcmp(got, again, sizeof(got)) == 0);
        for (int j = 0; j < N; j++)
            worst = fmaxf(worst, fabsf(got[j] - want[j]));
        if (!(worst <= cases[i].tolerance))
            FAIL("cache %d: off by %g", cases[i].type, (double)worst);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"attend", test_attend}, {"limits", test_limits}, {"narrow", test_narrow},
        {"q8_0", test_q8_0},     {"faults", test_faults}, {"deep", test_deep},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
