/* SPDX-License-Identifier: MIT
 *
 * Multi-head latent attention on the CPU (spec/decoder.md 2.3), in two forms of the
 * same function.
 *
 * Absorbed: q~ = k_b q_nope per head, then one key head (the cached row) for all heads,
 * then v_b. Each pair of a query and a position costs 2 kv_rank + rope_dim products a
 * head. Always for few rows.
 *
 * Expanded: keys and values of a head are computed from the latents, a tile of
 * positions at a time, and used by all rows of the step; a pair then costs nope_dim +
 * rope_dim + v_dim, a third of it. For long prompts. Expanded tiles are never stored.
 * The two agree to rounding.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/cpu/attn_priv.h"

/* ---- absorbed ---- */

struct append {
    const struct cpu_kernels *kernels;
    const struct shape *shape;
    const struct layer *lw;
    const struct rows *rows;
    int layer;
    struct vec *q, *kv_a;
    float *angle; /* [n_threads][rope.dim] */
};

/* Norms and rotates one row's latent and key, stores them, and rotates its queries. */
static void append_unit(void *ctx, int row, int thread)
{
    const struct append *t = ctx;
    const struct shape *s = t->shape;
    const struct kv *kv = t->rows->kv[row];
    float *angle = t->angle + (size_t)thread * (size_t)s->rope.dim;
    float *latent = vec_row(t->kv_a, row), *q = vec_row(t->q, row) + s->nope_dim;

    attn_angles(&s->rope, t->rows->pos[row], angle);
    t->kernels->rms_norm(latent, latent, t->lw->kv_a_norm.data, s->kv_rank, s->eps);
    attn_rotate(&s->rope, angle, latent + s->kv_rank);
    kv_store_latent(kv, t->kernels, t->layer, t->rows->pos[row], latent);
    for (int h = 0; h < s->n_head; h++)
        attn_rotate(&s->rope, angle, q + h * (s->nope_dim + s->rope_dim));
}

/* For each head h: y[row][h] (y_width apart) = W_h x[row][h] (x_width apart). */
static void per_head(struct backend *be, const struct weight *w, const float *x,
                     int x_width, float *y, int y_width, int n_rows, int n_head)
{
    struct act a = gemm_act(be, SCRATCH_ACT, x, (size_t)x_width, w->n_in,
                            n_rows * n_head, gemm_forms(be, w->type, n_rows));
    struct job *job = scratch_get(be, SCRATCH_JOBS, (size_t)n_head * sizeof(*job));

    for (int h = 0; h < n_head; h++)
        job[h] = gemm_job(w, h, act_rows(a, h, n_head), n_rows, y + h * y_width,
                          (size_t)n_head * (size_t)y_width);
    gemm_run(be, job, n_head);
}

/* q: [n][n_head][nope_dim + rope_dim], rotated; out: [n][n_head][v_dim] */
static void absorbed(struct backend *be, float *out, const float *q,
                     const struct shape *s, const struct layer *lw, int layer,
                     const struct rows *rows, int first, int n)
{
    size_t heads = (size_t)n * (size_t)s->n_head, rope = (size_t)s->rope_dim;
    size_t q_width = (size_t)(s->nope_dim + s->rope_dim);
    size_t k_width = (size_t)(s->kv_rank + s->rope_dim);
    float *query = scratch_get(be, SCRATCH_QUERY, heads * k_width * sizeof(float));
    float *latent =
        scratch_get(be, SCRATCH_LATENT, heads * (size_t)s->kv_rank * sizeof(float));
    struct attend attend = {
        .v_width = s->kv_rank,
        .q = query,
        .out = latent,
        .per = s->n_head,
        .n_head = s->n_head,
        .scale = s->attn_scale,
    };
    const struct latent_heads integers = {
        .n = s->n_head, .q = query, .out = latent, .scale = s->attn_scale};

    per_head(be, &lw->k_b, q, (int)q_width, query, (int)k_width, n, s->n_head);
    for (size_t i = 0; i < heads; i++)
        memcpy(query + i * k_width + s->kv_rank, q + i * q_width + s->nope_dim,
               rope * sizeof(float));
    if (rows->kv[first]->scaled)
        latent_attend(be, &integers, layer, rows, first, n);
    else
        attn_attend(be, &attend, layer, rows, first, n);
    per_head(be, &lw->v_b, latent, s->kv_rank, out, s->v_dim, n, s->n_head);
}

