/* SPDX-License-Identifier: MIT
 *
 * Attention on the CPU, and the cache it reads.
 *
 * One scheme for both kinds. The queries that share a key head (MLA: all heads of a
 * row, with the latent row as key and its first kv_rank values as value) are taken
 * together, up to QUERIES at a time, so that a cached row is read and widened once for
 * all of them. Positions go in tiles of TILE rows: scores as a small product, softmax
 * with a running maximum (arXiv:2205.14135), values as a second product.
 *
 * A context is cut into parts of PART positions whose results (maximum m, sum l,
 * weighted values u) are merged in order. Whether the parts of a query are computed by
 * one thread (prefill) or by many (decode, where there are few queries), the arithmetic
 * is the same: results depend neither on the number of threads nor on the batch.
 *
 * Cache, in one mapping whose pages come into being when they are first written:
 * [layer][key rows | value rows][ctx][row]. A row is n_head_kv heads, each padded to
 * whole blocks of its type. MLA has key rows only.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/cpu/cpu_priv.h"
#include "src/base/mem.h"

enum {
    QUERIES = 64,
    TILE = 32,
    PART = 64,
    BLOCK = 32, /* elements that head widths in the cache are padded to in Q8_0 */
    PARTIAL_BYTES_MAX = 64 << 20,
};

struct kv {
    const struct quant_type *type;
    int ctx, n_head_kv;
    int k_width, v_width;              /* values of a head; v_width 0: MLA */
    size_t k_head_bytes, v_head_bytes; /* of a head in a row */
    size_t layer_bytes, bytes;
    unsigned char *data;
};

static const struct quant_type *cache_type(enum cache_type type)
{
    static const enum tensor_type types[] = {
        [CACHE_F16] = TYPE_F16,
        [CACHE_F32] = TYPE_F32,
        [CACHE_Q8_0] = TYPE_Q8_0,
    };

    return quant_find(types[type]);
}

/* Values of a head with its padding. */
static int padded(const struct quant_type *type, int width)
{
    return (width + type->block_elems - 1) / type->block_elems * type->block_elems;
}

static struct kv kv_layout(const struct shape *shape, enum cache_type type, int ctx)
{
    bool mla = shape->attention == ATTENTION_MLA;
    struct kv kv = {
        .type = cache_type(type),
        .ctx = ctx,
        .n_head_kv = mla ? 1 : shape->n_head_kv,
        .k_width = mla ? shape->kv_rank + shape->rope_dim : shape->head_dim,
        .v_width = mla ? 0 : shape->head_dim,
    };

    kv.k_head_bytes = quant_row_bytes(kv.type, padded(kv.type, kv.k_width));
    kv.v_head_bytes = quant_row_bytes(kv.type, padded(kv.type, kv.v_width));
    kv.layer_bytes =
        (size_t)ctx * (size_t)kv.n_head_kv * (kv.k_head_bytes + kv.v_head_bytes);
    kv.bytes = kv.layer_bytes * (size_t)shape->n_layer;
    return kv;
}

size_t attn_kv_bytes_per_token(const struct shape *shape, enum cache_type type)
{
    return kv_layout(shape, type, 1).bytes;
}

struct kv *attn_kv_open(struct backend *be, const struct shape *shape,
                        enum cache_type type, int ctx_tokens, struct err *err)
{
    struct kv *kv = mem_alloc(sizeof(*kv));
    void *data;

    (void)be;
    *kv = kv_layout(shape, type, ctx_tokens);
    data = mmap(NULL, kv->bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        err_set(err, ERR_MEMORY,
                "not enough memory for a cache of %d tokens (%.1f MiB)", ctx_tokens,
                (double)kv->bytes / (1024.0 * 1024.0));
        free(kv);
        return NULL;
    }
    kv->data = data;
    return kv;
}

void attn_kv_close(struct backend *be, struct kv *kv)
{
    (void)be;
    if (kv == NULL)
        return;
    munmap(kv->data, kv->bytes);
    free(kv);
}

