/* SPDX-License-Identifier: MIT
 *
 * A tiny model in memory: see tiny.h.
 */
#include "tests/tiny.h"

#include <stdio.h>
#include <string.h>

#include "tests/gguf_build.h"

struct writer {
    const struct tiny *tiny;
    struct gguf_build b;
};

/* Exact as a half float too. */
float tiny_value(size_t i)
{
    return (float)(i % 1024) / 64.0f - 8.0f;
}

static const struct tiny_change *change_of(const struct writer *w, const char *name)
{
    for (size_t i = 0; i < w->tiny->n_changes; i++) {
        if (strcmp(w->tiny->change[i].name, name) == 0)
            return &w->tiny->change[i];
    }
    return NULL;
}

static void write_key(struct writer *w, const struct tiny_change *key)
{
    switch (key->what) {
    case TINY_U32:
        build_key_u32(&w->b, key->name, key->u);
        break;
    case TINY_F32:
        build_key_f32(&w->b, key->name, key->f);
        break;
    case TINY_TEXT:
        build_key_text(&w->b, key->name, key->text);
        break;
    case TINY_BOOL:
        build_key_begin(&w->b, key->name, 7);
        buf_add_char(&w->b.keys, (char)key->u);
        break;
    case TINY_LIST:
        build_key_begin(&w->b, key->name, 9);
        build_u32(&w->b.keys, 4);
        build_u64(&w->b.keys, (uint64_t)key->n);
        for (int i = 0; i < key->n; i++)
            build_u32(&w->b.keys, key->u);
        break;
    default:
        break;
    }
}

/* The key of the valid model, unless the test changes it. */
static void put(struct writer *w, struct tiny_change key)
{
    char name[96];

    if (strncmp(key.name, "general.", 8) != 0) {
        snprintf(name, sizeof(name), "%s.%s", w->tiny->arch, key.name);
        key.name = name;
    }
    if (change_of(w, key.name) == NULL)
        write_key(w, &key);
}

static void put_u32(struct writer *w, const char *name, int v)
{
    put(w, (struct tiny_change){.name = name, .what = TINY_U32, .u = (uint32_t)v});
}

static void put_f32(struct writer *w, const char *name, float v)
{
    put(w, (struct tiny_change){.name = name, .what = TINY_F32, .f = v});
}

static void add_tensor(struct writer *w, const char *name, const int64_t ne[4],
                       const struct tiny_change *change)
{
    enum tensor_type type = TYPE_F32;
    size_t from = w->b.data.len;
    size_t n = 1;

    if (change != NULL && change->what == TINY_TYPE)
        type = (enum tensor_type)change->u;
    build_tensor(&w->b, name, type, ne);
    for (int d = 0; d < 4 && ne[d] != 0; d++)
        n *= (size_t)ne[d];
    for (size_t i = 0; type == TYPE_F32 && i < n; i++) {
        float v = tiny_value(i);

        if (change != NULL && change->what == TINY_FILL)
            v = change->f;
        memcpy(w->b.data.data + from + i * sizeof(v), &v, sizeof(v));
    }
}

/* Tensor of a layer (-1: of the model), unless the test changes it. */
static void tensor(struct writer *w, int layer, const char *role, int ne0, int ne1,
                   int ne2)
{
    const int64_t ne[4] = {ne0, ne1, ne2};
    const struct tiny_change *change;
    char name[64];

    if (layer < 0)
        snprintf(name, sizeof(name), "%s", role);
    else
        snprintf(name, sizeof(name), "blk.%d.%s", layer, role);
    change = change_of(w, name);
    if (change != NULL && change->what == TINY_DROP)
        return;
    add_tensor(w, name, change != NULL && change->what == TINY_DIMS ? change->ne : ne,
               change);
}

