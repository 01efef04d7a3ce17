/* SPDX-License-Identifier: MIT
 *
 * The decoder (spec/decoder.md 2). For a token at position p, with x its residual
 * stream:
 *
 *     x = Embed(token)
 *     for each layer:
 *         x += Attention(RMSNorm(x))      multi-head latent attention, or grouped-query
 *         x += FFN(RMSNorm(x))            dense, or a mixture of experts
 *     logits = Head(RMSNorm(x))
 *
 * Which of the two it is follows from struct shape; there is one loop. All rows of a
 * step go through each operation together, so that the weights are read once a step.
 *
 * Papers: DeepSeek-V2 (arXiv:2405.04434) 2.1 for MLA, DeepSeekMoE (arXiv:2401.06066)
 * and DeepSeek-V3 (arXiv:2412.19437) 2.1 for the experts.
 */
#include "config.h"

#include "model/forward.h"

#include <assert.h>
#include <stdlib.h>

#include "src/base/mem.h"

struct forward {
    struct decoder d;
    int max_rows;
    int max_logits;
    int n_rows;       /* of the last run */
    int first_row;    /* of them, the first that x still has */
    int32_t *pick;    /* [max_logits] rows whose logits are wanted */
    struct vec *x;    /* [max_rows][hidden] the residual stream */
    struct vec *norm; /* [max_rows][hidden] its norm: input of attention and FFN */
    struct vec *q_a;  /* [max_rows][q_rank] MLA with Q-LoRA, else NULL */
    struct vec *q;    /* [max_rows][n_head * head] */
    struct vec *k;    /* [max_rows][n_head_kv * head_dim]; MLA: [kv_rank + rope_dim] */
    struct vec *v;    /* [max_rows][n_head_kv * head_dim]; MLA: NULL */
    struct vec *attn; /* [max_rows][n_head * v_dim] the heads' results */
    struct vec *last; /* [max_logits][hidden] */
    struct vec *logits; /* [max_logits][vocab] */
};

/* Widths of the activations that depend on the kind of attention; 0: not needed. */
struct widths {
    int q_a, q, k, v, attn;
};

static struct widths widths_of(const struct shape *s)
{
    if (s->attention == ATTENTION_MLA)
        return (struct widths){
            .q_a = s->q_rank,
            .q = s->n_head * (s->nope_dim + s->rope_dim),
            .k = s->kv_rank + s->rope_dim,
            .attn = s->n_head * s->v_dim,
        };
    return (struct widths){
        .q = s->n_head * s->head_dim,
        .k = s->n_head_kv * s->head_dim,
        .v = s->n_head_kv * s->head_dim,
        .attn = s->n_head * s->head_dim,
    };
}

/* True where width is 0: nothing to allocate. */
static bool open_vec(const struct decoder *d, struct vec **out, int n_rows, int width,
                     struct err *err)
{
    if (width == 0)
        return true;
    *out = d->ops->vec_open(d->be, n_rows, width, err);
    return *out != NULL;
}

struct forward *forward_open(const struct decoder *decoder, int n_rows, int n_logits,
                             struct err *err)
{
    const struct shape *s = decoder->shape;
    struct widths w = widths_of(s);
    struct forward *f = mem_zalloc(sizeof(*f));

    f->d = *decoder;
    f->max_rows = n_rows;
    f->max_logits = n_logits;
    f->pick = mem_array((size_t)n_logits, sizeof(*f->pick));
    if (!open_vec(decoder, &f->x, n_rows, s->hidden, err) ||
        !open_vec(decoder, &f->norm, n_rows, s->hidden, err) ||
        !open_vec(decoder, &f->q_a, n_rows, w.q_a, err) ||
        !open_vec(decoder, &f->q, n_rows, w.q, err) ||
        !open_vec(decoder, &f->k, n_rows, w.k, err) ||
        !open_vec(decoder, &f->v, n_rows, w.v, err) ||
        !open_vec(decoder, &f->attn, n_rows, w.attn, err) ||
        !open_vec(decoder, &f->last, n_logits, s->hidden, err) ||
        !open_vec(decoder, &f->logits, n_logits, s->vocab, err)) {
        forward_close(f);
        return NULL;
    }
    return f;
}

