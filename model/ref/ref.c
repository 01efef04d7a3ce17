/* SPDX-License-Identifier: MIT
 *
 * The reference back end: every operation as the papers write it, one value at a time,
 * on dequantised weights. No threads, no SIMD, no fusing, activations in float with
 * sums in double. The other back ends are compared with this one, and a numeric fault
 * is narrowed down with it (--backend=ref); that it is slow is no fault.
 *
 * All scratch is allocated by adopt() and kv_open(), since operations cannot fail.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/backend.h"
#include "model/host_vec.h"
#include "src/base/mem.h"

struct kv {
    enum cache_type type;
    int ctx_tokens;
    int width; /* values of a row: shape_cache_width */
    size_t row_bytes;
    unsigned char *data; /* [n_layer][ctx_tokens][row_bytes] */
    float *row;          /* [width] one row, decoded */
    float *score;        /* [ctx_tokens] */
};

struct backend {
    const struct backend_ops *ops;
    uint64_t weight_bytes_read;
    float *scratch; /* owns all of the following but expert */
    float *row;     /* one row of any weight, dequantised */
    float *gate;    /* the widest FFN's inner values */
    float *up;
    float *y;        /* [hidden] an expert's output */
    float *score;    /* [n_expert] */
    int32_t *expert; /* [n_expert_used] */
    float *weight;   /* [n_expert_used] */
    float *query;    /* [kv_rank + rope_dim]: q~ and q_pe of a head */
    float *latent;   /* [kv_rank]: u of a head */
};

/* Blocks of the Q8_0 cache, cut short at the row's end. */
enum { Q8_BLOCK = 32, Q8_BLOCK_BYTES = 34 };

static double dot(const float *a, const float *b, int n)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* y[o] = sum over i of W[slab][o][i] x[i] */
static void apply(struct backend *be, const struct weight *w, int slab, const float *x,
                  float *y)
{
    const unsigned char *row = w->data + (size_t)slab * w->slab_bytes;

    for (int o = 0; o < w->n_out; o++) {
        w->type->to_f32(row, be->row, w->n_in);
        y[o] = (float)dot(be->row, x, w->n_in);
        row += w->row_bytes;
    }
    be->weight_bytes_read += (uint64_t)w->n_out * w->row_bytes;
}

static float silu(float z)
{
    return z / (1.0F + expf(-z));
}

/* y = down(silu(gate x) * up x), with slab numbers for the experts. */
static void swiglu(struct backend *be, const struct weight *gate,
                   const struct weight *up, const struct weight *down, int slab,
                   const float *x, float *y)
{
    apply(be, gate, slab, x, be->gate);
    apply(be, up, slab, x, be->up);
    for (int i = 0; i < gate->n_out; i++)
        be->gate[i] = silu(be->gate[i]) * be->up[i];
    apply(be, down, slab, be->gate, y);
}

/* y[i] = x[i] gain[i] / sqrt(mean(x^2) + eps) (arXiv:1910.07467) */
static void rms_norm_row(float *y, const float *x, const struct gain *gain, float eps)
{
    double mean = dot(x, x, gain->n) / gain->n;
    double scale = 1.0 / sqrt(mean + (double)eps);

    for (int i = 0; i < gain->n; i++)
        y[i] = (float)(x[i] * scale) * gain->data[i];
}

/* Rotates the first rope->dim values of one head to position pos. */
static void rotate(float *head, const struct rope *rope, int32_t pos)
{
    for (int i = 0; i < rope->dim / 2; i++) {
        float angle = (float)pos * rope->inv_freq[i];
        float c = cosf(angle) * rope->multiplier;
        float s = sinf(angle) * rope->multiplier;
        float *a = rope->pair_stride == 1 ? head + 2 * i : head + i;
        float *b = a + rope->pair_stride;
        float x = *a;
        float y = *b;

        *a = x * c - y * s;
        *b = x * s + y * c;
    }
}