/* ---- expanded ---- */

enum {
    ROWS = 512, /* of a unit */
};

struct expand {
    const struct backend *be;
    const struct shape *shape;
    const struct layer *lw;
    const struct kv *kv;
    const float *q; /* [n][n_head][nope_dim + rope_dim] */
    float *out;     /* [n][n_head][v_dim] */
    const int32_t *pos;
    int layer, n, n_blocks;
    int k_width, v_pad; /* nope_dim + rope_dim; v_dim to whole panels */
};

/* A thread's memory. Panels are [.][panel_rows], see kernels.h. */
struct expand_memory {
    float *q;       /* [ROWS][k_width], scaled */
    float *score;   /* [ROWS][ATTN_TILE] */
    float *u;       /* [ROWS][v_dim] */
    float *m, *l;   /* [ROWS] */
    float *k_b;     /* [nope_dim][kv_rank]: transposed */
    float *v_b;     /* [v_pad / panel_rows] panels of [kv_rank] */
    float *row;     /* [ATTN_TILE][kv_rank + rope_dim]: of the cache */
    float *columns; /* panel of [kv_rank]: the latents of panel_rows positions */
    float *key;     /* panel of [k_width]: their keys */
    float *value;   /* [ATTN_TILE][v_pad] */
};

static struct expand_memory memory_of(const struct expand *t,
                                      struct thread_scratch *scratch)
{
    const size_t r = (size_t)t->be->kernels->panel_rows;
    const size_t rank = (size_t)t->shape->kv_rank, k = (size_t)t->k_width;
    const size_t v = (size_t)t->v_pad, nope = (size_t)t->shape->nope_dim;
    struct expand_memory m;
    const struct {
        float **p;
        size_t n;
    } parts[] = {
        {&m.q, ROWS * k},
        {&m.score, ROWS * ATTN_TILE},
        {&m.u, ROWS * v},
        {&m.m, ROWS},
        {&m.l, ROWS},
        {&m.k_b, nope * rank},
        {&m.v_b, v * rank},
        {&m.row, ATTN_TILE * (rank + (size_t)t->shape->rope_dim)},
        {&m.columns, rank * r},
        {&m.key, k * r},
        {&m.value, ATTN_TILE * v},
    };
    const size_t n_parts = sizeof(parts) / sizeof(parts[0]);
    size_t need = 0;
    float *at;

    for (size_t i = 0; i < n_parts; i++)
        need += (parts[i].n + 15) / 16 * 16;
    at = attn_memory(scratch, need);
    for (size_t i = 0; i < n_parts; i++) {
        *parts[i].p = at;
        at += (parts[i].n + 15) / 16 * 16;
    }
    return m;
}

/* The head's k_b, transposed, and v_b as panels. */
static void load_weights(const struct expand *t, const struct expand_memory *m,
                         int head)
{
    const struct cpu_kernels *k = t->be->kernels;
    const struct weight *w = &t->lw->k_b;
    const unsigned char *slab = w->data + (size_t)head * w->slab_bytes;
    const int r = k->panel_rows, rank = t->shape->kv_rank;

    for (int i = 0; i < rank; i += r) {
        int n = rank - i < r ? rank - i : r;

        k->pack_f32[w->type->type](slab + (size_t)i * w->row_bytes, w->row_bytes, n, 0,
                                   w->n_in, m->key);
        for (int d = 0; d < w->n_in; d++)
            memcpy(m->k_b + (size_t)d * (size_t)rank + i,
                   m->key + (size_t)d * (size_t)r, (size_t)n * sizeof(float));
    }
    w = &t->lw->v_b;
    slab = w->data + (size_t)head * w->slab_bytes;
    for (int i = 0; i < w->n_out; i += r)
        k->pack_f32[w->type->type](slab + (size_t)i * w->row_bytes, w->row_bytes,
                                   w->n_out - i < r ? w->n_out - i : r, 0, rank,
                                   m->v_b + (size_t)i * (size_t)rank);
}

