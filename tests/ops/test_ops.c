/* SPDX-License-Identifier: MIT
 *
 * Every operation of the CPU back end against the reference back end, on random weights
 * and odd shapes, with every set of kernels that this processor has; and that results
 * do not depend on the number of threads.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/backend.h"
#include "model/cpu/detect.h"
#include "src/base/mem.h"
#include "tests/ops/random.h"
#include "tests/test.h"

/* What a quantised product may differ by, as rms of the difference over rms of the
 * result: int8 activations are off by 1/254 of the largest of 32 at most. */
static const double QUANTISED = 0.015;
static const double FLOAT = 2e-5;
static const double CACHE_F16_ERROR = 2e-3;

static const char *kernels; /* of the run */

/* ---- weights and vectors ---- */

static struct weight weight_make(struct random *rnd, enum tensor_type type, int n_slab,
                                 int n_out, int n_in)
{
    struct weight w = {.name = "w",
                       .type = quant_find(type),
                       .n_slab = n_slab,
                       .n_out = n_out,
                       .n_in = n_in};
    size_t n_rows = (size_t)n_slab * (size_t)n_out;
    unsigned char *data;

    w.row_bytes = quant_row_bytes(w.type, n_in);
    w.slab_bytes = (size_t)n_out * w.row_bytes;
    data = mem_alloc(n_rows * w.row_bytes);
    for (size_t r = 0; r < n_rows; r++)
        random_row(rnd, w.type, data + r * w.row_bytes, n_in);
    w.data = data;
    return w;
}

static void weight_free(struct weight *w)
{
    free((void *)(uintptr_t)w->data);
}

static struct gain gain_make(struct random *rnd, int n)
{
    struct gain g = {.data = mem_array((size_t)n, sizeof(float)), .n = n};

    random_floats(rnd, g.data, (size_t)n);
    return g;
}

/* One back end with what a test needs of it. */
struct side {
    const struct backend_ops *ops;
    struct backend *be;
};

static struct side side_open(const struct backend_ops *ops, int n_threads)
{
    struct err err;
    struct side s = {ops, ops->open(n_threads, &err)};

    if (s.be == NULL)
        FAIL("%s: %s", ops->name, err.text);
    return s;
}

/* A vector with random content, the same for the same seed. */
static struct vec *filled(const struct side *s, int n_rows, int width, uint64_t seed)
{
    struct random rnd = {seed};
    struct weight table = {.type = quant_find(TYPE_F32), .n_slab = 1, .n_out = n_rows};
    float *x = mem_array((size_t)n_rows * (size_t)width, sizeof(float));
    int32_t *id = mem_array((size_t)n_rows, sizeof(int32_t));
    struct vec *v;
    struct err err;

    random_floats(&rnd, x, (size_t)n_rows * (size_t)width);
    for (int i = 0; i < n_rows; i++)
        id[i] = i;
    table.n_in = width;
    table.row_bytes = (size_t)width * sizeof(float);
    table.slab_bytes = table.row_bytes * (size_t)n_rows;
    table.data = (const unsigned char *)x;
    v = s->ops->vec_open(s->be, n_rows, width, &err);
    s->ops->embed(s->be, v, &table, id, n_rows);
    free(x);
    free(id);
    return v;
}

static float *read_all(const struct side *s, const struct vec *v, int n_rows, int width)
{
    float *x = mem_array((size_t)n_rows * (size_t)width, sizeof(float));
    struct err err;

    CHECK(s->ops->read(s->be, v, 0, n_rows, width, x, &err));
    return x;
}

/* rms of the difference over rms of want; NaN counts as infinite. */
static double distance(const float *got, const float *want, size_t n)
{
    double difference = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        difference += d * d;
        size += (double)want[i] * (double)want[i];
    }
    if (!isfinite(difference))
        return INFINITY;
    return difference == 0 ? 0 : sqrt(difference / size);
}

static void check_near(const float *got, const float *want, int n_rows, int width,
                       double tolerance, const char *what)
{
    double d = distance(got, want, (size_t)n_rows * (size_t)width);

    if (!(d <= tolerance))
        FAIL("%s: %s (%d rows): differs by %g of its size", kernels, what, n_rows, d);
}

/* ---- a case, run on a side ---- */

/* Runs something on a side and returns [n_rows][width]. */
typedef float *(*case_fn)(const struct side *s, const void *ctx);

