/* SPDX-License-Identifier: MIT
 *
 * Tensors by role: looks up every tensor that the shape needs, checks its dimensions
 * and points into the map. What is not there as the kernels want it is derived here:
 * row ranges of fused tensors without a copy, the transposed half of a joined kv_b and
 * all gains with one, in memory that struct weights owns.
 *
 * Names and dimensions: spec/decoder.md 4.4.
 */
#include "config.h"

#include "model/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

enum { NAME_BYTES = 64 };

/* Blocks of memory that are freed together. */
struct pool {
    void **block;
    size_t n, cap;
};

/* What the functions below share. layer: -1 for tensors of the whole model. */
struct finder {
    struct weights *w;
    const struct gguf *g;
    const struct shape *shape;
    int layer;
    struct err *err;
};

/* A matrix as y = W x uses it, in slabs; what is expected of a tensor. */
struct dims {
    int n_in, n_out, n_slab;
};

static struct dims matrix(int n_in, int n_out)
{
    return (struct dims){.n_in = n_in, .n_out = n_out, .n_slab = 1};
}

static bool fail(const struct finder *f, const char *name, const char *what)
{
    return err_set(f->err, ERR_MODEL, "%s: tensor \"%s\" %s", gguf_path(f->g), name,
                   what);
}

static void tensor_name(const struct finder *f, const char *role, char name[NAME_BYTES])
{
    if (f->layer < 0)
        snprintf(name, NAME_BYTES, "%s", role);
    else
        snprintf(name, NAME_BYTES, "blk.%d.%s", f->layer, role);
}

static const struct gguf_tensor *find(const struct finder *f, const char *role)
{
    char name[NAME_BYTES];

    tensor_name(f, role, name);
    return gguf_find_tensor(f->g, name);
}

static bool has(const struct finder *f, const char *role)
{
    return find(f, role) != NULL;
}

/* As find, and fails where there is none. */
static const struct gguf_tensor *demand(const struct finder *f, const char *role)
{
    const struct gguf_tensor *t = find(f, role);
    char name[NAME_BYTES];

    tensor_name(f, role, name);
    if (t == NULL)
        fail(f, name, "is missing");
    return t;
}

static bool fail_dims(const struct finder *f, const struct gguf_tensor *t,
                      const struct dims *d)
{
    char is[96] = "";
    char text[192];
    size_t len = 0;

    for (int i = 0; i < t->n_dims; i++)
        len += (size_t)snprintf(is + len, sizeof(is) - len, "%s%" PRId64,
                                i == 0 ? "" : ",", t->ne[i]);
    if (d->n_out == 0)
        snprintf(text, sizeof(text), "has the shape [%s], expected [%d]", is, d->n_in);
    else if (d->n_slab == 1)
        snprintf(text, sizeof(text), "has the shape [%s], expected [%d,%d]", is,
                 d->n_in, d->n_out);
    else
        snprintf(text, sizeof(text), "has the shape [%s], expected [%d,%d,%d]", is,
                 d->n_in, d->n_out, d->n_slab);
    return fail(f, t->name, text);
}

/* Slabs may also be written one below the other, as rows of a matrix. */
static bool has_dims(const struct gguf_tensor *t, const struct dims *d)
{
    int64_t rows = (int64_t)d->n_out * d->n_slab;

    if (t->ne[0] != d->n_in || t->ne[3] != 1)
        return false;
    return (t->ne[1] == d->n_out && t->ne[2] == d->n_slab) ||
           (t->ne[1] == rows && t->ne[2] == 1);
}

/* The tensor of a role as a weight. */
static bool fill(struct finder *f, struct weight *out, const char *role, struct dims d)
{
    const struct gguf_tensor *t = demand(f, role);

    if (t == NULL)
        return false;
    if (!has_dims(t, &d))
        return fail_dims(f, t, &d);
    if (t->type->to_f32 == NULL) {
        char text[96];

        snprintf(text, sizeof(text), "has element type %s, which holds no weights",
                 t->type->name);
        return fail(f, t->name, text);
    }
    *out = (struct weight){
        .name = t->name,
        .type = t->type,
        .n_slab = d.n_slab,
        .n_out = d.n_out,
        .n_in = d.n_in,
        .row_bytes = quant_row_bytes(t->type, d.n_in),
        .data = t->data,
    };
    out->slab_bytes = (size_t)d.n_out * out->row_bytes;
    f->w->n_params += (int64_t)d.n_in * d.n_out * d.n_slab;
    return true;
}

/* Rows [from, from + n) of every slab of a weight, as a weight of its own. */
static struct weight row_range(const struct weight *w, int from, int n)
{
    struct weight part = *w;

