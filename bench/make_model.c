/* SPDX-License-Identifier: MIT
 *
 * Writes a GGUF file of a real model's shape with random weights, for measuring speed:
 * any shape of the table below, any type of `hadal quantize`, any number of layers.
 *
 *   bench_make_model SHAPE TYPE OUT.gguf [LAYERS]      without arguments: the shapes
 *
 * The blocks are the encoders' own, of normally distributed values; a few megabytes of
 * them are made per type and written again and again from other starting points, since
 * the speed of a product does not depend on its values. Which tensor gets which type is
 * decided where `hadal quantize` decides it.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_write.h"
#include "model/quant/encode.h"
#include "model/quant/mix.h"
#include "src/base/mem.h"
#include "src/base/outfile.h"
#include "tests/gguf_build.h"
#include "tests/ops/random.h"

enum {
    POOL_ELEMS = 1 << 20, /* of each type; a multiple of every block */
    N_TYPES = 64,         /* numbers of types that have encoders are smaller */
    N_BYTE_TOKENS = 256,
};

/* Numbers of spec/decoder.md 1.2 and 1.3. Zero: the model has no such thing. */
struct shape_row {
    const char *name, *arch;
    int hidden, layers, heads, heads_kv, head; /* head: 0: hidden / heads */
    int q_rank, kv_rank, nope, rope, v;        /* latent attention */
    int ffn, dense, experts, used, shared, ffn_exp;
    int groups, groups_used, gating; /* gating: 1 softmax, 2 sigmoid */
    int vocab;
};

/* clang-format off */
static const struct shape_row shapes[] = {
    {"v2-lite", "deepseek2", 2048, 27, 16, 1, 0, 0, 512, 128, 64, 128,
     10944, 1, 64, 6, 2, 1408, 0, 0, 1, 102400},
    /* with the q_lora of the larger ones: the shape of the table in issue 6 */
    {"v2-lite-q", "deepseek2", 2048, 27, 16, 1, 0, 768, 512, 128, 64, 128,
     10944, 1, 64, 6, 2, 1408, 0, 0, 1, 102400},
    {"moonlight", "deepseek2", 2048, 27, 16, 1, 0, 0, 512, 128, 64, 128,
     11264, 1, 64, 6, 2, 1408, 0, 0, 2, 163840},
    {"glm-4.7-flash", "deepseek2", 2048, 47, 20, 1, 0, 768, 512, 192, 64, 256,
     10240, 1, 64, 4, 1, 1536, 0, 0, 2, 154880},
    {"v2", "deepseek2", 5120, 60, 128, 1, 0, 1536, 512, 128, 64, 128,
     12288, 1, 160, 6, 2, 1536, 8, 3, 1, 102400},
    {"v3", "deepseek2", 7168, 61, 128, 1, 0, 1536, 512, 128, 64, 128,
     18432, 3, 256, 8, 1, 2048, 8, 4, 2, 129280},
    {"kimi-k2", "deepseek2", 7168, 61, 64, 1, 0, 1536, 512, 128, 64, 128,
     18432, 1, 384, 8, 1, 2048, 0, 0, 2, 163840},
    {"moe-16b", "deepseek", 2048, 28, 16, 16, 128, 0, 0, 0, 0, 0,
     10944, 1, 64, 6, 2, 1408, 0, 0, 0, 102400},
    {"llm-7b", "llama", 4096, 30, 32, 32, 128, 0, 0, 0, 0, 0,
     11008, 30, 0, 0, 0, 0, 0, 0, 0, 102400},
    {"llm-67b", "llama", 8192, 95, 64, 8, 128, 0, 0, 0, 0, 0,
     22016, 95, 0, 0, 0, 0, 0, 0, 0, 102400},
    {"llama-8b", "llama", 4096, 32, 32, 8, 128, 0, 0, 0, 0, 0,
     14336, 32, 0, 0, 0, 0, 0, 0, 0, 128256},
};
/* clang-format on */