/* Runs cpu with one set of kernels on 1 and on 3 threads. */
static void compare_kernels(case_fn fn, const void *ctx, const float *want, int n_rows,
                            int width, double tolerance, const char *what)
{
    struct side one = side_open(&backend_cpu, 1), three = side_open(&backend_cpu, 3);
    float *first = fn(&one, ctx), *second = fn(&three, ctx);

    check_near(first, want, n_rows, width, tolerance, what);
    if (memcmp(first, second, (size_t)n_rows * (size_t)width * sizeof(float)) != 0)
        FAIL("%s: %s: 3 threads give another result", kernels, what);
    free(first);
    free(second);
    one.ops->close(one.be);
    three.ops->close(three.be);
}

/* Compares cpu with ref, with each set of kernels that this processor has. */
static void compare(case_fn fn, const void *ctx, int n_rows, int width,
                    double tolerance, const char *what)
{
    struct side ref = side_open(&backend_ref, 1);
    float *want = fn(&ref, ctx);
    const struct cpu_kernels *k;

    for (int i = 0; (k = detect_nth(i)) != NULL; i++) {
        kernels = k->name;
        setenv("HADAL_CPU", kernels, 1);
        compare_kernels(fn, ctx, want, n_rows, width, tolerance, what);
    }
    unsetenv("HADAL_CPU");
    free(want);
    ref.ops->close(ref.be);
}

/* The reference wants its scratch from adopt. */
static bool adopt(const struct side *s, const struct shape *shape)
{
    struct weights none = {0};
    struct err err;

    return CHECK(s->ops->adopt(s->be, &none, shape, &err));
}

/* ---- products ---- */

struct matmul_case {
    int n_rows, n_in, n_out[2];
    enum tensor_type type[2];
    bool add;
};

static float *matmul_run(const struct side *s, const void *ctx)
{
    const struct matmul_case *c = ctx;
    struct shape shape = {.hidden = c->n_in, .ffn = 1};
    struct random rnd = {17};
    struct weight w[2];
    struct gain bias = gain_make(&rnd, c->n_out[0]);
    struct product p[2] = {{.w = &w[0], .bias = &bias, .add = c->add}, {.w = &w[1]}};
    struct vec *x = filled(s, c->n_rows, c->n_in, 3);
    int width = c->n_out[0] + c->n_out[1];
    float *y[2], *all = mem_array((size_t)(c->n_rows * width), sizeof(float));

    adopt(s, &shape);
    for (int i = 0; i < 2; i++) {
        w[i] = weight_make(&rnd, c->type[i], 1, c->n_out[i], c->n_in);
        p[i].y = filled(s, c->n_rows, c->n_out[i], 4);
    }
    s->ops->matmul(s->be, p, 2, x, c->n_rows);
    for (int i = 0, at = 0; i < 2; at += c->n_out[i++]) {
        y[i] = read_all(s, p[i].y, c->n_rows, c->n_out[i]);
        memcpy(all + at * c->n_rows, y[i],
               (size_t)(c->n_rows * c->n_out[i]) * sizeof(float));
        free(y[i]);
        s->ops->vec_close(s->be, p[i].y);
        weight_free(&w[i]);
    }
    s->ops->vec_close(s->be, x);
    free(bias.data);
    return all;
}

static void test_matmul(void)
{
    static const int rows[] = {1, 2, 3, 4, 7, 17};

    for (size_t t = 0; t < random_n_types; t++)
        for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
            struct matmul_case c = {
                rows[r],
                (int)(r % 3 + 1) * 256,
                {45, 33},
                {random_types[t], random_types[(t + r) % random_n_types]},
                r % 2 == 0};
            compare(matmul_run, &c, c.n_rows, 78, QUANTISED,
                    quant_find(random_types[t])->name);
        }
    compare(matmul_run,
            &(struct matmul_case){5, 77, {20, 9}, {TYPE_F32, TYPE_F16}, true}, 5, 29,
            FLOAT, "float product");
    compare(matmul_run,
            &(struct matmul_case){6, 5120, {40, 3}, {TYPE_Q4_K, TYPE_BF16}, true}, 6,
            43, QUANTISED, "long rows");
}

/* ---- rows ---- */

static float *rows_run(const struct side *s, const void *ctx)
{
    const int n = 9, width = *(const int *)ctx;
    static const int32_t pick[] = {8, 0, 3, 3};
    struct random rnd = {23};
    struct gain gain = gain_make(&rnd, width);
    struct vec *x = filled(s, n, width, 5), *y = filled(s, 4, width, 6);
    float *out;

    s->ops->rms_norm(s->be, x, x, &gain, 1e-5f, n);
    s->ops->gather(s->be, y, x, pick, 4);
    out = read_all(s, y, 4, width);
    s->ops->vec_close(s->be, x);
    s->ops->vec_close(s->be, y);
    free(gain.data);
    return out;
}