static size_t k_row_bytes(const struct kv *kv)
{
    return kv->k_head_bytes * (size_t)kv->n_head_kv;
}

static size_t v_row_bytes(const struct kv *kv)
{
    return kv->v_head_bytes * (size_t)kv->n_head_kv;
}

static unsigned char *k_rows(const struct kv *kv, int layer)
{
    return kv->data + (size_t)layer * kv->layer_bytes;
}

/* MLA's values are the beginnings of its keys. */
static unsigned char *v_rows(const struct kv *kv, int layer)
{
    return kv->v_width == 0 ? k_rows(kv, layer)
                            : k_rows(kv, layer) + (size_t)kv->ctx * k_row_bytes(kv);
}

/* n <= 32 values as one Q8_0 block: f16 scale, int8 codes, zeros after n. */
static void store_q8_block(const float *x, int n, unsigned char *out)
{
    float max = 0, inverse;
    uint16_t d;

    for (int i = 0; i < n; i++)
        max = fmaxf(max, fabsf(x[i]));
    d = quant_f32_to_f16(max / 127.0f);
    inverse = quant_f16_to_f32(d);
    inverse = inverse > 0 ? 1.0f / inverse : 0.0f;
    memset(out, 0, 2 + BLOCK);
    memcpy(out, &d, sizeof(d));
    for (int i = 0; i < n; i++) {
        float q = fminf(fmaxf(rintf(x[i] * inverse), -127.0f), 127.0f);
        out[2 + i] = (unsigned char)(signed char)q;
    }
}

/* Stores a head of n values in the cache's type. */
static void store(const struct cpu_kernels *k, const struct quant_type *type,
                  const float *x, int n, unsigned char *out)
{
    if (type->type == TYPE_F32) {
        memcpy(out, x, (size_t)n * sizeof(float));
    } else if (type->type == TYPE_F16) {
        k->f32_to_f16(x, (uint16_t *)(void *)out, n);
    } else {
        for (int i = 0; i < n; i += BLOCK, out += 2 + BLOCK)
            store_q8_block(x + i, n - i < BLOCK ? n - i : BLOCK, out);
    }
}

/* ---- rotary embedding ---- */

/* cos and sin of a position: [dim/2] each. */
static void angles(const struct rope *rope, int32_t pos, float *out)
{
    int n = rope->dim / 2;

    for (int i = 0; i < n; i++) {
        float angle = (float)pos * rope->inv_freq[i];
        out[i] = cosf(angle) * rope->multiplier;
        out[n + i] = sinf(angle) * rope->multiplier;
    }
}

static void rotate(const struct rope *rope, const float *angle, float *x)
{
    int n = rope->dim / 2, step = rope->pair_stride == 1 ? 2 : 1;

    for (int i = 0; i < n; i++) {
        float *a = x + i * step, *b = a + rope->pair_stride;
        float c = angle[i], s = angle[n + i], x0 = *a, x1 = *b;
        *a = x0 * c - x1 * s;
        *b = x0 * s + x1 * c;
    }
}

/* ---- scores, softmax, values ---- */

/* The attention of rows of one timeline. Query i (of n_queries) of key head j is head
 * j * per + i % per of row i / per. */
struct attend {
    const struct backend *be;
    const struct kv *kv;
    const unsigned char *k, *v;
    int v_width;
    const float *q; /* [rows][heads][k_width] */
    float *out;     /* [rows][heads][v_width] */
    int per, n_head;
    int n_queries; /* rows * per */
    const int32_t *pos;
    float scale;
    int n_blocks, n_parts, block; /* block: queries of one */
    float *partial;               /* [block][key head][part] of struct part, or NULL */
};

/* Results of some positions for some queries. */
struct part {
    float *m; /* [block] largest score */
    float *l; /* [block] sum of exp(score - m) */
    float *u; /* [block][v_width] sum of exp(score - m) * value */
};

