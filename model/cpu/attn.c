/* SPDX-License-Identifier: MIT
 *
 * Attention on the CPU: rotation, softmax over a cache, and grouped-query attention.
 *
 * The queries that share a key head (MLA: all heads of a row, with the latent row as
 * key and its first kv_rank values as value) are taken together, up to QUERIES at a
 * time, so that a cached row is read and widened once for all of them. Positions go in
 * tiles: scores as a small product, softmax with a running maximum, values as a second
 * product.
 *
 * A context is cut into parts of PART positions whose results (struct part) are merged
 * in order. Whether the parts of a query are computed by one thread (prefill) or by
 * many (decode, where there are few queries), the arithmetic is the same: results
 * depend neither on the number of threads nor on the batch.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/attn_priv.h"
#include "src/base/mem.h"

enum {
    QUERIES = 64,
    FEW_QUERIES = 24, /* of a block: keys are then not worth being transposed */
    DOT_ROWS = 4,     /* keys that `dots` likes to take at once, just unpacked */
    PART = 128,
    PARTIAL_BYTES_MAX = 64 << 20,
};

/* ---- rotary embedding ---- */

void attn_angles(const struct rope *rope, int32_t pos, float *out)
{
    int n = rope->dim / 2;

    for (int i = 0; i < n; i++) {
        float angle = (float)pos * rope->inv_freq[i];
        out[i] = cosf(angle) * rope->multiplier;
        out[n + i] = sinf(angle) * rope->multiplier;
    }
}

void attn_rotate(const struct rope *rope, const float *angle, float *x)
{
    int n = rope->dim / 2, step = rope->pair_stride == 1 ? 2 : 1;

    for (int i = 0; i < n; i++) {
        float *a = x + i * step, *b = a + rope->pair_stride;
        float c = angle[i], s = angle[n + i], x0 = *a, x1 = *b;
        *a = x0 * c - x1 * s;
        *b = x0 * s + x1 * c;
    }
}

float *attn_angle_memory(struct backend *be, const struct rope *rope)
{
    size_t n = (size_t)pool_n_threads(be->pool) * (size_t)rope->dim;

    return scratch_get(be, SCRATCH_ANGLE, (n + 1) * sizeof(float));
}

/* ---- scores, softmax, values ---- */

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
    float *q;     /* [QUERIES][stride], scaled */
    float *score; /* [QUERIES][ATTN_TILE] */
    float *key;   /* [ATTN_TILE][stride] */
    float *panel; /* [k_pad][PANEL_ROWS_MAX] of them */
    float *value; /* [ATTN_TILE][v_pad] */
    float *part;  /* struct part */
    float *total; /* struct part */
    int k_pad, v_pad, stride;
};

float *attn_memory(struct thread_scratch *scratch, size_t n)
{
    if (scratch->attend_cap < n) {
        free(scratch->attend);
        scratch->attend = mem_try(n, sizeof(float), "attention", NULL);
        if (scratch->attend == NULL)
            scratch->attend = mem_alloc(n * sizeof(float)); /* aborts with a message */
        scratch->attend_cap = n;
    }
    return scratch->attend;
}

static int padded(int n, int to)
{
    return (n + to - 1) / to * to;
}

static struct attend_memory memory_of(const struct attend *t,
                                      struct thread_scratch *scratch)
{
    const int r = PANEL_ROWS_MAX;
    struct attend_memory m;
    size_t k, v, need;
    float *at;

    m.k_pad = kv_padded(t->kv->type, t->kv->k_width);
    m.v_pad = padded(t->v_width, r);
    m.stride = padded(m.k_pad, r);
    k = (size_t)m.stride;
    v = (size_t)m.v_pad;
    need = QUERIES * k + QUERIES * ATTN_TILE + ATTN_TILE * k + k * (size_t)r +
           ATTN_TILE * v + 2 * QUERIES * (2 + v) + 96; /* 96: room to align arrays */
    at = attn_memory(scratch, need);
    m.q = at;
    m.score = m.q + QUERIES * k;
    m.key = m.score + QUERIES * ATTN_TILE;
    m.panel = m.key + ATTN_TILE * k;
    m.value = m.panel + k * (size_t)r;
    m.part = m.value + ATTN_TILE * v;
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
        float *out = m->q + (size_t)i * (size_t)m->stride;

        memcpy(out, q, width * sizeof(float));
        t->be->kernels->scale(out, t->scale, (int)width);
        if (t->kv->hadamard)
            t->be->kernels->hadamard(out, (int)width);
        memset(out + width, 0, ((size_t)m->stride - width) * sizeof(float));
    }
}

/* n values each of n_rows rows as floats, zeros behind them up to `stride`. Asks for
 * the rows of the next tile meanwhile: what is computed with these takes longer than
 * memory does. */