static void test_rows(void)
{
    static const int widths[] = {1, 7, 64, 1000};

    for (size_t i = 0; i < 4; i++)
        compare(rows_run, &widths[i], 4, widths[i], FLOAT, "norm and gather");
}

/* ---- attention ---- */

struct attention_case {
    struct shape shape;
    enum cache_type cache;
    enum tensor_type type; /* of k_b and v_b */
    int prompt[3];         /* lengths of the steps before the last */
    int n_last;            /* rows of the last step; a second timeline has as many */
};

enum { CTX = 700, MAX_ROWS = 512 };

static void set_rope(struct shape *shape, int dim, bool half_split, float *inv_freq)
{
    shape->rope = (struct rope){dim, half_split ? dim / 2 : 1, inv_freq, 1.1f};
    for (int i = 0; i < dim / 2; i++)
        inv_freq[i] = powf(100.0f, (float)(-2 * i) / (float)dim);
}

/* One step; q, k and v are random. Returns the result of the rows. */
static float *attention_step(const struct side *s, const struct attention_case *c,
                             const struct layer *lw, const struct rows *rows,
                             uint64_t seed)
{
    const struct shape *sh = &c->shape;
    bool mla = sh->attention == ATTENTION_MLA;
    int q_width = sh->n_head * (mla ? sh->nope_dim + sh->rope_dim : sh->head_dim);
    int k_width = mla ? sh->kv_rank + sh->rope_dim : sh->n_head_kv * sh->head_dim;
    int width = sh->n_head * (mla ? sh->v_dim : sh->head_dim);
    struct vec *q = filled(s, rows->n, q_width, seed);
    struct vec *k = filled(s, rows->n, k_width, seed + 1);
    struct vec *v = filled(s, rows->n, k_width, seed + 2);
    struct vec *out = filled(s, rows->n, width, seed + 3);
    float *result;

    if (mla)
        s->ops->mla_attend(s->be, out, q, k, sh, lw, 1, rows);
    else
        s->ops->gqa_attend(s->be, out, q, k, v, sh, 1, rows);
    result = read_all(s, out, rows->n, width);
    s->ops->vec_close(s->be, q);
    s->ops->vec_close(s->be, k);
    s->ops->vec_close(s->be, v);
    s->ops->vec_close(s->be, out);
    return result;
}

/* n rows from *pos of kv[0] (and as many of kv[1], from position 0). */
static float *timeline_step(const struct side *s, const struct attention_case *c,
                            const struct layer *lw, struct kv *const kv[2], int n,
                            int *pos, bool second)
{
    int32_t token[MAX_ROWS] = {0}, at[MAX_ROWS];
    struct kv *of[MAX_ROWS];
    struct rows rows = {second ? 2 * n : n, token, at, of};
    float *result;

    for (int i = 0; i < rows.n; i++) {
        at[i] = i < n ? *pos + i : i - n;
        of[i] = kv[i >= n];
    }
    result = attention_step(s, c, lw, &rows, 100 + (uint64_t)*pos);
    *pos += n;
    return result;
}

static float *attention_run(const struct side *s, const void *ctx)
{
    const struct attention_case *c = ctx;
    struct random rnd = {31};
    struct layer lw = {0};
    struct err err;
    struct kv *kv[2];
    int pos = 0;
    float *result;

    adopt(s, &c->shape);
    if (c->shape.attention == ATTENTION_MLA) {
        lw.kv_a_norm = gain_make(&rnd, c->shape.kv_rank);
        lw.k_b = weight_make(&rnd, c->type, c->shape.n_head, c->shape.kv_rank,
                             c->shape.nope_dim);
        lw.v_b = weight_make(&rnd, c->type, c->shape.n_head, c->shape.v_dim,
                             c->shape.kv_rank);
    }
    for (int i = 0; i < 2; i++)
        kv[i] = s->ops->kv_open(s->be, &c->shape, c->cache, CTX, &err);
    for (int i = 0; i < 3; i++)
        if (c->prompt[i] > 0)
            free(timeline_step(s, c, &lw, kv, c->prompt[i], &pos, false));
    result = timeline_step(s, c, &lw, kv, c->n_last, &pos, true);
    for (int i = 0; i < 2; i++)
        s->ops->kv_close(s->be, kv[i]);
    free(lw.kv_a_norm.data);
    weight_free(&lw.k_b);
    weight_free(&lw.v_b);
    return result;
}