    part.n_out = n;
    part.data = w->data + (size_t)from * w->row_bytes;
    return part;
}

/* n * size bytes that live as long as the weights. */
static void *own(struct finder *f, size_t n, size_t size, const char *what)
{
    struct pool *pool = f->w->owned;
    void *p = mem_try(n, size, what, f->err);

    if (p == NULL)
        return NULL;
    pool->block = mem_grow(pool->block, &pool->cap, pool->n + 1, sizeof(*pool->block));
    pool->block[pool->n++] = p;
    return p;
}

/* n values of the role's tensor from value `from` on, of `total`, as floats. */
static bool fill_gain_part(struct finder *f, struct gain *out, const char *role,
                           int total, int from, int n)
{
    const struct gguf_tensor *t = demand(f, role);
    const struct dims d = {.n_in = total};

    if (t == NULL)
        return false;
    if (t->ne[0] != total || t->ne[1] != 1 || t->ne[2] != 1 || t->ne[3] != 1)
        return fail_dims(f, t, &d);
    if (t->type->to_f32 == NULL || t->type->block_elems != 1)
        return fail(f, t->name, "has an element type that is not F32, F16 or BF16");
    out->data = own(f, (size_t)n, sizeof(float), "a model's norms");
    if (out->data == NULL)
        return false;
    out->n = n;
    t->type->to_f32(t->data + quant_row_bytes(t->type, from), out->data, n);
    for (int i = 0; i < n; i++) {
        if (!isfinite(out->data[i]))
            return fail(f, t->name,
                        "holds a value that is not finite (NaN or infinite)");
    }
    f->w->n_params += n;
    return true;
}

static bool fill_gain(struct finder *f, struct gain *out, const char *role, int n)
{
    return fill_gain_part(f, out, role, n, 0, n);
}

/* A bias that may be absent. */
static bool fill_bias(struct finder *f, struct gain *out, const char *role, int n)
{
    return !has(f, role) || fill_gain(f, out, role, n);
}

/* Biases that some relatives of Llama have and the decoder has no place for: to leave
 * them out would give wrong answers silently. */
static bool refuse_biases(const struct finder *f)
{
    static const char *const roles[] = {
        "attn_output.bias",   "attn_q_a.bias",  "attn_q_b.bias",
        "attn_kv_a_mqa.bias", "attn_kv_b.bias", "ffn_gate.bias",
        "ffn_up.bias",        "ffn_down.bias",  "attn_q_norm.weight",
        "attn_k_norm.weight", "attn_norm.bias", "ffn_norm.bias",
    };

    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        const struct gguf_tensor *t = find(f, roles[i]);

        if (t != NULL)
            return fail(f, t->name, "is not supported in this architecture");
    }
    return true;
}

/* q, k and v as rows of one tensor, in this order. */
static bool fill_fused_qkv(struct finder *f, struct layer *l, int n_q, int n_kv)
{
    const struct shape *s = f->shape;
    struct weight qkv;

    if (!fill(f, &qkv, "attn_qkv.weight", matrix(s->hidden, n_q + 2 * n_kv)))
        return false;
    l->q = row_range(&qkv, 0, n_q);
    l->k = row_range(&qkv, n_q, n_kv);
    l->v = row_range(&qkv, n_q + n_kv, n_kv);
    if (!has(f, "attn_qkv.bias"))
        return true;
    return fill_gain_part(f, &l->q_bias, "attn_qkv.bias", n_q + 2 * n_kv, 0, n_q) &&
           fill_gain_part(f, &l->k_bias, "attn_qkv.bias", n_q + 2 * n_kv, n_q, n_kv) &&
           fill_gain_part(f, &l->v_bias, "attn_qkv.bias", n_q + 2 * n_kv, n_q + n_kv,
                          n_kv);
}

static bool fill_gqa(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    int n_q = s->n_head * s->head_dim;
    int n_kv = s->n_head_kv * s->head_dim;

    if (!fill(f, &l->out, "attn_output.weight", matrix(n_q, s->hidden)))
        return false;
    if (!has(f, "attn_q.weight") && has(f, "attn_qkv.weight"))
        return fill_fused_qkv(f, l, n_q, n_kv);
    return fill(f, &l->q, "attn_q.weight", matrix(s->hidden, n_q)) &&
           fill(f, &l->k, "attn_k.weight", matrix(s->hidden, n_kv)) &&
           fill(f, &l->v, "attn_v.weight", matrix(s->hidden, n_kv)) &&
           fill_bias(f, &l->q_bias, "attn_q.bias", n_q) &&
           fill_bias(f, &l->k_bias, "attn_k.bias", n_kv) &&
           fill_bias(f, &l->v_bias, "attn_v.bias", n_kv);
}