static void load_rows(const struct attend *t, const unsigned char *row,
                      size_t row_bytes, int n_rows, int n, float *out, int stride)
{
    const size_t head_bytes = quant_row_bytes(t->kv->type, kv_padded(t->kv->type, n));

    for (int i = 0; i < n_rows; i++, row += row_bytes, out += stride) {
        for (size_t at = 0; at < head_bytes; at += 64)
            __builtin_prefetch(row + ATTN_TILE * row_bytes + at, 0, 2);
        kv_load(t->kv, t->be->kernels, row, n, out);
        memset(out + n, 0, (size_t)(stride - n) * sizeof(float));
    }
}

/* Where the values of n positions from p0 are, and how far apart: in latent attention
 * they are the beginnings of the keys, which are there already. */
static const float *values(const struct attend *t, const struct attend_memory *m,
                           int head, int p0, int n, size_t *stride)
{
    const size_t row_bytes = kv_v_row_bytes(t->kv);
    const size_t at = (size_t)p0 * row_bytes + (size_t)head * t->kv->v_head_bytes;

    if (t->kv->v_width == 0) {
        *stride = (size_t)m->stride;
        return m->key;
    }
    load_rows(t, t->v + at, row_bytes, n, t->v_width, m->value, m->v_pad);
    *stride = (size_t)m->v_pad;
    return m->value;
}

/* score[i][j] = q_i . k of position p0 + j, j < n. Many queries: keys are transposed
 * into panels. Few: they are taken as they are. */
static void scores(const struct attend *t, const struct attend_memory *m, int head,
                   int n_q, int p0, int n)
{
    const struct cpu_kernels *k = t->be->kernels;
    const bool few = t->block <= FEW_QUERIES;
    const int step = few ? DOT_ROWS : k->panel_rows;
    size_t row_bytes = kv_k_row_bytes(t->kv), stride = (size_t)m->stride;
    const unsigned char *row =
        t->k + (size_t)p0 * row_bytes + (size_t)head * t->kv->k_head_bytes;

    for (int j = 0; j < n; j += step, row += (size_t)step * row_bytes) {
        int rows = n - j < step ? n - j : step;
        float *key = m->key + j * m->stride;

        load_rows(t, row, row_bytes, rows, t->kv->k_width, key, m->stride);
        if (few) {
            k->dots(m->q, stride, n_q, key, stride, rows, m->stride, m->score + j,
                    ATTN_TILE);
            continue;
        }
        k->pack_f32[TYPE_F32]((const unsigned char *)key, stride * sizeof(float), rows,
                              0, m->k_pad, m->panel);
        k->gemm_f32(m->panel, (size_t)k->panel_rows, m->k_pad, rows, m->q, stride, n_q,
                    m->score + j, ATTN_TILE, false);
    }
}