void forward_close(struct forward *f)
{
    struct vec *owned[9];

    if (f == NULL)
        return;
    owned[0] = f->x;
    owned[1] = f->norm;
    owned[2] = f->q_a;
    owned[3] = f->q;
    owned[4] = f->k;
    owned[5] = f->v;
    owned[6] = f->attn;
    owned[7] = f->last;
    owned[8] = f->logits;
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        if (owned[i] != NULL)
            f->d.ops->vec_close(f->d.be, owned[i]);
    free(f->pick);
    free(f);
}

/* Values of a row inside ffn() and moe(): the gate's and up's results, again as the
 * input of down, and each expert's copy of the row and result. */
static size_t inner_values(const struct shape *s)
{
    size_t used = (size_t)s->n_expert_used;
    size_t dense = (size_t)s->ffn;
    size_t experts = (used + (size_t)s->n_expert_shared) * (size_t)s->ffn_expert;

    if (s->n_layer_dense == s->n_layer)
        return 3 * dense;
    return 3 * (dense > experts ? dense : experts) + 2 * used * (size_t)s->hidden;
}

size_t forward_bytes(const struct shape *shape, int n_rows, int n_logits)
{
    struct widths w = widths_of(shape);
    size_t row = 2 * (size_t)shape->hidden + (size_t)w.q_a + (size_t)w.q + (size_t)w.k +
                 (size_t)w.v + (size_t)w.attn + inner_values(shape);
    size_t logits_row = (size_t)shape->hidden + (size_t)shape->vocab;

    return ((size_t)n_rows * row + (size_t)n_logits * logits_row) * sizeof(float);
}

static const struct gain *bias_of(const struct gain *bias)
{
    return bias->n > 0 ? bias : NULL;
}

/* attn = Attend(W_q a, W_k a, W_v a) */
static void gqa(struct forward *f, int layer, const struct rows *rows)
{
    const struct backend_ops *ops = f->d.ops;
    struct backend *be = f->d.be;
    const struct shape *s = f->d.shape;
    const struct layer *lw = &f->d.weights->layer[layer];
    struct product qkv[3] = {
        {.w = &lw->q, .bias = bias_of(&lw->q_bias), .y = f->q},
        {.w = &lw->k, .bias = bias_of(&lw->k_bias), .y = f->k},
        {.w = &lw->v, .bias = bias_of(&lw->v_bias), .y = f->v},
    };

    ops->matmul(be, qkv, 3, f->norm, rows->n);
    ops->gqa_attend(be, f->attn, f->q, f->k, f->v, s, layer, rows);
}

/* attn = Attend(q, [c | k_pe]), with q = W_q a or W_qb RMSNorm(W_qa a) */
static void mla(struct forward *f, int layer, const struct rows *rows)
{
    const struct backend_ops *ops = f->d.ops;
    struct backend *be = f->d.be;
    const struct shape *s = f->d.shape;
    const struct layer *lw = &f->d.weights->layer[layer];
    bool has_q_lora = s->q_rank > 0;
    struct product in[2] = {
        {.w = has_q_lora ? &lw->q_a : &lw->q, .y = has_q_lora ? f->q_a : f->q},
        {.w = &lw->kv_a, .y = f->k},
    };
    struct product q_b = {.w = &lw->q_b, .y = f->q};

    ops->matmul(be, in, 2, f->norm, rows->n);
    if (has_q_lora) {
        ops->rms_norm(be, f->q_a, f->q_a, &lw->q_a_norm, s->eps, rows->n);
        ops->matmul(be, &q_b, 1, f->q_a, rows->n);
    }
    ops->mla_attend(be, f->attn, f->q, f->k, s, lw, layer, rows);
}