static void load_queries(const struct expand *t, const struct expand_memory *m,
                         int head, int first, int n)
{
    size_t width = (size_t)t->k_width, row = width * (size_t)t->shape->n_head;

    for (int i = 0; i < n; i++) {
        const float *q = t->q + (size_t)(first + i) * row + (size_t)head * width;
        for (size_t d = 0; d < width; d++)
            m->q[(size_t)i * width + d] = q[d] * t->shape->attn_scale;
        m->m[i] = -INFINITY;
        m->l[i] = 0;
    }
    memset(m->u, 0, (size_t)n * (size_t)t->shape->v_dim * sizeof(float));
}

/* score[i][j] = q_i . key of row j of the cache, for i in [skip, n_q), j < n */
static void expand_scores(const struct expand *t, const struct expand_memory *m,
                          int skip, int n_q, int n)
{
    const struct cpu_kernels *k = t->be->kernels;
    const struct shape *s = t->shape;
    const size_t width = (size_t)t->kv->k_width, r = (size_t)k->panel_rows;
    const pack_f32_fn pack = k->pack_f32[TYPE_F32];

    for (int j = 0; j < n; j += k->panel_rows) {
        int rows = n - j < k->panel_rows ? n - j : k->panel_rows;
        const unsigned char *row = (const unsigned char *)(m->row + (size_t)j * width);

        pack(row, width * sizeof(float), rows, 0, s->kv_rank, m->columns);
        k->gemm_f32(m->columns, r, s->kv_rank, k->panel_rows, m->k_b,
                    (size_t)s->kv_rank, s->nope_dim, m->key, r, false);
        pack(row + (size_t)s->kv_rank * sizeof(float), width * sizeof(float), rows, 0,
             s->rope_dim, m->key + (size_t)s->nope_dim * r);
        k->gemm_f32(m->key, r, t->k_width, rows, m->q + skip * t->k_width,
                    (size_t)t->k_width, n_q - skip, m->score + skip * ATTN_TILE + j,
                    ATTN_TILE, false);
    }
}

/* value[j] = v_b c of row j of the cache, j < n */
static void expand_values(const struct expand *t, const struct expand_memory *m, int n)
{
    const struct cpu_kernels *k = t->be->kernels;
    const size_t rank = (size_t)t->shape->kv_rank, r = (size_t)k->panel_rows;

    for (int d = 0; d < t->v_pad; d += k->panel_rows)
        k->gemm_f32(m->v_b + (size_t)d * rank, r, (int)rank, k->panel_rows, m->row,
                    (size_t)t->kv->k_width, n, m->value + d, (size_t)t->v_pad, false);
}

/* One tile of positions for the rows from first + skip on. */
static void expand_tile(const struct expand *t, const struct expand_memory *m,
                        int first, int skip, int n_q, int p0, int n)
{
    const struct cpu_kernels *k = t->be->kernels;
    const int r = k->panel_rows, v = t->shape->v_dim;

    for (int j = 0; j < n; j++)
        kv_load_latent(t->kv, k, t->layer, p0 + j, m->row + j * t->kv->k_width);
    expand_scores(t, m, skip, n_q, n);
    for (int i = skip; i < n_q; i++)
        attn_soften(k, m->score + i * ATTN_TILE, n, t->pos[first + i] + 1 - p0,
                    &m->m[i], &m->l[i], m->u + i * v, v);
    expand_values(t, m, n);
    for (int d = 0; d < v; d += r)
        k->gemm_f32(m->value + d, (size_t)t->v_pad, n, v - d < r ? v - d : r,
                    m->score + skip * ATTN_TILE, ATTN_TILE, n_q - skip,
                    m->u + skip * v + d, (size_t)v, true);
}