/* k_b from the k rows of a joined kv_b [n_head][nope_dim + v_dim][kv_rank]: transposed
 * per head to [n_head][kv_rank][nope_dim], F16. row: room for kv_rank floats. */
static bool transpose_k_b(struct finder *f, struct weight *k_b,
                          const struct weight *kv_b, float *row)
{
    const struct shape *s = f->shape;
    size_t per_head = (size_t)s->kv_rank * (size_t)s->nope_dim;
    uint16_t *out = own(f, (size_t)s->n_head * per_head, sizeof(*out),
                        "the split of attn_kv_b of an older model file");

    if (out == NULL)
        return false;
    *k_b = (struct weight){
        .name = kv_b->name,
        .type = quant_find(TYPE_F16),
        .n_slab = s->n_head,
        .n_out = s->kv_rank,
        .n_in = s->nope_dim,
        .row_bytes = (size_t)s->nope_dim * sizeof(*out),
        .slab_bytes = per_head * sizeof(*out),
        .data = (const unsigned char *)out,
    };
    for (int h = 0; h < s->n_head; h++, out += per_head) {
        const unsigned char *head = kv_b->data + (size_t)h * kv_b->slab_bytes;

        for (int d = 0; d < s->nope_dim; d++) {
            kv_b->type->to_f32(head + (size_t)d * kv_b->row_bytes, row, s->kv_rank);
            for (int r = 0; r < s->kv_rank; r++)
                out[(size_t)r * (size_t)s->nope_dim + (size_t)d] =
                    quant_f32_to_f16(row[r]);
        }
    }
    return true;
}

static bool fill_joined_kv_b(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    struct weight kv_b;
    float *row;
    bool ok;

    if (!fill(f, &kv_b, "attn_kv_b.weight",
              (struct dims){.n_in = s->kv_rank,
                            .n_out = s->nope_dim + s->v_dim,
                            .n_slab = s->n_head}))
        return false;
    l->v_b = row_range(&kv_b, s->nope_dim, s->v_dim);
    row = mem_array((size_t)s->kv_rank, sizeof(*row));
    ok = transpose_k_b(f, &l->k_b, &kv_b, row);
    free(row);
    return ok;
}

static bool fill_kv_b(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    struct dims k = {.n_in = s->nope_dim, .n_out = s->kv_rank, .n_slab = s->n_head};
    struct dims v = {.n_in = s->kv_rank, .n_out = s->v_dim, .n_slab = s->n_head};

    if (has(f, "attn_kv_b.weight") &&
        !(has(f, "attn_k_b.weight") && has(f, "attn_v_b.weight")))
        return fill_joined_kv_b(f, l);
    return fill(f, &l->k_b, "attn_k_b.weight", k) &&
           fill(f, &l->v_b, "attn_v_b.weight", v);
}

static bool fill_mla(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    int n_q = s->n_head * (s->nope_dim + s->rope_dim);

    if (s->q_rank == 0 && !fill(f, &l->q, "attn_q.weight", matrix(s->hidden, n_q)))
        return false;
    if (s->q_rank > 0 &&
        (!fill(f, &l->q_a, "attn_q_a.weight", matrix(s->hidden, s->q_rank)) ||
         !fill_gain(f, &l->q_a_norm, "attn_q_a_norm.weight", s->q_rank) ||
         !fill(f, &l->q_b, "attn_q_b.weight", matrix(s->q_rank, n_q))))
        return false;
    return fill(f, &l->kv_a, "attn_kv_a_mqa.weight",
                matrix(s->hidden, s->kv_rank + s->rope_dim)) &&
           fill_gain(f, &l->kv_a_norm, "attn_kv_a_norm.weight", s->kv_rank) &&
           fill_kv_b(f, l) &&
           fill(f, &l->out, "attn_output.weight",
                matrix(s->n_head * s->v_dim, s->hidden));
}

static bool fill_dense(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;

    return fill(f, &l->gate, "ffn_gate.weight", matrix(s->hidden, s->ffn)) &&
           fill(f, &l->up, "ffn_up.weight", matrix(s->hidden, s->ffn)) &&
           fill(f, &l->down, "ffn_down.weight", matrix(s->ffn, s->hidden));
}