struct planned {
    char name[64];
    struct gguf_tensor tensor;
    const struct quant_type *type;
    size_t bytes; /* of its data, without padding */
};

struct maker {
    struct shape_row s;
    const struct mix *mix;
    struct gguf_build head;
    struct planned *plan;
    size_t n, cap;
    uint64_t data_bytes;
    struct outfile out;
    unsigned char *pool[N_TYPES]; /* POOL_ELEMS encoded values; owned */
    struct random random;
};

/* ---- keys ---- */

static void key_u32(struct maker *m, const char *name, int v)
{
    char full[128];

    snprintf(full, sizeof(full), "%s.%s", m->s.arch, name);
    if (v > 0)
        build_key_u32(&m->head, full, (uint32_t)v);
}

static void key_f32(struct maker *m, const char *name, float v)
{
    char full[128];

    snprintf(full, sizeof(full), "%s.%s", m->s.arch, name);
    build_key_f32(&m->head, full, v);
}

static void add_latent_keys(struct maker *m)
{
    const struct shape_row *s = &m->s;

    key_u32(m, "attention.q_lora_rank", s->q_rank);
    key_u32(m, "attention.kv_lora_rank", s->kv_rank);
    key_u32(m, "attention.key_length", s->kv_rank + s->rope);
    key_u32(m, "attention.value_length", s->kv_rank);
    key_u32(m, "attention.key_length_mla", s->nope + s->rope);
    key_u32(m, "attention.value_length_mla", s->v);
    key_u32(m, "rope.dimension_count", s->rope);
}

static void add_expert_keys(struct maker *m)
{
    const struct shape_row *s = &m->s;

    key_u32(m, "leading_dense_block_count", s->dense);
    key_u32(m, "expert_count", s->experts);
    key_u32(m, "expert_used_count", s->used);
    key_u32(m, "expert_shared_count", s->shared);
    key_u32(m, "expert_feed_forward_length", s->ffn_exp);
    key_u32(m, "expert_group_count", s->groups);
    key_u32(m, "expert_group_used_count", s->groups_used);
    key_u32(m, "expert_gating_func", s->gating);
    key_f32(m, "expert_weights_scale", 1);
    if (s->gating == 2) {
        build_key_begin(&m->head, "deepseek2.expert_weights_norm", GGUF_BOOL);
        buf_add_char(&m->head.keys, 1);
    }
}

static void add_model_keys(struct maker *m)
{
    const struct shape_row *s = &m->s;

    build_key_text(&m->head, "general.architecture", s->arch);
    build_key_text(&m->head, "general.name", s->name);
    build_key_u32(&m->head, "general.file_type", mix_file_type(m->mix));
    build_key_u32(&m->head, "general.quantization_version", 2);
    key_u32(m, "block_count", s->layers);
    key_u32(m, "context_length", 32768);
    key_u32(m, "embedding_length", s->hidden);
    key_u32(m, "feed_forward_length", s->ffn);
    key_u32(m, "attention.head_count", s->heads);
    key_u32(m, "attention.head_count_kv", s->heads_kv);
    key_u32(m, "vocab_size", s->vocab);
    key_f32(m, "attention.layer_norm_rms_epsilon", 1e-6f);
    key_f32(m, "rope.freq_base", 10000);
    if (s->kv_rank > 0)
        add_latent_keys(m);
    else
        key_u32(m, "rope.dimension_count", s->head);
    if (s->experts > 0)
        add_expert_keys(m);
}

/* The spelling of a byte in byte-level vocabularies: itself where it is printable, else
 * the next character from U+0100 on. out holds 3 bytes. */