/* After the last layer's attention nothing reads the rows whose logits nobody wants:
 * moves the others to the front of x and attn. Returns how many go on. */
static int keep_wanted(struct forward *f, int n, int wanted)
{
    const struct backend_ops *ops = f->d.ops;

    if (wanted > f->max_logits || 2 * wanted > n) /* the move must not overlap */
        return n;
    for (int i = 0; i < wanted; i++)
        f->pick[i] = n - wanted + i;
    if (wanted > 0) {
        ops->gather(f->d.be, f->x, f->x, f->pick, wanted);
        ops->gather(f->d.be, f->attn, f->attn, f->pick, wanted);
    }
    f->first_row = n - wanted;
    return wanted;
}

/* wanted: the last rows that anything comes after this layer for. */
static void run_layer(struct forward *f, int layer, const struct rows *rows, int wanted,
                      struct route *route)
{
    const struct backend_ops *ops = f->d.ops;
    struct backend *be = f->d.be;
    const struct shape *s = f->d.shape;
    const struct layer *lw = &f->d.weights->layer[layer];
    struct product out = {.w = &lw->out, .y = f->x, .add = true};
    int n;

    ops->rms_norm(be, f->norm, f->x, &lw->attn_norm, s->eps, rows->n);
    if (s->attention == ATTENTION_MLA)
        mla(f, layer, rows);
    else
        gqa(f, layer, rows);
    n = keep_wanted(f, rows->n, wanted);
    if (n == 0)
        return;
    ops->matmul(be, &out, 1, f->attn, n);
    ops->rms_norm(be, f->norm, f->x, &lw->ffn_norm, s->eps, n);
    if (layer < s->n_layer_dense)
        ops->ffn(be, f->x, f->norm, lw, s, n);
    else
        ops->moe(be, f->x, f->norm, lw, s, n, route);
}

bool forward_run(struct forward *f, const struct rows *rows, int wanted,
                 const atomic_bool *stop, struct forward_probe *probe, struct err *err)
{
    const struct shape *s = f->d.shape;
    const struct weights *w = f->d.weights;
    struct route *route = NULL;

    assert(rows->n >= 1 && rows->n <= f->max_rows);
    f->n_rows = rows->n;
    f->first_row = 0;
    if (probe != NULL && probe->route.expert != NULL)
        route = &probe->route;
    f->d.ops->embed(f->d.be, f->x, &w->embed, rows->token, rows->n);
    if (probe != NULL)
        probe->layer(probe->ctx, -1, f->x, NULL);
    for (int layer = 0; layer < s->n_layer; layer++) {
        if (stop != NULL && atomic_load_explicit(stop, memory_order_relaxed))
            return err_set(err, ERR_CANCELLED, "stopped");
        run_layer(f, layer, rows,
                  layer + 1 == s->n_layer && probe == NULL ? wanted : rows->n, route);
        if (probe != NULL)
            probe->layer(probe->ctx, layer, f->x,
                         layer < s->n_layer_dense ? NULL : route);
    }
    return true;
}

bool forward_logits(struct forward *f, int row, int n_rows, float *out, struct err *err)
{
    const struct backend_ops *ops = f->d.ops;
    struct backend *be = f->d.be;
    const struct shape *s = f->d.shape;
    const struct weights *w = f->d.weights;
    struct product head = {.w = &w->head, .y = f->logits};

    assert(row >= f->first_row && n_rows <= f->max_logits && row + n_rows <= f->n_rows);
    for (int i = 0; i < n_rows; i++)
        f->pick[i] = row - f->first_row + i;
    ops->gather(be, f->last, f->x, f->pick, n_rows);
    ops->rms_norm(be, f->last, f->last, &w->out_norm, s->eps, n_rows);
    ops->matmul(be, &head, 1, f->last, n_rows);
    return ops->read(be, f->logits, 0, n_rows, s->vocab, out, err);
}