static struct part part_at(float *memory, int block)
{
    return (struct part){memory, memory + block, memory + 2 * block};
}

static size_t part_floats(const struct attend *t)
{
    return (size_t)t->block * (size_t)(2 + t->v_width);
}

/* A thread's memory for attend_part: all pointers into one allocation. */
struct attend_memory {
    float *q;     /* [QUERIES][k_pad], scaled */
    float *score; /* [QUERIES][TILE] */
    float *panel; /* [k_pad][PANEL_ROWS_MAX] keys */
    float *value; /* [TILE][v_pad] */
    float *part;  /* struct part */
    float *total; /* struct part */
    int k_pad, v_pad;
};

static struct attend_memory memory_of(const struct attend *t,
                                      struct thread_scratch *scratch)
{
    const int r = PANEL_ROWS_MAX;
    struct attend_memory m;
    size_t k, v, need;
    float *at;

    m.k_pad = padded(t->kv->type, t->kv->k_width);
    m.v_pad = (t->v_width + r - 1) / r * r;
    k = (size_t)m.k_pad;
    v = (size_t)m.v_pad;
    need = QUERIES * k + QUERIES * TILE + k * (size_t)r + TILE * v +
           2 * QUERIES * (2 + v) + 96; /* 96: room to align six arrays */
    if (scratch->attend_cap < need) {
        free(scratch->attend);
        scratch->attend = mem_try(need, sizeof(float), "attention", NULL);
        if (scratch->attend == NULL)
            scratch->attend =
                mem_alloc(need * sizeof(float)); /* aborts with a message */
        scratch->attend_cap = need;
    }
    at = scratch->attend;
    m.q = at;
    m.score = m.q + (QUERIES * k + 15) / 16 * 16;
    m.panel = m.score + QUERIES * TILE;
    m.value = m.panel + k * (size_t)r;
    m.part = m.value + TILE * v;
    m.total = m.part + (QUERIES * (2 + v) + 15) / 16 * 16;
    return m;
}

/* The scaled queries q0..q0+n-1 of a key head, side by side. */
static void load_queries(const struct attend *t, const struct attend_memory *m,
                         int head, int q0, int n)
{
    size_t width = (size_t)t->kv->k_width;

    for (int i = 0; i < n; i++) {
        int row = (q0 + i) / t->per, h = head * t->per + (q0 + i) % t->per;
        const float *q = t->q + ((size_t)row * (size_t)t->n_head + (size_t)h) * width;
        float *out = m->q + (size_t)i * (size_t)m->k_pad;

        for (size_t j = 0; j < width; j++)
            out[j] = q[j] * t->scale;
        memset(out + width, 0, ((size_t)m->k_pad - width) * sizeof(float));
    }
}

/* Values of n positions from p0 as floats, zeros after v_width. */
static void load_values(const struct attend *t, const struct attend_memory *m, int head,
                        int p0, int n)
{
    const struct quant_type *type = t->kv->type;
    size_t row_bytes = t->kv->v_width == 0 ? k_row_bytes(t->kv) : v_row_bytes(t->kv);
    size_t head_bytes = t->kv->v_width == 0 ? 0 : t->kv->v_head_bytes;
    int n_values = padded(type, t->v_width);

    for (int i = 0; i < n; i++) {
        const unsigned char *row =
            t->v + (size_t)(p0 + i) * row_bytes + (size_t)head * head_bytes;
        float *out = m->value + (size_t)i * (size_t)m->v_pad;

        if (type->type == TYPE_F16)
            t->be->kernels->f16_to_f32((const uint16_t *)(const void *)row, out,
                                       t->v_width);
        else
            type->to_f32(row, out, n_values);
        memset(out + t->v_width, 0, (size_t)(m->v_pad - t->v_width) * sizeof(float));
    }
}