static void mla_keys(struct writer *w)
{
    bool joined = w->tiny->joined_kv_b;

    put_u32(w, "attention.head_count_kv", joined ? TINY_HEADS : 1);
    put_u32(w, "attention.kv_lora_rank", TINY_KV_RANK);
    put_u32(w, "rope.dimension_count", TINY_ROPE);
    if (!w->tiny->no_q_lora)
        put_u32(w, "attention.q_lora_rank", TINY_Q_RANK);
    if (joined) {
        put_u32(w, "attention.key_length", TINY_NOPE + TINY_ROPE);
        put_u32(w, "attention.value_length", TINY_V);
        return;
    }
    put_u32(w, "attention.key_length", TINY_KV_RANK + TINY_ROPE);
    put_u32(w, "attention.value_length", TINY_KV_RANK);
    put_u32(w, "attention.key_length_mla", TINY_NOPE + TINY_ROPE);
    put_u32(w, "attention.value_length_mla", TINY_V);
}

static void keys(struct writer *w, bool mla, bool experts)
{
    put(w, (struct tiny_change){.name = "general.architecture",
                                .what = TINY_TEXT,
                                .text = w->tiny->arch});
    put_u32(w, "block_count", w->tiny->mtp ? 3 : 2);
    if (w->tiny->mtp)
        put_u32(w, "nextn_predict_layers", 1);
    put_u32(w, "context_length", 256);
    put_u32(w, "embedding_length", TINY_HIDDEN);
    put_u32(w, "feed_forward_length", TINY_FFN);
    put_u32(w, "attention.head_count", TINY_HEADS);
    put_f32(w, "attention.layer_norm_rms_epsilon", 1e-6f);
    if (mla)
        mla_keys(w);
    else
        put_u32(w, "attention.head_count_kv", TINY_HEADS_KV);
    if (experts) {
        put_u32(w, "leading_dense_block_count", 1);
        put_u32(w, "expert_count", TINY_EXPERTS);
        put_u32(w, "expert_used_count", 2);
        put_u32(w, "expert_shared_count", 1);
        put_u32(w, "expert_feed_forward_length", TINY_FFN_EXPERT);
    }
}

static void gqa_layer(struct writer *w, int l)
{
    int n_q = TINY_HEADS * TINY_HEAD;
    int n_kv = TINY_HEADS_KV * TINY_HEAD;

    if (w->tiny->fused_qkv) {
        tensor(w, l, "attn_qkv.weight", TINY_HIDDEN, n_q + 2 * n_kv, 0);
    } else {
        tensor(w, l, "attn_q.weight", TINY_HIDDEN, n_q, 0);
        tensor(w, l, "attn_k.weight", TINY_HIDDEN, n_kv, 0);
        tensor(w, l, "attn_v.weight", TINY_HIDDEN, n_kv, 0);
    }
    tensor(w, l, "attn_output.weight", n_q, TINY_HIDDEN, 0);
}

static void mla_layer(struct writer *w, int l)
{
    int n_q = TINY_HEADS * (TINY_NOPE + TINY_ROPE);

    if (w->tiny->no_q_lora) {
        tensor(w, l, "attn_q.weight", TINY_HIDDEN, n_q, 0);
    } else {
        tensor(w, l, "attn_q_a.weight", TINY_HIDDEN, TINY_Q_RANK, 0);
        tensor(w, l, "attn_q_a_norm.weight", TINY_Q_RANK, 0, 0);
        tensor(w, l, "attn_q_b.weight", TINY_Q_RANK, n_q, 0);
    }
    tensor(w, l, "attn_kv_a_mqa.weight", TINY_HIDDEN, TINY_KV_RANK + TINY_ROPE, 0);
    tensor(w, l, "attn_kv_a_norm.weight", TINY_KV_RANK, 0, 0);
    if (w->tiny->joined_kv_b) {
        tensor(w, l, "attn_kv_b.weight", TINY_KV_RANK,
               TINY_HEADS * (TINY_NOPE + TINY_V), 0);
    } else {
        tensor(w, l, "attn_k_b.weight", TINY_NOPE, TINY_KV_RANK, TINY_HEADS);
        tensor(w, l, "attn_v_b.weight", TINY_KV_RANK, TINY_V, TINY_HEADS);
    }
    tensor(w, l, "attn_output.weight", TINY_HEADS * TINY_V, TINY_HIDDEN, 0);
}

