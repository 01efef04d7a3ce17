/* SPDX-License-Identifier: MIT
 *
 * Absorbed latent attention (mla.c) in integers of 16 bits: the queries of a row become
 * integers once, the cache has them (kv.c), and struct latent_kernels does the rest for
 * 16 heads and a tile of positions at a time.
 *
 * A context is cut into parts whose results are merged in order. Where they begin
 * depends on the row's position alone, so results depend neither on the number of
 * threads nor on the rows that are computed together. A thread takes the same part of
 * all rows before the next one: its tile is then still near.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/cpu/attn_priv.h"

enum {
    PARTS_MAX = 32,               /* of a context, which is what memory is limited by */
    PARTIAL_BYTES_MAX = 16 << 20, /* of rows computed together */
};

struct latent {
    const struct backend *be;
    const struct kv *kv;
    const struct latent_heads *heads;
    int layer, width, n_groups; /* width: of a row with its padding */
    const int32_t *pos;
    int first, n;   /* rows of this step */
    int n_parts;    /* of the longest */
    int16_t *q;     /* [row][group][width / 2][LATENT_HEADS][2] */
    float *q_scale; /* [row][group][2][LATENT_HEADS] */
    float *partial; /* [row][part] of struct part */
};

/* Results of some positions for the heads of a row. */
struct part {
    struct latent_state *state; /* [n_groups] */
    float *u;                   /* [n_head][rank]: sums of weights and latents */
};

/* Positions of a part. */
static int part_length(int32_t pos)
{
    return LATENT_TILE * (pos / (LATENT_TILE * PARTS_MAX) + 1);
}

static int n_parts(int32_t pos)
{
    return pos / part_length(pos) + 1;
}

static size_t part_floats(const struct latent *t)
{
    size_t state = (size_t)t->n_groups * sizeof(struct latent_state) / sizeof(float);

    return state + (size_t)t->heads->n * (size_t)t->kv->rank;
}

static struct part part_at(const struct latent *t, int row, int part)
{
    size_t i = (size_t)row * (size_t)t->n_parts + (size_t)part;
    float *at = t->partial + i * part_floats(t);

    return (struct part){(struct latent_state *)(void *)at,
                         at + (size_t)t->n_groups * sizeof(struct latent_state) /
                                  sizeof(float)};
}

static int16_t *group_q(const struct latent *t, int unit)
{
    return t->q + (size_t)unit * (size_t)t->width * LATENT_HEADS;
}

static float *group_scale(const struct latent *t, int unit)
{
    return t->q_scale + (size_t)unit * 2 * LATENT_HEADS;
}

/* ---- queries ---- */

/* One head's query as integers, between those of the others. */
static void narrow_query(const struct latent *t, const float *x, int16_t *line,
                         int lane, int16_t *q, float *scale)
{
    const struct latent_kernels *k = t->be->kernels->latent;
    const struct kv *kv = t->kv;

    scale[lane] = t->heads->scale * k->narrow(x, kv->rank, LATENT_QUERY_LENGTH, line);
    scale[LATENT_HEADS + lane] =
        t->heads->scale * k->narrow(x + kv->rank, kv->k_width - kv->rank,
                                    LATENT_QUERY_LENGTH, line + kv->rank_padded);
    q += 2 * lane;
    for (int i = 0; i < t->width; i += 2, q += 2 * LATENT_HEADS)
        memcpy(q, line + i, 2 * sizeof(*q));
}

/* The queries of a group of heads of a row; heads that there are not have zeros. */
static void query_unit(void *ctx, int unit, int thread)
{
    const struct latent *t = ctx;
    const int row = unit / t->n_groups, head = unit % t->n_groups * LATENT_HEADS;
    const int n = t->heads->n - head < LATENT_HEADS ? t->heads->n - head : LATENT_HEADS;
    const size_t k_width = (size_t)t->kv->k_width;
    const float *x =
        t->heads->q +
        ((size_t)(t->first + row) * (size_t)t->heads->n + (size_t)head) * k_width;
    int16_t *line =
        (int16_t *)(void *)attn_memory(&t->be->thread[thread], (size_t)t->width / 2);
    int16_t *q = group_q(t, unit);
    float *scale = group_scale(t, unit);

    if (n < LATENT_HEADS) {
        memset(q, 0, (size_t)t->width * LATENT_HEADS * sizeof(*q));
        memset(scale, 0, 2 * LATENT_HEADS * sizeof(*scale));
    }
    for (int i = 0; i < n; i++)
        narrow_query(t, x + (size_t)i * k_width, line, i, q, scale);
}

/* ---- a part of the positions ---- */

/* A thread's memory. */
struct memory {
    float *score;    /* [LATENT_TILE][LATENT_HEADS] */
    int32_t *weight; /* [LATENT_TILE / 2][LATENT_HEADS] */
    int16_t *row;    /* [LATENT_TILE][width]: rows that the cache has in another form */
};

static struct memory memory_of(const struct latent *t, int thread)
{
    const size_t score = LATENT_TILE * LATENT_HEADS, weight = score / 2;
    const size_t row = LATENT_TILE * (size_t)t->width / 2;
    float *at = attn_memory(&t->be->thread[thread], score + weight + row);

    return (struct memory){at, (int32_t *)(void *)(at + score),
                           (int16_t *)(void *)(at + score + weight)};
}

/* A tile of positions for all heads of a row. */
static void attend_tile(const struct latent *t, const struct memory *m, int row,
                        struct latent_tile *tile, struct part part, bool add)
{
    const struct latent_kernels *k = t->be->kernels->latent;