/* score[i][j] = q_i . k of position p0 + j, j < n */
static void scores(const struct attend *t, const struct attend_memory *m, int head,
                   int n_q, int p0, int n)
{
    const struct cpu_kernels *k = t->be->kernels;
    size_t row_bytes = k_row_bytes(t->kv);

    for (int j = 0; j < n; j += k->panel_rows) {
        int rows = n - j < k->panel_rows ? n - j : k->panel_rows;
        const unsigned char *row =
            t->k + (size_t)(p0 + j) * row_bytes + (size_t)head * t->kv->k_head_bytes;

        k->pack_f32[t->kv->type->type](row, row_bytes, rows, 0, m->k_pad, m->panel);
        k->gemm_f32(m->panel, (size_t)k->panel_rows, m->k_pad, rows, m->q,
                    (size_t)m->k_pad, n_q, m->score + j, TILE, false);
    }
}

/* Turns one query's scores of n positions into weights, of which the first `seen`
 * count, and brings what was summed before to the new maximum. */
static void soften(const struct cpu_kernels *k, float *score, int n, int seen, float *m,
                   float *l, float *u, int v_width)
{
    float max;

    if (seen > n)
        seen = n;
    if (seen < 0)
        seen = 0;
    memset(score + seen, 0, (size_t)(n - seen) * sizeof(float));
    if (seen == 0)
        return;
    max = k->max(score, seen);
    if (max > *m) {
        float fade = expf(*m - max);
        *m = max;
        *l *= fade;
        k->scale(u, fade, v_width);
    }
    *l += k->exp_sum(score, seen, *m);
}

/* Attention of the queries q0..q0+n_q-1 (in memory) to the positions p0..p1-1. */
static void attend_part(const struct attend *t, const struct attend_memory *m, int head,
                        int q0, int n_q, int p0, int p1, struct part out)
{
    const struct cpu_kernels *k = t->be->kernels;
    const int r = k->panel_rows;

    for (int i = 0; i < n_q; i++) {
        out.m[i] = -INFINITY;
        out.l[i] = 0;
    }
    memset(out.u, 0, (size_t)n_q * (size_t)t->v_width * sizeof(float));
    for (int at = p0; at < p1; at += TILE) {
        int n = p1 - at < TILE ? p1 - at : TILE;

        scores(t, m, head, n_q, at, n);
        for (int i = 0; i < n_q; i++)
            soften(k, m->score + i * TILE, n, t->pos[(q0 + i) / t->per] + 1 - at,
                   &out.m[i], &out.l[i], out.u + (size_t)i * (size_t)t->v_width,
                   t->v_width);
        load_values(t, m, head, at, n);
        for (int d = 0; d < t->v_width; d += r)
            k->gemm_f32(m->value + d, (size_t)m->v_pad, n,
                        t->v_width - d < r ? t->v_width - d : r, m->score, TILE, n_q,
                        out.u + d, (size_t)t->v_width, true);
    }
}

/* Adds one query's part to its total. */
static void merge(const struct cpu_kernels *k, float *m, float *l, float *u,
                  float part_m, float part_l, const float *part_u, int v_width)
{
    float max = part_m > *m ? part_m : *m, fade, weight;

    if (part_l == 0)
        return;
    fade = expf(*m - max);
    weight = expf(part_m - max);
    *m = max;
    *l = *l * fade + part_l * weight;
    k->scale(u, fade, v_width);
    k->axpy(u, weight, part_u, v_width);
}

static float *out_row(const struct attend *t, int head, int query)
{
    size_t row = (size_t)(query / t->per), h = (size_t)(head * t->per + query % t->per);

    return t->out + (row * (size_t)t->n_head + h) * (size_t)t->v_width;
}

static int block_size(const struct attend *t, int block)
{
    int rest = t->n_queries - block * t->block;

    return rest < t->block ? rest : t->block;
}