static void spell_byte(int byte, int *n_odd, char out[3])
{
    bool printable = (byte > ' ' && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
    int c = printable ? byte : 256 + (*n_odd)++;

    out[0] = (char)(c < 0x80 ? c : 0xc0 | c >> 6);
    out[1] = (char)(c < 0x80 ? 0 : 0x80 | (c & 63));
    out[2] = '\0';
}

/* A vocabulary that loads everywhere: the 256 bytes, then names that no text has. */
static void add_vocabulary(struct maker *m)
{
    struct buf *keys = &m->head.keys;
    int n_odd = 0;

    build_key_text(&m->head, "tokenizer.ggml.model", "gpt2");
    build_key_text(&m->head, "tokenizer.ggml.pre", "deepseek-llm");
    build_key_begin(&m->head, "tokenizer.ggml.tokens", GGUF_ARRAY);
    build_u32(keys, GGUF_STRING);
    build_u64(keys, (uint64_t)m->s.vocab);
    for (int i = 0; i < m->s.vocab; i++) {
        char name[24];

        snprintf(name, sizeof(name), "tok%d", i);
        if (i < N_BYTE_TOKENS)
            spell_byte(i, &n_odd, name);
        build_text(keys, name);
    }
    build_key_begin(&m->head, "tokenizer.ggml.token_type", GGUF_ARRAY);
    build_u32(keys, GGUF_I32);
    build_u64(keys, (uint64_t)m->s.vocab);
    for (int i = 0; i < m->s.vocab; i++)
        build_u32(keys, 1);
    build_key_begin(&m->head, "tokenizer.ggml.merges", GGUF_ARRAY);
    build_u32(keys, GGUF_STRING);
    build_u64(keys, 0);
    build_key_u32(&m->head, "tokenizer.ggml.bos_token_id", 300);
    build_key_u32(&m->head, "tokenizer.ggml.eos_token_id", 301);
}

/* ---- tensors ---- */

static void plan(struct maker *m, const char *name, int64_t in, int64_t out, int64_t n)
{
    struct planned *p;

    m->plan = mem_grow(m->plan, &m->cap, m->n + 1, sizeof(*m->plan));
    p = &m->plan[m->n++];
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->tensor = (struct gguf_tensor){.type = quant_find(TYPE_F32),
                                     .n_dims = n > 0     ? 3
                                               : out > 0 ? 2
                                                         : 1,
                                     .ne = {in, out > 0 ? out : 1, n > 0 ? n : 1, 1}};
}

/* A tensor of layer i: [in], [out][in] or [n][out][in]. */
static void plan_layer(struct maker *m, int i, const char *name, int64_t in,
                       int64_t out, int64_t n)
{
    char full[64];

    snprintf(full, sizeof(full), "blk.%d.%s", i, name);
    plan(m, full, in, out, n);
}

static void plan_latent(struct maker *m, int i)
{
    const struct shape_row *s = &m->s;
    int all = s->heads * (s->nope + s->rope);

    if (s->q_rank > 0) {
        plan_layer(m, i, "attn_q_a.weight", s->hidden, s->q_rank, 0);
        plan_layer(m, i, "attn_q_a_norm.weight", s->q_rank, 0, 0);
        plan_layer(m, i, "attn_q_b.weight", s->q_rank, all, 0);
    } else {
        plan_layer(m, i, "attn_q.weight", s->hidden, all, 0);
    }
    plan_layer(m, i, "attn_kv_a_mqa.weight", s->hidden, s->kv_rank + s->rope, 0);
    plan_layer(m, i, "attn_kv_a_norm.weight", s->kv_rank, 0, 0);
    plan_layer(m, i, "attn_k_b.weight", s->nope, s->kv_rank, s->heads);
    plan_layer(m, i, "attn_v_b.weight", s->kv_rank, s->v, s->heads);
    plan_layer(m, i, "attn_output.weight", s->heads * s->v, s->hidden, 0);
}

static void plan_attention(struct maker *m, int i)
{
    const struct shape_row *s = &m->s;

    plan_layer(m, i, "attn_q.weight", s->hidden, s->heads * s->head, 0);
    plan_layer(m, i, "attn_k.weight", s->hidden, s->heads_kv * s->head, 0);
    plan_layer(m, i, "attn_v.weight", s->hidden, s->heads_kv * s->head, 0);
    plan_layer(m, i, "attn_output.weight", s->heads * s->head, s->hidden, 0);
}

static void plan_experts(struct maker *m, int i)
{
    const struct shape_row *s = &m->s;
    int shared = s->shared * s->ffn_exp;

    plan_layer(m, i, "ffn_gate_inp.weight", s->hidden, s->experts, 0);
    if (s->gating == 2)
        plan_layer(m, i, "exp_probs_b.bias", s->experts, 0, 0);
    plan_layer(m, i, "ffn_gate_exps.weight", s->hidden, s->ffn_exp, s->experts);
    plan_layer(m, i, "ffn_up_exps.weight", s->hidden, s->ffn_exp, s->experts);
    plan_layer(m, i, "ffn_down_exps.weight", s->ffn_exp, s->hidden, s->experts);
    plan_layer(m, i, "ffn_gate_shexp.weight", s->hidden, shared, 0);
    plan_layer(m, i, "ffn_up_shexp.weight", s->hidden, shared, 0);
    plan_layer(m, i, "ffn_down_shexp.weight", shared, s->hidden, 0);
}

static void plan_all(struct maker *m)
{
    const struct shape_row *s = &m->s;

    plan(m, "token_embd.weight", s->hidden, s->vocab, 0);
    plan(m, "output_norm.weight", s->hidden, 0, 0);
    plan(m, "output.weight", s->hidden, s->vocab, 0);
    for (int i = 0; i < s->layers; i++) {
        plan_layer(m, i, "attn_norm.weight", s->hidden, 0, 0);
        plan_layer(m, i, "ffn_norm.weight", s->hidden, 0, 0);
        if (s->kv_rank > 0)
            plan_latent(m, i);
        else
            plan_attention(m, i);
        if (i >= s->dense) {
            plan_experts(m, i);
            continue;
        }
        plan_layer(m, i, "ffn_gate.weight", s->hidden, s->ffn, 0);
        plan_layer(m, i, "ffn_up.weight", s->hidden, s->ffn, 0);
        plan_layer(m, i, "ffn_down.weight", s->ffn, s->hidden, 0);
    }
}

/* Types, and the tensor table; the plan does not move any more. */
static void choose_types(struct maker *m)
{
    const struct mix_model model = {.n_layer = m->s.layers,
                                    .n_head = m->s.heads,
                                    .n_head_kv = m->s.heads_kv,
                                    .n_expert = m->s.experts};

    for (size_t i = 0; i < m->n; i++) {
        struct planned *p = &m->plan[i];
        uint64_t ne[4];

        p->tensor.name = p->name;
        p->type = mix_type(m->mix, &model, &p->tensor);
        p->bytes = quant_row_bytes(p->type, p->tensor.ne[0]) * (size_t)p->tensor.ne[1] *
                   (size_t)p->tensor.ne[2];
        for (int d = 0; d < 4; d++)
            ne[d] = (uint64_t)p->tensor.ne[d];
        build_entry(&m->head, p->name, (uint32_t)p->tensor.n_dims, ne,
                    (uint32_t)p->type->type, m->data_bytes);
        m->data_bytes += p->bytes + gguf_padding(p->bytes);
    }
}

/* ---- data ---- */

/* Normally distributed, nearly: four uniform ones. */
static void fill_values(struct maker *m, float *x, size_t n)
{
    const float size = 0.02f * 0.866f;

    for (size_t i = 0; i < n; i++)
        x[i] = size * (random_float(&m->random) + random_float(&m->random) +
                       random_float(&m->random) + random_float(&m->random));
}

static bool fill_pool(struct maker *m, const struct quant_type *type)
{
    float *x = mem_array(POOL_ELEMS, sizeof(*x));
    unsigned char *pool = mem_alloc(quant_row_bytes(type, POOL_ELEMS));
    bool ok;

    fill_values(m, x, POOL_ELEMS);
    ok = encode_row(type, x, POOL_ELEMS, pool);
    m->pool[type->type] = pool;
    free(x);
    return ok;
}

/* Blocks from the pool, from another one on each time that it has been used up. */
static bool write_blocks(struct maker *m, const struct quant_type *type, size_t bytes,
                         struct err *err)
{
    size_t size = quant_row_bytes(type, POOL_ELEMS);
    size_t n_blocks = size / (size_t)type->block_bytes;

    if (m->pool[type->type] == NULL && !fill_pool(m, type))
        return err_set(err, ERR_FAILED, "cannot encode as %s", type->name);
    while (bytes > 0) {
        size_t at =
            random_bits(&m->random) % (n_blocks / 2) * (size_t)type->block_bytes;
        size_t n = size - at < bytes ? size - at : bytes;

        if (!outfile_write(&m->out, m->pool[type->type] + at, n, err))
            return false;
        bytes -= n;
    }
    return true;
}

/* Norms: ones; the bias of the router: noughts. */
static bool write_constant(struct maker *m, float value, size_t n, struct err *err)
{
    float *x = mem_array(n, sizeof(*x));
    bool ok;

    for (size_t i = 0; i < n; i++)
        x[i] = value;
    ok = outfile_write(&m->out, x, n * sizeof(*x), err);
    free(x);
    return ok;
}

static bool write_data(struct maker *m, struct err *err)
{
    static const char zeros[GGUF_ALIGNMENT];

    for (size_t i = 0; i < m->n; i++) {
        const struct planned *p = &m->plan[i];
        bool norm = strstr(p->name, "_norm.") != NULL;
        bool ok = norm || strstr(p->name, ".bias") != NULL
                      ? write_constant(m, norm ? 1 : 0, (size_t)p->tensor.ne[0], err)
                      : write_blocks(m, p->type, p->bytes, err);

        if (!ok || !outfile_write(&m->out, zeros, gguf_padding(p->bytes), err))
            return false;
    }
    return true;
}

static bool write_file(struct maker *m, const char *path, struct err *err)
{
    static const char zeros[GGUF_ALIGNMENT];
    unsigned char *head;
    size_t len;
    bool ok;

    head = build_file(&m->head, &len);
    ok = outfile_open(&m->out, path, err) && outfile_write(&m->out, head, len, err) &&
         outfile_write(&m->out, zeros, gguf_padding(len), err) && write_data(m, err) &&
         outfile_commit(&m->out, err);
    outfile_close(&m->out);
    free(head);
    return ok;
}

/* ---- the program ---- */

static const struct shape_row *find_shape(const char *name)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_make_model SHAPE TYPE OUT.gguf [LAYERS]\nshapes:");
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        fprintf(stderr, " %s", shapes[i].name);
    fprintf(stderr, "\ntypes: %s\n", mix_names());
    return 2;
}

static bool make(struct maker *m, const char *path, struct err *err)
{
    bool ok;

    build_init(&m->head);
    add_model_keys(m);
    add_vocabulary(m);
    plan_all(m);
    choose_types(m);
    ok = write_file(m, path, err);
    build_release(&m->head);
    for (int i = 0; i < N_TYPES; i++)
        free(m->pool[i]);
    free(m->plan);
    return ok;
}

int main(int argc, char **argv)
{
    struct maker m = {.random.state = 1, .out.fd = -1};
    const struct shape_row *row = argc > 3 ? find_shape(argv[1]) : NULL;
    struct err err;

    m.mix = argc > 3 ? mix_find(argv[2]) : NULL;
    if (row == NULL || m.mix == NULL)
        return usage();
    m.s = *row;
    if (argc > 4)
        m.s.layers = (int)strtol(argv[4], NULL, 10);
    if (m.s.layers < 1 || m.s.layers > row->layers)
        return usage();
    if (m.s.dense > m.s.layers)
        m.s.dense = m.s.layers;
    if (!make(&m, argv[3], &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s: %s as %s, %d layers, %.2f GB\n", argv[3], m.s.name, mix_name(m.mix),
           m.s.layers, (double)m.data_bytes / 1e9);
    return 0;
}