static void softmax(float *score, int n)
{
    float max = -INFINITY;
    double sum = 0.0;

    for (int t = 0; t < n; t++)
        max = fmaxf(max, score[t]);
    for (int t = 0; t < n; t++) {
        score[t] = expf(score[t] - max);
        sum += score[t];
    }
    for (int t = 0; t < n; t++)
        score[t] = (float)(score[t] / sum);
}

static size_t cache_row_bytes(enum cache_type type, int width)
{
    size_t n = (size_t)width;

    if (type == CACHE_F32)
        return n * sizeof(float);
    if (type == CACHE_F16)
        return n * sizeof(uint16_t);
    return (n + Q8_BLOCK - 1) / Q8_BLOCK * Q8_BLOCK_BYTES;
}

static unsigned char *cache_row(const struct kv *kv, int layer, int pos)
{
    size_t at = (size_t)layer * (size_t)kv->ctx_tokens + (size_t)pos;

    return kv->data + at * kv->row_bytes;
}

/* A block: scale d as f16, then up to 32 int8 q with x = d q. */
static void store_q8(unsigned char *out, const float *x, int n)
{
    float max = 0.0F;
    uint16_t d16;
    float d;

    for (int i = 0; i < n; i++)
        max = fmaxf(max, fabsf(x[i]));
    d16 = quant_f32_to_f16(max / 127.0F);
    d = quant_f16_to_f32(d16);
    memcpy(out, &d16, sizeof(d16));
    for (int i = 0; i < n; i++) {
        long q = d > 0.0F ? lrintf(x[i] / d) : 0;

        q = q > 127 ? 127 : q < -127 ? -127 : q;
        out[2 + i] = (unsigned char)(signed char)q;
    }
}

static void cache_store(const struct kv *kv, int layer, int pos, const float *x)
{
    unsigned char *out = cache_row(kv, layer, pos);

    if (kv->type == CACHE_F32) {
        memcpy(out, x, (size_t)kv->width * sizeof(float));
        return;
    }
    for (int i = 0; kv->type == CACHE_F16 && i < kv->width; i++) {
        uint16_t h = quant_f32_to_f16(x[i]);

        memcpy(out + (size_t)i * sizeof(h), &h, sizeof(h));
    }
    for (int i = 0; kv->type == CACHE_Q8_0 && i < kv->width; i += Q8_BLOCK) {
        int n = kv->width - i < Q8_BLOCK ? kv->width - i : Q8_BLOCK;

        store_q8(out, x + i, n);
        out += Q8_BLOCK_BYTES;
    }
}

/* The row as float, in kv->row: valid until the next load. */
static const float *cache_load(const struct kv *kv, int layer, int pos)
{
    const unsigned char *in = cache_row(kv, layer, pos);

    if (kv->type == CACHE_F32) {
        memcpy(kv->row, in, (size_t)kv->width * sizeof(float));
        return kv->row;
    }
    for (int i = 0; i < kv->width; i++) {
        const unsigned char *block = in + (size_t)(i / Q8_BLOCK) * Q8_BLOCK_BYTES;
        uint16_t h;

        if (kv->type == CACHE_F16) {
            memcpy(&h, in + (size_t)i * sizeof(h), sizeof(h));
            kv->row[i] = quant_f16_to_f32(h);
        } else {
            memcpy(&h, block, sizeof(h));
            kv->row[i] =
                quant_f16_to_f32(h) * (float)(signed char)block[2 + i % Q8_BLOCK];
        }
    }
    return kv->row;
}

/* ---- operations, in the order of the table ---- */

static struct backend *ref_open(int n_threads, struct err *err)
{
    struct backend *be = mem_zalloc(sizeof(*be));

    (void)n_threads;
    (void)err;
    be->ops = &backend_ref;
    return be;
}

static void free_scratch(struct backend *be)
{
    free(be->scratch);
    free(be->expert);
    be->scratch = NULL;
    be->expert = NULL;
}

static void ref_close(struct backend *be)
{
    if (be == NULL)
        return;
    free_scratch(be);
    free(be);
}