/* Prefill: a block of queries of one key head, all their positions. */
static void whole_unit(void *ctx, int unit, int thread)
{
    const struct attend *t = ctx;
    const struct cpu_kernels *k = t->be->kernels;
    struct attend_memory m = memory_of(t, &t->be->thread[thread]);
    int block = t->n_blocks - 1 - unit / t->kv->n_head_kv; /* the longest first */
    int head = unit % t->kv->n_head_kv, q0 = block * t->block;
    int n_q = block_size(t, block), end = t->pos[(q0 + n_q - 1) / t->per] + 1;
    struct part part = part_at(m.part, t->block);
    struct part total = part_at(m.total, t->block);
    size_t width = (size_t)t->v_width;

    load_queries(t, &m, head, q0, n_q);
    for (int i = 0; i < n_q; i++) {
        total.m[i] = -INFINITY;
        total.l[i] = 0;
    }
    memset(total.u, 0, (size_t)n_q * width * sizeof(float));
    for (int p0 = 0; p0 < end; p0 += PART) {
        attend_part(t, &m, head, q0, n_q, p0, p0 + PART < end ? p0 + PART : end, part);
        for (int i = 0; i < n_q; i++)
            merge(k, &total.m[i], &total.l[i], total.u + (size_t)i * width, part.m[i],
                  part.l[i], part.u + (size_t)i * width, t->v_width);
    }
    for (int i = 0; i < n_q; i++) {
        float *out = out_row(t, head, q0 + i);
        memcpy(out, total.u + (size_t)i * width, width * sizeof(float));
        k->scale(out, 1.0f / total.l[i], t->v_width);
    }
}

/* Decode: one part of the positions of a block of queries. */
static void part_unit(void *ctx, int unit, int thread)
{
    const struct attend *t = ctx;
    struct attend_memory m = memory_of(t, &t->be->thread[thread]);
    int p0 = unit % t->n_parts * PART, head = unit / t->n_parts % t->kv->n_head_kv;
    int block = unit / t->n_parts / t->kv->n_head_kv, q0 = block * t->block;
    int n_q = block_size(t, block), end = t->pos[(q0 + n_q - 1) / t->per] + 1;

    if (end > p0 + PART)
        end = p0 + PART;
    load_queries(t, &m, head, q0, n_q);
    attend_part(t, &m, head, q0, n_q, p0, end,
                part_at(t->partial + (size_t)unit * part_floats(t), t->block));
}

/* ... and the parts of one query of one key head together. */
static void merge_unit(void *ctx, int unit, int thread)
{
    const struct attend *t = ctx;
    const struct cpu_kernels *k = t->be->kernels;
    int head = unit % t->kv->n_head_kv, query = unit / t->kv->n_head_kv;
    int block = query / t->block, i = query % t->block;
    int first = (block * t->kv->n_head_kv + head) * t->n_parts;
    float m = -INFINITY, l = 0, *u = out_row(t, head, query);

    (void)thread;
    memset(u, 0, (size_t)t->v_width * sizeof(float));
    for (int j = 0; j < t->n_parts; j++) {
        struct part p =
            part_at(t->partial + (size_t)(first + j) * part_floats(t), t->block);
        merge(k, &m, &l, u, p.m[i], p.l[i], p.u + (size_t)i * (size_t)t->v_width,
              t->v_width);
    }
    k->scale(u, 1.0f / l, t->v_width);
}

/* t without its division into units. */
static void attend(struct backend *be, struct attend *t)
{
    int n_threads = pool_n_threads(be->pool), n_head = t->kv->n_head_kv, n_units;
    size_t bytes;

    t->block = t->n_queries < QUERIES ? t->n_queries : QUERIES;
    t->n_blocks = (t->n_queries + t->block - 1) / t->block;
    t->n_parts = t->pos[(t->n_queries - 1) / t->per] / PART + 1;
    n_units = t->n_blocks * n_head;
    bytes = (size_t)n_units * (size_t)t->n_parts * part_floats(t) * sizeof(float);
    if (n_units >= 4 * n_threads || t->n_parts == 1 || bytes > PARTIAL_BYTES_MAX) {
        pool_run(be->pool, whole_unit, t, n_units);
        return;
    }
    t->partial = scratch_get(be, SCRATCH_PARTIAL, bytes);
    pool_run(be->pool, part_unit, t, n_units * t->n_parts);
    pool_run(be->pool, merge_unit, t, t->n_queries * n_head);
}