/* Gate and up of every expert: two tensors, or one with gate's rows above up's. */
static bool fill_gate_up(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    struct dims d = {.n_in = s->hidden, .n_out = s->ffn_expert, .n_slab = s->n_expert};
    struct weight both;

    if (has(f, "ffn_gate_exps.weight") || !has(f, "ffn_gate_up_exps.weight"))
        return fill(f, &l->gate_exps, "ffn_gate_exps.weight", d) &&
               fill(f, &l->up_exps, "ffn_up_exps.weight", d);
    d.n_out *= 2;
    if (!fill(f, &both, "ffn_gate_up_exps.weight", d))
        return false;
    l->gate_exps = row_range(&both, 0, s->ffn_expert);
    l->up_exps = row_range(&both, s->ffn_expert, s->ffn_expert);
    return true;
}

static bool fill_shared(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    int width = s->n_expert_shared * s->ffn_expert;

    if (width == 0 && has(f, "ffn_gate_shexp.weight"))
        return fail(f, find(f, "ffn_gate_shexp.weight")->name,
                    "is there, but expert_shared_count is 0");
    if (width == 0)
        return true;
    return fill(f, &l->gate_shexp, "ffn_gate_shexp.weight", matrix(s->hidden, width)) &&
           fill(f, &l->up_shexp, "ffn_up_shexp.weight", matrix(s->hidden, width)) &&
           fill(f, &l->down_shexp, "ffn_down_shexp.weight", matrix(width, s->hidden));
}

static bool fill_moe(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;
    struct dims down = {
        .n_in = s->ffn_expert, .n_out = s->hidden, .n_slab = s->n_expert};

    if (has(f, "ffn_gate.0.weight"))
        return fail(
            f, find(f, "ffn_gate.0.weight")->name,
            "belongs to an old file with a tensor per expert; convert it again");
    return fill(f, &l->router, "ffn_gate_inp.weight", matrix(s->hidden, s->n_expert)) &&
           fill_bias(f, &l->router_bias, "exp_probs_b.bias", s->n_expert) &&
           fill_gate_up(f, l) && fill(f, &l->down_exps, "ffn_down_exps.weight", down) &&
           fill_shared(f, l);
}

static bool fill_layer(struct finder *f, struct layer *l)
{
    const struct shape *s = f->shape;

    if (!refuse_biases(f) ||
        !fill_gain(f, &l->attn_norm, "attn_norm.weight", s->hidden) ||
        !fill_gain(f, &l->ffn_norm, "ffn_norm.weight", s->hidden))
        return false;
    if (!(s->attention == ATTENTION_MLA ? fill_mla(f, l) : fill_gqa(f, l)))
        return false;
    return f->layer < s->n_layer_dense ? fill_dense(f, l) : fill_moe(f, l);
}

static bool fill_ends(struct finder *f)
{
    const struct shape *s = f->shape;
    struct weights *w = f->w;
    struct dims table = matrix(s->hidden, s->vocab);

    if (!fill(f, &w->embed, "token_embd.weight", table) ||
        !fill_gain(f, &w->out_norm, "output_norm.weight", s->hidden))
        return false;
    if (has(f, "output.weight"))
        return fill(f, &w->head, "output.weight", table);
    w->head = w->embed; /* tied */
    return true;
}

/* A layer after the last one: block_count is wrong, and the rest would be left out
 * silently. */
static bool refuse_more_layers(struct finder *f)
{
    const struct gguf_tensor *t;

    f->layer = f->shape->n_layer + f->shape->n_layer_mtp;
    t = find(f, "attn_norm.weight");
    if (t == NULL || has(f, "nextn.eh_proj.weight"))
        return true;
    return fail(f, t->name, "belongs to a layer beyond block_count");
}

bool weights_open(struct weights *w, const struct gguf *g, const struct shape *shape,
                  struct err *err)
{
    struct finder f = {.w = w, .g = g, .shape = shape, .layer = -1, .err = err};

    memset(w, 0, sizeof(*w));
    w->owned = mem_zalloc(sizeof(struct pool));
    w->layer = mem_array((size_t)shape->n_layer, sizeof(*w->layer));
    w->n_layer = shape->n_layer;
    if (!fill_ends(&f))
        goto fail;
    for (f.layer = 0; f.layer < shape->n_layer; f.layer++) {
        if (!fill_layer(&f, &w->layer[f.layer]))
            goto fail;
    }
    if (!refuse_more_layers(&f))
        goto fail;
    return true;
fail:
    weights_release(w);
    return false;
}

void weights_release(struct weights *w)
{
    struct pool *pool = w->owned;

    for (size_t i = 0; pool != NULL && i < pool->n; i++)
        free(pool->block[i]);
    if (pool != NULL)
        free(pool->block);
    free(pool);
    free(w->layer);
    memset(w, 0, sizeof(*w));
}