    for (int g = 0; g < t->n_groups; g++) {
        int head = g * LATENT_HEADS, n = t->heads->n - head;
        struct latent_state *state = &part.state[g];

        tile->q = group_q(t, row * t->n_groups + g);
        tile->q_scale = group_scale(t, row * t->n_groups + g);
        k->scores(tile, m->score);
        k->weights(tile, m->score, state, m->weight);
        k->values(tile, m->weight, state, n < LATENT_HEADS ? n : LATENT_HEADS,
                  part.u + (size_t)head * (size_t)t->kv->rank, t->kv->rank, add);
    }
}

/* The rows that the thread will need after these, in the cache: the next ones, or those
 * from `after` on. */
static const int16_t *next_rows(const struct latent *t, const struct latent_tile *tile,
                                int32_t after)
{
    const unsigned char *rows = kv_k_rows(t->kv, t->layer);

    if (!t->kv->int16)
        return tile->row; /* these have been converted */
    return (const int16_t *)(const void *)(rows + (size_t)after * t->kv->k_head_bytes);
}

static void part_unit(void *ctx, int unit, int thread)
{
    const struct latent *t = ctx;
    const struct memory m = memory_of(t, thread);
    const int row = unit % t->n, j = unit / t->n;
    const int32_t pos = t->pos[t->first + row];
    const int begin = j * part_length(pos);
    const int end =
        pos + 1 - begin < part_length(pos) ? pos + 1 : begin + part_length(pos);
    /* where the thread's next part begins, if the others work as fast */
    const int after = begin + pool_n_threads(t->be->pool) * part_length(pos);
    const struct part part = part_at(t, row, j);
    struct latent_tile tile = {
        .split = t->kv->rank_padded,
        .width = t->width,
        .stride = (size_t)t->width,
    };

    if (begin > pos)
        return;
    for (int g = 0; g < t->n_groups; g++)
        for (int i = 0; i < LATENT_HEADS; i++) {
            part.state[g].m[i] = -INFINITY;
            part.state[g].l[i] = 0;
        }
    for (int p = begin; p < end; p += LATENT_TILE) {
        tile.n_rows = end - p < LATENT_TILE ? end - p : LATENT_TILE;
        tile.row = kv_latent_rows(t->kv, t->be->kernels->latent, t->layer, p,
                                  tile.n_rows, m.row);
        tile.row_scale = kv_latent_scales(t->kv, t->layer) + 2 * (size_t)p;
        tile.next =
            next_rows(t, &tile, p + LATENT_TILE < end ? p + LATENT_TILE : after);
        attend_tile(t, &m, row, &tile, part, p > begin);
    }
}

/* ---- the parts together ---- */

static void merge_unit(void *ctx, int unit, int thread)
{
    const struct latent *t = ctx;
    const struct cpu_kernels *k = t->be->kernels;
    const int row = unit / t->heads->n, head = unit % t->heads->n, rank = t->kv->rank;
    const int g = head / LATENT_HEADS, lane = head % LATENT_HEADS;
    const int n = n_parts(t->pos[t->first + row]);
    float *out =
        t->heads->out +
        ((size_t)(t->first + row) * (size_t)t->heads->n + (size_t)head) * (size_t)rank;
    float max = -INFINITY, sum = 0;

    (void)thread;
    for (int j = 0; j < n; j++)
        max = fmaxf(max, part_at(t, row, j).state[g].m[lane]);
    memset(out, 0, (size_t)rank * sizeof(float));
    for (int j = 0; j < n; j++) {
        struct part part = part_at(t, row, j);
        float weight = expf(part.state[g].m[lane] - max);

        sum += weight * part.state[g].l[lane];
        k->axpy(out, weight, part.u + (size_t)head * (size_t)rank, rank);
    }
    k->scale(out, 1.0F / sum, rank);
}

/* ---- all ---- */

void latent_attend(struct backend *be, const struct latent_heads *heads, int layer,
                   const struct rows *rows, int first, int n_rows)
{
    const struct kv *kv = rows->kv[first];
    struct latent t = {
        .be = be,
        .kv = kv,
        .heads = heads,
        .layer = layer,
        .width = kv_latent_width(kv),
        .n_groups = (heads->n + LATENT_HEADS - 1) / LATENT_HEADS,
        .pos = rows->pos + first,
        .n_parts = n_parts(rows->pos[first + n_rows - 1]),
    };
    size_t row_bytes, group;

    for (int i = 0; i < n_rows; i++)
        if (n_parts(t.pos[i]) > t.n_parts)
            t.n_parts = n_parts(t.pos[i]);
    row_bytes = (size_t)t.n_parts * part_floats(&t) * sizeof(float);
    for (; t.first < n_rows; t.first += t.n) {
        size_t most = row_bytes < PARTIAL_BYTES_MAX ? PARTIAL_BYTES_MAX / row_bytes : 1;

        t.n = n_rows - t.first;
        if ((size_t)t.n > most)
            t.n = (int)most;
        group = (size_t)t.n * (size_t)t.n_groups * LATENT_HEADS;
        t.q = scratch_get(be, SCRATCH_QUERY_INT16,
                          group * (size_t)t.width * sizeof(*t.q));
        t.q_scale = scratch_get(be, SCRATCH_QUERY_SCALE, group * 2 * sizeof(float));
        t.partial = scratch_get(be, SCRATCH_PARTIAL, (size_t)t.n * row_bytes);
        pool_run(be->pool, query_unit, &t, t.n * t.n_groups);
        pool_run(be->pool, part_unit, &t, t.n * t.n_parts);
        pool_run(be->pool, merge_unit, &t, t.n * heads->n);
    }
}