void attn_soften(const struct cpu_kernels *k, float *score, int n, int seen, float *m,
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
    const float *value;
    size_t stride;

    for (int i = 0; i < n_q; i++) {
        out.m[i] = -INFINITY;
        out.l[i] = 0;
    }
    memset(out.u, 0, (size_t)n_q * (size_t)t->v_width * sizeof(float));
    for (int at = p0; at < p1; at += ATTN_TILE) {
        int n = p1 - at < ATTN_TILE ? p1 - at : ATTN_TILE;

        scores(t, m, head, n_q, at, n);
        for (int i = 0; i < n_q; i++)
            attn_soften(k, m->score + i * ATTN_TILE, n,
                        t->pos[(q0 + i) / t->per] + 1 - at, &out.m[i], &out.l[i],
                        out.u + (size_t)i * (size_t)t->v_width, t->v_width);
        value = values(t, m, head, at, n, &stride);
        for (int d = 0; d < t->v_width; d += r)
            k->gemm_f32(value + d, stride, n, t->v_width - d < r ? t->v_width - d : r,
                        m->score, ATTN_TILE, n_q, out.u + d, (size_t)t->v_width, true);
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

/* Sums of weights and values, whose weights add up to l, to what attention gives. */
static void finish(const struct attend *t, float *u, float l)
{
    const struct cpu_kernels *k = t->be->kernels;

    k->scale(u, 1.0f / l, t->v_width);
    if (t->kv->hadamard)
        k->hadamard(u, t->v_width);
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
        finish(t, out, total.l[i]);
    }
}

/* Decode: one part of the positions of a block of queries. The heads of a part follow
 * each other, since they lie side by side in the cache. */
static void part_unit(void *ctx, int unit, int thread)
{
    const struct attend *t = ctx;
    struct attend_memory m = memory_of(t, &t->be->thread[thread]);
    int head = unit % t->kv->n_head_kv, part = unit / t->kv->n_head_kv;
    int p0 = part % t->n_parts * PART, block = part / t->n_parts, q0 = block * t->block;
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
    int first = block * t->n_parts * t->kv->n_head_kv + head;
    float m = -INFINITY, l = 0, *u = out_row(t, head, query);

    (void)thread;
    memset(u, 0, (size_t)t->v_width * sizeof(float));
    for (int j = 0; j < t->n_parts; j++) {
        int from = first + j * t->kv->n_head_kv;
        struct part p = part_at(t->partial + (size_t)from * part_floats(t), t->block);
        merge(k, &m, &l, u, p.m[i], p.l[i], p.u + (size_t)i * (size_t)t->v_width,
              t->v_width);
    }
    finish(t, u, l);
}

void attn_attend(struct backend *be, struct attend *t, int layer,
                 const struct rows *rows, int first, int n_rows)
{
    int n_threads = pool_n_threads(be->pool), n_head, n_units;
    size_t bytes;

    t->be = be;
    t->kv = rows->kv[first];
    t->k = kv_k_rows(t->kv, layer);
    t->v = kv_v_rows(t->kv, layer);
    t->pos = rows->pos + first;
    t->n_queries = n_rows * t->per;
    n_head = t->kv->n_head_kv;
    t->block = t->n_queries < QUERIES ? t->n_queries : QUERIES;
    t->n_blocks = (t->n_queries + t->block - 1) / t->block;
    t->n_parts = t->pos[n_rows - 1] / PART + 1;
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

int attn_same_timeline(const struct rows *rows, int first)
{
    int n = 1;

    while (first + n < rows->n && rows->kv[first + n] == rows->kv[first])
        n++;
    return n;
}

/* ---- grouped-query attention ---- */

struct append {
    const struct backend *be;
    const struct shape *shape;
    const struct rows *rows;
    int layer;
    struct vec *q, *k;
    const struct vec *v;
    float *angle; /* [n_threads][rope.dim] */
};

/* Stores a head of a row. */
static void store_head(const struct append *t, const struct kv *kv, const float *x,
                       int thread, unsigned char *out)
{
    const struct cpu_kernels *k = t->be->kernels;
    const int n = t->shape->head_dim;

    if (kv->hadamard) {
        float *copy = attn_memory(&t->be->thread[thread], (size_t)n);

        memcpy(copy, x, (size_t)n * sizeof(float));
        k->hadamard(copy, n);
        x = copy;
    }
    kv_store(kv, k, x, n, out);
}

/* Rotates one row's q and k, and stores its k and v. */
static void gqa_append_unit(void *ctx, int row, int thread)
{
    const struct append *t = ctx;
    const struct shape *s = t->shape;
    const struct kv *kv = t->rows->kv[row];
    float *angle = t->angle + (size_t)thread * (size_t)s->rope.dim;
    size_t pos = (size_t)t->rows->pos[row];
    unsigned char *k_out = kv_k_rows(kv, t->layer) + pos * kv_k_row_bytes(kv);
    unsigned char *v_out = kv_v_rows(kv, t->layer) + pos * kv_v_row_bytes(kv);

    attn_angles(&s->rope, t->rows->pos[row], angle);
    for (int h = 0; h < s->n_head; h++)
        attn_rotate(&s->rope, angle, vec_row(t->q, row) + h * s->head_dim);
    for (int h = 0; h < s->n_head_kv; h++) {
        float *k = vec_row(t->k, row) + h * s->head_dim;
        const float *v = vec_row(t->v, row) + h * s->head_dim;

        attn_rotate(&s->rope, angle, k);
        store_head(t, kv, k, thread, k_out + (size_t)h * kv->k_head_bytes);
        store_head(t, kv, v, thread, v_out + (size_t)h * kv->v_head_bytes);
    }
}

void attn_gqa(struct backend *be, struct vec *out, struct vec *q, struct vec *k,
              const struct vec *v, const struct shape *shape, int layer,
              const struct rows *rows)
{
    struct append append = {
        .be = be,
        .shape = shape,
        .rows = rows,
        .layer = layer,
        .q = q,
        .k = k,
        .v = v,
        .angle = attn_angle_memory(be, &shape->rope),
    };

    pool_run(be->pool, gqa_append_unit, &append, rows->n);
    for (int first = 0, n; first < rows->n; first += n) {
        struct attend attend = {
            .v_width = shape->head_dim,
            .q = vec_row(q, first),
            .out = vec_row(out, first),
            .per = shape->n_head / shape->n_head_kv,
            .n_head = shape->n_head,
            .scale = shape->attn_scale,
        };

        n = attn_same_timeline(rows, first);
        attn_attend(be, &attend, layer, rows, first, n);
    }
}