/* Calls attend for each timeline of the step. t: q and out of row 0. */
static void attend_rows(struct backend *be, const struct attend *model, int layer,
                        const struct rows *rows)
{
    size_t q_row = (size_t)model->n_head * (size_t)rows->kv[0]->k_width;
    size_t out_row_width = (size_t)model->n_head * (size_t)model->v_width;

    for (int first = 0, end; first < rows->n; first = end) {
        struct attend t = *model;
        const struct kv *kv = rows->kv[first];

        for (end = first + 1; end < rows->n && rows->kv[end] == kv; end++)
            ;
        t.be = be;
        t.kv = kv;
        t.k = k_rows(kv, layer);
        t.v = v_rows(kv, layer);
        t.q += (size_t)first * q_row;
        t.out += (size_t)first * out_row_width;
        t.pos = rows->pos + first;
        t.n_queries = (end - first) * t.per;
        attend(be, &t);
    }
}

/* ---- grouped-query attention ---- */

struct append {
    const struct cpu_kernels *kernels;
    const struct shape *shape;
    const struct layer *lw;
    const struct rows *rows;
    int layer;
    struct vec *q, *k;
    const struct vec *v;
    float *angle; /* [n_threads][rope.dim] */
    float *query; /* MLA: [rows][n_head][kv_rank + rope_dim] */
};

/* Rotates one row's q and k, and stores its k and v. */
static void gqa_append_unit(void *ctx, int row, int thread)
{
    const struct append *t = ctx;
    const struct shape *s = t->shape;
    const struct kv *kv = t->rows->kv[row];
    float *angle = t->angle + (size_t)thread * (size_t)s->rope.dim;
    size_t pos = (size_t)t->rows->pos[row];
    unsigned char *k_out = k_rows(kv, t->layer) + pos * k_row_bytes(kv);
    unsigned char *v_out = v_rows(kv, t->layer) + pos * v_row_bytes(kv);

    angles(&s->rope, t->rows->pos[row], angle);
    for (int h = 0; h < s->n_head; h++)
        rotate(&s->rope, angle, vec_row(t->q, row) + h * s->head_dim);
    for (int h = 0; h < s->n_head_kv; h++) {
        float *k = vec_row(t->k, row) + h * s->head_dim;
        const float *v = vec_row(t->v, row) + h * s->head_dim;

        rotate(&s->rope, angle, k);
        store(t->kernels, kv->type, k, s->head_dim,
              k_out + (size_t)h * kv->k_head_bytes);
        store(t->kernels, kv->type, v, s->head_dim,
              v_out + (size_t)h * kv->v_head_bytes);
    }
}

static float *angle_memory(struct backend *be, const struct shape *shape)
{
    size_t n = (size_t)pool_n_threads(be->pool) * (size_t)shape->rope.dim;

    return scratch_get(be, SCRATCH_ANGLE, (n + 1) * sizeof(float));
}

void attn_gqa(struct backend *be, struct vec *out, struct vec *q, struct vec *k,
              const struct vec *v, const struct shape *shape, int layer,
              const struct rows *rows)
{
    struct append append = {
        .kernels = be->kernels,
        .shape = shape,
        .rows = rows,
        .layer = layer,
        .q = q,
        .k = k,
        .v = v,
        .angle = angle_memory(be, shape),
    };
    struct attend attend = {
        .v_width = shape->head_dim,
        .q = q->data,
        .out = out->data,
        .per = shape->n_head / shape->n_head_kv,
        .n_head = shape->n_head,
        .scale = shape->attn_scale,
    };

    pool_run(be->pool, gqa_append_unit, &append, rows->n);
    attend_rows(be, &attend, layer, rows);
}