static void dense_layer(struct writer *w, int l)
{
    tensor(w, l, "ffn_gate.weight", TINY_HIDDEN, TINY_FFN, 0);
    tensor(w, l, "ffn_up.weight", TINY_HIDDEN, TINY_FFN, 0);
    tensor(w, l, "ffn_down.weight", TINY_FFN, TINY_HIDDEN, 0);
}

static void moe_layer(struct writer *w, int l)
{
    int width = TINY_FFN_EXPERT;

    tensor(w, l, "ffn_gate_inp.weight", TINY_HIDDEN, TINY_EXPERTS, 0);
    if (w->tiny->fused_gate_up) {
        tensor(w, l, "ffn_gate_up_exps.weight", TINY_HIDDEN, 2 * width, TINY_EXPERTS);
    } else {
        tensor(w, l, "ffn_gate_exps.weight", TINY_HIDDEN, width, TINY_EXPERTS);
        tensor(w, l, "ffn_up_exps.weight", TINY_HIDDEN, width, TINY_EXPERTS);
    }
    tensor(w, l, "ffn_down_exps.weight", width, TINY_HIDDEN, TINY_EXPERTS);
    tensor(w, l, "ffn_gate_shexp.weight", TINY_HIDDEN, width, 0);
    tensor(w, l, "ffn_up_shexp.weight", TINY_HIDDEN, width, 0);
    tensor(w, l, "ffn_down_shexp.weight", width, TINY_HIDDEN, 0);
}

/* Keys and tensors that the valid model does not have. */
static void additions(struct writer *w)
{
    static const enum tiny_what kinds[] = {TINY_U32, TINY_F32, TINY_TEXT, TINY_BOOL,
                                           TINY_LIST};

    for (size_t i = 0; i < w->tiny->n_changes; i++) {
        const struct tiny_change *c = &w->tiny->change[i];

        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            if (c->what == kinds[k])
                write_key(w, c);
        }
        if (c->what == TINY_ADD)
            add_tensor(w, c->name, c->ne, NULL);
    }
}

unsigned char *tiny_build(const struct tiny *tiny, size_t *len)
{
    struct writer w = {.tiny = tiny};
    bool mla = strcmp(tiny->arch, "deepseek2") == 0;
    bool experts = mla || strcmp(tiny->arch, "deepseek") == 0;
    unsigned char *file;

    build_init(&w.b);
    keys(&w, mla, experts);
    tensor(&w, -1, "token_embd.weight", TINY_HIDDEN, TINY_VOCAB, 0);
    tensor(&w, -1, "output_norm.weight", TINY_HIDDEN, 0, 0);
    if (!tiny->tied)
        tensor(&w, -1, "output.weight", TINY_HIDDEN, TINY_VOCAB, 0);
    for (int l = 0; l < (tiny->mtp ? 3 : 2); l++) {
        tensor(&w, l, "attn_norm.weight", TINY_HIDDEN, 0, 0);
        tensor(&w, l, "ffn_norm.weight", TINY_HIDDEN, 0, 0);
        if (mla)
            mla_layer(&w, l);
        else
            gqa_layer(&w, l);
        if (experts && l > 0)
            moe_layer(&w, l);
        else
            dense_layer(&w, l);
        if (l == 2)
            tensor(&w, l, "nextn.eh_proj.weight", 2 * TINY_HIDDEN, TINY_HIDDEN, 0);
    }
    additions(&w);
    file = build_file(&w.b, len);
    build_release(&w.b);
    return file;
}