/* A head for up to ROWS rows. */
static void expand_unit(void *ctx, int unit, int thread)
{
    const struct expand *t = ctx;
    const struct shape *s = t->shape;
    struct expand_memory m = memory_of(t, &t->be->thread[thread]);
    int block = t->n_blocks - 1 - unit / s->n_head; /* the longest first */
    int head = unit % s->n_head, first = block * ROWS;
    int n = t->n - first < ROWS ? t->n - first : ROWS, end = t->pos[first + n - 1] + 1;

    load_weights(t, &m, head);
    load_queries(t, &m, head, first, n);
    for (int p0 = 0; p0 < end; p0 += ATTN_TILE) {
        int skip = p0 - t->pos[first]; /* rows that see none of the tile */

        expand_tile(t, &m, first, skip < 0 ? 0 : skip, n, p0,
                    end - p0 < ATTN_TILE ? end - p0 : ATTN_TILE);
    }
    for (int i = 0; i < n; i++) {
        float *out = t->out + ((size_t)(first + i) * (size_t)s->n_head + (size_t)head) *
                                  (size_t)s->v_dim;
        memcpy(out, m.u + i * s->v_dim, (size_t)s->v_dim * sizeof(float));
        t->be->kernels->scale(out, 1.0f / m.l[i], s->v_dim);
    }
}

static void expanded(struct backend *be, float *out, const float *q,
                     const struct shape *s, const struct layer *lw, int layer,
                     const struct rows *rows, int first, int n)
{
    const int r = be->kernels->panel_rows;
    struct expand t = {
        .be = be,
        .shape = s,
        .lw = lw,
        .kv = rows->kv[first],
        .layer = layer,
        .q = q,
        .out = out,
        .pos = rows->pos + first,
        .n = n,
        .n_blocks = (n + ROWS - 1) / ROWS,
        .k_width = s->nope_dim + s->rope_dim,
        .v_pad = (s->v_dim + r - 1) / r * r,
    };

    pool_run(be->pool, expand_unit, &t, t.n_blocks * s->n_head);
    be->weight_bytes += (uint64_t)s->n_head * (lw->k_b.slab_bytes + lw->v_b.slab_bytes);
}

/* Whether expanding every position once a block of rows costs less than what it saves
 * on the pairs, in products of floats: of integers of 16 bits twice as many are made in
 * the same time. */
static bool expansion_pays(const struct shape *s, const struct kv *kv, int32_t pos,
                           int n)
{
    double pairs = ((double)pos + (double)n / 2) * n;
    double expansions = ((double)pos + n) * ((n + ROWS - 1) / ROWS);
    double absorbed = (2 * s->kv_rank + s->rope_dim) / (kv->scaled ? 2.0 : 1.0);
    int dims = s->nope_dim + s->v_dim;

    return pairs * (absorbed - dims - s->rope_dim) > expansions * s->kv_rank * dims;
}

void attn_mla(struct backend *be, struct vec *out, struct vec *q, struct vec *kv_a,
              const struct shape *shape, const struct layer *lw, int layer,
              const struct rows *rows)
{
    struct append append = {
        .kernels = be->kernels,
        .shape = shape,
        .lw = lw,
        .rows = rows,
        .layer = layer,
        .q = q,
        .kv_a = kv_a,
        .angle = attn_angle_memory(be, &shape->rope),
    };

    pool_run(be->pool, append_unit, &append, rows->n);
    for (int first = 0, n; first < rows->n; first += n) {
        n = attn_same_timeline(rows, first);
        (expansion_pays(shape, rows->kv[first], rows->pos[first], n)
             ? expanded
             : absorbed)(be, vec_row(out, first), vec_row(q, first), shape, lw, layer,
                         rows, first, n);
    }
}