static int ref_n_threads(const struct backend *be)
{
    (void)be;
    return 1;
}

static const char *ref_describe(const struct backend *be)
{
    (void)be;
    return "plain C";
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

/* The longest row of any weight of this shape. */
static int widest_row(const struct shape *s, int inner)
{
    int heads = s->n_head * max_int(s->head_dim, s->v_dim);
    int widest = max_int(max_int(s->hidden, heads), max_int(inner, s->q_rank));

    return max_int(widest, max_int(s->kv_rank, s->nope_dim));
}

/* n floats out of one allocation. */
static float *carve(float **at, int n)
{
    float *p = *at;

    *at += n;
    return p;
}

static bool ref_adopt(struct backend *be, struct weights *w, const struct shape *shape,
                      struct err *err)
{
    int shared = shape->n_expert_shared * shape->ffn_expert;
    int inner = max_int(shape->ffn, max_int(shape->ffn_expert, shared));
    int row = widest_row(shape, inner);
    int query = shape->kv_rank + shape->rope_dim;
    int n = row + 2 * inner + shape->hidden + shape->n_expert + shape->n_expert_used +
            query + shape->kv_rank;
    float *at = mem_try((size_t)n, sizeof(float), "the reference back end", err);

    (void)w;
    if (at == NULL)
        return false;
    be->scratch = at;
    be->row = carve(&at, row);
    be->gate = carve(&at, inner);
    be->up = carve(&at, inner);
    be->y = carve(&at, shape->hidden);
    be->score = carve(&at, shape->n_expert);
    be->weight = carve(&at, shape->n_expert_used);
    be->query = carve(&at, query);
    be->latent = carve(&at, shape->kv_rank);
    be->expert = mem_array((size_t)shape->n_expert_used + 1, sizeof(*be->expert));
    return true;
}

static void ref_disown(struct backend *be, struct weights *w)
{
    (void)w;
    free_scratch(be);
}

static void ref_kv_close(struct backend *be, struct kv *kv)
{
    (void)be;
    if (kv == NULL)
        return;
    free(kv->data);
    free(kv->row);
    free(kv->score);
    free(kv);
}

static size_t ref_kv_bytes_per_token(const struct shape *shape, enum cache_type type)
{
    return (size_t)shape->n_layer * cache_row_bytes(type, shape_cache_width(shape));
}

static struct kv *ref_kv_open(struct backend *be, const struct shape *shape,
                              enum cache_type type, int ctx_tokens, struct err *err)
{
    struct kv *kv = mem_zalloc(sizeof(*kv));

    kv->type = type;
    kv->ctx_tokens = ctx_tokens;
    kv->width = shape_cache_width(shape);
    kv->row_bytes = cache_row_bytes(type, kv->width);
    kv->row = mem_try((size_t)kv->width, sizeof(float), "the cache", err);
    kv->score = mem_try((size_t)ctx_tokens, sizeof(float), "the cache", err);
    /* calloc: pages that no token has reached cost nothing yet. */
    kv->data = calloc((size_t)ctx_tokens, ref_kv_bytes_per_token(shape, type));
    if (kv->data == NULL)
        err_set(err, ERR_MEMORY, "not enough memory for a cache of %d tokens",
                ctx_tokens);
    if (kv->data == NULL || kv->row == NULL || kv->score == NULL) {
        ref_kv_close(be, kv);
        return NULL;
    }
    return kv;
}

static void ref_embed(struct backend *be, struct vec *y, const struct weight *table,
                      const int32_t *id, int n_rows)
{
    for (int i = 0; i < n_rows; i++)
        table->type->to_f32(table->data + (size_t)id[i] * table->row_bytes,
                            vec_row(y, i), table->n_in);
    be->weight_bytes_read += (uint64_t)n_rows * table->row_bytes;
}

static void ref_rms_norm(struct backend *be, struct vec *y, const struct vec *x,
                         const struct gain *gain, float eps, int n_rows)
{
    (void)be;
    for (int i = 0; i < n_rows; i++)
        rms_norm_row(vec_row(y, i), vec_row(x, i), gain, eps);
}

/* One product; each weight row is dequantised once for all rows of x. */
static void product(struct backend *be, const struct product *p, const struct vec *x,
                    int n_rows)
{
    const struct weight *w = p->w;

    for (int o = 0; o < w->n_out; o++) {
        w->type->to_f32(w->data + (size_t)o * w->row_bytes, be->row, w->n_in);
        for (int i = 0; i < n_rows; i++) {
            double sum = dot(be->row, vec_row(x, i), w->n_in);
            float *y = vec_row(p->y, i) + o;

            if (p->bias != NULL && p->bias->n > 0)
                sum += p->bias->data[o];
            *y = p->add ? *y + (float)sum : (float)sum;
        }
    }
    be->weight_bytes_read += (uint64_t)w->n_out * w->row_bytes;
}

static void ref_matmul(struct backend *be, const struct product *p, int n_products,
                       const struct vec *x, int n_rows)
{
    for (int i = 0; i < n_products; i++)
        product(be, &p[i], x, n_rows);
}

/* One head of one row: softmax(scale q . k) v over the positions up to its own. k_at
 * and v_at: where the head's key and value begin in a cache row. */
static void attend_head(const struct kv *kv, int layer, int pos, const float *q,
                        int k_at, int k_dim, int v_at, int v_dim, float scale,
                        float *out)
{
    for (int t = 0; t <= pos; t++) {
        const float *row = cache_load(kv, layer, t);

        kv->score[t] = scale * (float)dot(q, row + k_at, k_dim);
    }
    softmax(kv->score, pos + 1);
    memset(out, 0, (size_t)v_dim * sizeof(float));
    for (int t = 0; t <= pos; t++) {
        const float *row = cache_load(kv, layer, t);

        for (int d = 0; d < v_dim; d++)
            out[d] += kv->score[t] * row[v_at + d];
    }
}

/* Grouped-query attention (arXiv:2305.13245); multi-head where n_head_kv = n_head. */
static void ref_gqa_attend(struct backend *be, struct vec *out, struct vec *q,
                           struct vec *k, const struct vec *v,
                           const struct shape *shape, int layer,
                           const struct rows *rows)
{
    int dim = shape->head_dim;
    int kv_width = shape->n_head_kv * dim;
    int share = shape->n_head / shape->n_head_kv; /* query heads of one k and v head */

    (void)be;
    for (int i = 0; i < rows->n; i++) {
        const struct kv *kv = rows->kv[i];

        for (int h = 0; h < shape->n_head_kv; h++)
            rotate(vec_row(k, i) + h * dim, &shape->rope, rows->pos[i]);
        for (int h = 0; h < shape->n_head; h++)
            rotate(vec_row(q, i) + h * dim, &shape->rope, rows->pos[i]);
        memcpy(kv->row, vec_row(k, i), (size_t)kv_width * sizeof(float));
        memcpy(kv->row + kv_width, vec_row(v, i), (size_t)kv_width * sizeof(float));
        cache_store(kv, layer, rows->pos[i], kv->row);
        for (int h = 0; h < shape->n_head; h++) {
            int k_at = h / share * dim;

            attend_head(kv, layer, rows->pos[i], vec_row(q, i) + h * dim, k_at, dim,
                        kv_width + k_at, dim, shape->attn_scale,
                        vec_row(out, i) + h * dim);
        }
    }
}

/* Multi-head latent attention in the absorbed form: the key of every head is the cached
 * row [c | k_pe], its value is c, and the head's own matrices act on q and on the
 * result instead of on every cached row. */
static void ref_mla_attend(struct backend *be, struct vec *out, struct vec *q,
                           struct vec *kv_a, const struct shape *shape,
                           const struct layer *lw, int layer, const struct rows *rows)
{
    int q_dim = shape->nope_dim + shape->rope_dim;

    for (int i = 0; i < rows->n; i++) {
        const struct kv *kv = rows->kv[i];
        float *c = vec_row(kv_a, i); /* [kv_rank] latent, then [rope_dim] k_pe */

        rms_norm_row(c, c, &lw->kv_a_norm, shape->eps);
        rotate(c + shape->kv_rank, &shape->rope, rows->pos[i]);
        cache_store(kv, layer, rows->pos[i], c);
        for (int h = 0; h < shape->n_head; h++) {
            float *q_nope = vec_row(q, i) + h * q_dim;
            float *q_pe = q_nope + shape->nope_dim;
            float *query = be->query; /* [kv_rank] q~, then [rope_dim] q_pe */

            rotate(q_pe, &shape->rope, rows->pos[i]);
            apply(be, &lw->k_b, h, q_nope, query);
            memcpy(query + shape->kv_rank, q_pe,
                   (size_t)shape->rope_dim * sizeof(float));
            attend_head(kv, layer, rows->pos[i], query, 0,
                        shape->kv_rank + shape->rope_dim, 0, shape->kv_rank,
                        shape->attn_scale, be->latent);
            apply(be, &lw->v_b, h, be->latent, vec_row(out, i) + h * shape->v_dim);
        }
    }
}

static void add(float *y, float scale, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += scale * x[i];
}

static void ref_ffn(struct backend *be, struct vec *y, const struct vec *x,
                    const struct layer *lw, const struct shape *shape, int n_rows)
{
    for (int i = 0; i < n_rows; i++) {
        swiglu(be, &lw->gate, &lw->up, &lw->down, 0, vec_row(x, i), be->y);
        add(vec_row(y, i), 1.0F, be->y, shape->hidden);
    }
}

static void moe_row(struct backend *be, float *y, const float *x,
                    const struct layer *lw, const struct shape *shape)
{
    const float *bias = lw->router_bias.n > 0 ? lw->router_bias.data : NULL;

    apply(be, &lw->router, 0, x, be->score);
    router_choose(shape, be->score, bias, be->expert, be->weight);
    for (int k = 0; k < shape->n_expert_used; k++) {
        swiglu(be, &lw->gate_exps, &lw->up_exps, &lw->down_exps, be->expert[k], x,
               be->y);
        add(y, be->weight[k], be->y, shape->hidden);
    }
    if (lw->gate_shexp.data != NULL) {
        swiglu(be, &lw->gate_shexp, &lw->up_shexp, &lw->down_shexp, 0, x, be->y);
        add(y, 1.0F, be->y, shape->hidden);
    }
}

static void ref_moe(struct backend *be, struct vec *y, const struct vec *x,
                    const struct layer *lw, const struct shape *shape, int n_rows,
                    struct route *route)
{
    size_t n = (size_t)shape->n_expert_used;

    for (int i = 0; i < n_rows; i++) {
        moe_row(be, vec_row(y, i), vec_row(x, i), lw, shape);
        if (route == NULL)
            continue;
        memcpy(route->expert + (size_t)i * n, be->expert, n * sizeof(*be->expert));
        memcpy(route->weight + (size_t)i * n, be->weight, n * sizeof(*be->weight));
    }
}

static uint64_t ref_weight_bytes_read(const struct backend *be)
{
    return be->weight_bytes_read;
}

const struct backend_ops backend_ref = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .n_threads = ref_n_threads,
    .describe = ref_describe,
    .adopt = ref_adopt,
    .disown = ref_disown,
    .vec_open = host_vec_open,
    .vec_close = host_vec_close,
    .kv_open = ref_kv_open,
    .kv_close = ref_kv_close,
    .kv_bytes_per_token = ref_kv_bytes_per_token,
    .embed = ref_embed,
    .rms_norm = ref_rms_norm,
    .matmul = ref_matmul,
    .gqa_attend = ref_gqa_attend,
    .mla_attend = ref_mla_attend,
    .ffn = ref_ffn,
    .moe = ref_moe,
    .gather = host_vec_gather,
    .read = host_vec_read,
    .weight_bytes_read = ref_weight_bytes_read,
};