static void attention_of(struct attention_case *c, const char *what)
{
    static const int prompts[][4] = {{0, 0, 0, 1},   {5, 0, 0, 3},    {63, 0, 0, 1},
                                     {70, 3, 1, 33}, {120, 40, 0, 1}, {40, 0, 0, 130}};
    static const double errors[] = {
        [CACHE_F16] = CACHE_F16_ERROR, [CACHE_F32] = FLOAT, [CACHE_Q8_0] = QUANTISED};
    bool mla = c->shape.attention == ATTENTION_MLA;
    double tolerance = errors[c->cache];

    if (mla && quant_find(c->type)->block_elems > 1)
        tolerance = QUANTISED;
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
        memcpy(c->prompt, prompts[i], sizeof(c->prompt));
        c->n_last = prompts[i][3];
        compare(attention_run, c, 2 * c->n_last,
                c->shape.n_head * (mla ? c->shape.v_dim : c->shape.head_dim), tolerance,
                what);
    }
}

static void test_gqa(void)
{
    static const int heads[][3] = {{4, 2, 20}, {9, 3, 64}, {3, 3, 32}, {70, 1, 16}};
    float inv_freq[64];

    for (int i = 0; i < 4; i++)
        for (int cache = CACHE_F16; cache <= CACHE_Q8_0; cache++) {
            struct attention_case c = {
                .shape = {.attention = ATTENTION_GQA,
                          .hidden = 64,
                          .ffn = 64,
                          .n_layer = 2,
                          .n_head = heads[i][0],
                          .n_head_kv = heads[i][1],
                          .head_dim = heads[i][2],
                          .attn_scale = 0.3f},
                .cache = (enum cache_type)cache,
            };
            if (cache == CACHE_Q8_0 && heads[i][2] % 32 != 0)
                continue; /* the reference's blocks are cut otherwise */
            set_rope(&c.shape, heads[i][2] - i % 2 * 4, i % 2 == 0, inv_freq);
            attention_of(&c, "gqa");
        }
}

static void test_mla(void)
{
    static const enum tensor_type types[] = {TYPE_F16, TYPE_Q8_0, TYPE_Q5_0};
    static const int dims[][5] = {
        {4, 96, 16, 32, 24}, {16, 128, 32, 64, 32}, {5, 160, 12, 64, 40}};
    float inv_freq[64];

    for (int i = 0; i < 3; i++)
        for (int cache = CACHE_F16; cache <= CACHE_Q8_0; cache++) {
            struct attention_case c = {
                .shape = {.attention = ATTENTION_MLA,
                          .hidden = 64,
                          .ffn = 64,
                          .eps = 1e-6f,
                          .n_layer = 2,
                          .n_head = dims[i][0],
                          .kv_rank = dims[i][1],
                          .rope_dim = dims[i][2],
                          .nope_dim = dims[i][3],
                          .v_dim = dims[i][4],
                          .attn_scale = 0.3f},
                .cache = (enum cache_type)cache,
                .type = types[(i + cache) % 3],
            };
            set_rope(&c.shape, dims[i][2], false, inv_freq);
            attention_of(&c, "mla");
        }
}

/* ---- feed-forward ---- */

struct ffn_case {
    struct shape shape;
    enum tensor_type type, down_type;
    int n_rows;
};