/* ---- multi-head latent attention ---- */

/* Norms and rotates one row's latent and keys, stores them, and places the rotated part
 * of the queries beside where q~ comes. */
static void mla_append_unit(void *ctx, int row, int thread)
{
    const struct append *t = ctx;
    const struct shape *s = t->shape;
    const struct kv *kv = t->rows->kv[row];
    float *angle = t->angle + (size_t)thread * (size_t)s->rope.dim;
    float *latent = vec_row(t->k, row), *k_pe = latent + s->kv_rank;
    int q_width = s->nope_dim + s->rope_dim, k_width = s->kv_rank + s->rope_dim;
    float *query = t->query + (size_t)row * (size_t)(s->n_head * k_width);

    angles(&s->rope, t->rows->pos[row], angle);
    t->kernels->rms_norm(latent, latent, t->lw->kv_a_norm.data, s->kv_rank, s->eps);
    rotate(&s->rope, angle, k_pe);
    store(t->kernels, kv->type, latent, k_width,
          k_rows(kv, t->layer) + (size_t)t->rows->pos[row] * k_row_bytes(kv));
    for (int h = 0; h < s->n_head; h++) {
        float *q_pe = vec_row(t->q, row) + h * q_width + s->nope_dim;

        rotate(&s->rope, angle, q_pe);
        memcpy(query + h * k_width + s->kv_rank, q_pe,
               (size_t)s->rope_dim * sizeof(float));
    }
}

/* For each head h: y[row][h] (y_width apart) = W_h x[row][h] (x_width apart). */
static void per_head(struct backend *be, const struct weight *w, const float *x,
                     int x_width, float *y, int y_width, int n_rows, int n_head)
{
    bool quantise = gemm_wants_quantised(be, w->type);
    struct act a = gemm_act(be, SCRATCH_ACT, x, (size_t)x_width, w->n_in,
                            n_rows * n_head, quantise);
    struct job *job = scratch_get(be, SCRATCH_JOBS, (size_t)n_head * sizeof(*job));

    for (int h = 0; h < n_head; h++)
        job[h] = gemm_job(w, h, act_rows(a, h, n_head), n_rows, y + h * y_width,
                          (size_t)n_head * (size_t)y_width);
    gemm_run(be, job, n_head);
}

void attn_mla(struct backend *be, struct vec *out, struct vec *q, struct vec *kv_a,
              const struct shape *shape, const struct layer *lw, int layer,
              const struct rows *rows)
{
    size_t heads = (size_t)rows->n * (size_t)shape->n_head;
    int k_width = shape->kv_rank + shape->rope_dim;
    float *query =
        scratch_get(be, SCRATCH_QUERY, heads * (size_t)k_width * sizeof(float));
    float *latent =
        scratch_get(be, SCRATCH_LATENT, heads * (size_t)shape->kv_rank * sizeof(float));
    struct append append = {
        .kernels = be->kernels,
        .shape = shape,
        .lw = lw,
        .rows = rows,
        .layer = layer,
        .q = q,
        .k = kv_a,
        .angle = angle_memory(be, shape),
        .query = query,
    };
    struct attend attend = {
        .v_width = shape->kv_rank,
        .q = query,
        .out = latent,
        .per = shape->n_head,
        .n_head = shape->n_head,
        .scale = shape->attn_scale,
    };

    pool_run(be->pool, mla_append_unit, &append, rows->n);
    per_head(be, &lw->k_b, q->data, shape->nope_dim + shape->rope_dim, query, k_width,
             rows->n, shape->n_head);
    attend_rows(be, &attend, layer, rows);
    per_head(be, &lw->v_b, latent, shape->kv_rank, out->data, shape->v_dim, rows->n,
             shape->n_head);
}