static float *ffn_run(const struct side *s, const void *ctx)
{
    const struct ffn_case *c = ctx;
    const struct shape *sh = &c->shape;
    bool moe = sh->n_expert > 0;
    int shared = sh->n_expert_shared * sh->ffn_expert;
    size_t n_pick = (size_t)(c->n_rows * sh->n_expert_used);
    struct random rnd = {41};
    struct layer lw = {0};
    struct vec *x = filled(s, c->n_rows, sh->hidden, 7);
    struct vec *y = filled(s, c->n_rows, sh->hidden, 8);
    struct route route = {mem_array(n_pick + 1, sizeof(int32_t)),
                          mem_array(n_pick + 1, sizeof(float))};
    float *out;

    adopt(s, sh);
    lw.gate = weight_make(&rnd, c->type, 1, sh->ffn, sh->hidden);
    lw.up = weight_make(&rnd, c->type, 1, sh->ffn, sh->hidden);
    lw.down = weight_make(&rnd, c->down_type, 1, sh->hidden, sh->ffn);
    if (moe) {
        lw.router = weight_make(&rnd, TYPE_F32, 1, sh->n_expert, sh->hidden);
        lw.router_bias = gain_make(&rnd, sh->n_expert);
        lw.gate_exps =
            weight_make(&rnd, c->type, sh->n_expert, sh->ffn_expert, sh->hidden);
        lw.up_exps =
            weight_make(&rnd, c->type, sh->n_expert, sh->ffn_expert, sh->hidden);
        lw.down_exps =
            weight_make(&rnd, c->down_type, sh->n_expert, sh->hidden, sh->ffn_expert);
    }
    if (shared > 0) {
        lw.gate_shexp = weight_make(&rnd, TYPE_F16, 1, shared, sh->hidden);
        lw.up_shexp = weight_make(&rnd, c->type, 1, shared, sh->hidden);
        lw.down_shexp = weight_make(&rnd, c->down_type, 1, sh->hidden, shared);
    }
    if (moe)
        s->ops->moe(s->be, y, x, &lw, sh, c->n_rows, &route);
    else
        s->ops->ffn(s->be, y, x, &lw, sh, c->n_rows);
    out = mem_array((size_t)(c->n_rows * sh->hidden) + n_pick, sizeof(float));
    for (size_t i = 0; i < n_pick; i++) /* the choice counts as part of the result */
        out[i] = (float)route.expert[i] * route.weight[i];
    CHECK(s->ops->read(s->be, y, 0, c->n_rows, sh->hidden, out + n_pick, NULL));
    for (struct weight *w = &lw.gate; w <= &lw.down; w++)
        weight_free(w);
    weight_free(&lw.router);
    for (struct weight *w = &lw.gate_exps; w <= &lw.down_shexp; w++)
        weight_free(w);
    free(lw.router_bias.data);
    free(route.expert);
    free(route.weight);
    s->ops->vec_close(s->be, x);
    s->ops->vec_close(s->be, y);
    return out;
}

static void test_ffn(void)
{
    static const int rows[] = {1, 2, 3, 9, 40};
    static const enum tensor_type types[][2] = {
        {TYPE_F32, TYPE_F16},  {TYPE_Q4_K, TYPE_Q5_0}, {TYPE_Q8_0, TYPE_F16},
        {TYPE_F16, TYPE_Q8_0}, {TYPE_Q5_K, TYPE_Q4_1},
    };

    for (size_t i = 0; i < 5; i++)
        for (size_t r = 0; r < 5; r++) {
            struct ffn_case c = {
                .shape = {.hidden = 256, .ffn = 96, .n_group = 1, .n_group_used = 1},
                .type = types[i][0],
                .down_type = types[i][1],
                .n_rows = rows[r],
            };
            bool quantised = i > 0;
            compare(ffn_run, &c, rows[r], 256, quantised ? 0.02 : FLOAT, "ffn");
            c.shape.n_expert = 8;
            c.shape.n_expert_used = 3;
            c.shape.ffn_expert = 64;
            c.shape.n_expert_shared = (int)r % 3;
            c.shape.gating = r % 2 ? GATING_SIGMOID : GATING_SOFTMAX;
            c.shape.weight_scale = 1.5f;
            compare(ffn_run, &c, rows[r], 256 + 3, quantised ? 0.02 : FLOAT, "moe");
        }
}

/* What models of many parameters do with several rows: float weights with activations
 * of 16 bits. */
static void test_large(void)
{
    static const int rows[] = {3, 5, 70};
    static const enum tensor_type types[][2] = {
        {TYPE_F16, TYPE_BF16},
        {TYPE_BF16, TYPE_F16},
        {TYPE_BF16, TYPE_Q8_0},
        {TYPE_Q8_0, TYPE_BF16},
    };

    setenv("HADAL_ACTIVATIONS", "8", 1);
    for (size_t i = 0; i < 4; i++)
        for (size_t r = 0; r < 3; r++) {
            double tolerance = i < 2 ? 0.005 : 0.02;
            struct ffn_case c = {
                .shape = {.hidden = 320,
                          .n_group = 1,
                          .n_group_used = 1,
                          .n_expert = 8,
                          .n_expert_used = 3,
                          .ffn_expert = 64,
                          .n_expert_shared = (int)r % 3,
                          .weight_scale = 1.5f},
                .type = types[i][0],
                .down_type = types[i][1],
                .n_rows = rows[r],
            };
            struct matmul_case m = {
                rows[r], 1 + (int)i * 731, {45, 33}, {TYPE_F16, TYPE_BF16}, r == 1};

            compare(ffn_run, &c, rows[r], 320 + 3, tolerance, "moe of 16 bits");
            compare(matmul_run, &m, rows[r], 78, 0.005, "product of 16 bits");
        }
    unsetenv("HADAL_ACTIVATIONS");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"matmul", test_matmul}, {"rows", test_rows}, {"gqa", test_gqa},
        {"mla", test_mla},       {"ffn", test_ffn},   {"large", test_large},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
