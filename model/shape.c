/* SPDX-License-Identifier: MIT
 *
 * struct shape: reading it from a GGUF file's keys and refusing what later code could
 * not divide by, index with or allocate. The limits are far above every released model
 * and low enough that products of two of them fit an int.
 *
 * Reading stops at the first failure: struct reader remembers it, and what is read
 * afterwards is the fallback. So the functions below list keys and need no branches.
 */
#include "config.h"

#include "model/shape.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/rope.h"
#include "src/base/mem.h"

enum {
    MAX_LAYERS = 512,
    MAX_WIDTH = 1 << 18, /* of any projection's side but ffn and vocabulary */
    MAX_FFN = 1 << 22,
    MAX_HEADS = 1 << 12,
    MAX_EXPERTS = 1 << 12,
    MAX_SHARED = 1 << 8,
    MAX_VOCAB = 1 << 24,
    MAX_CTX = 1 << 28,
};

#define REQUIRED INT64_MIN /* as a fallback: the key must be there */

static const struct {
    const char *name;
    enum arch arch;
    enum attention_kind attention;
    bool has_experts;
} archs[] = {
    {"deepseek", ARCH_DEEPSEEK, ATTENTION_GQA, true},
    {"deepseek2", ARCH_DEEPSEEK2, ATTENTION_MLA, true},
    {"llama", ARCH_LLAMA, ATTENTION_GQA, false},
};

enum { N_ARCHS = sizeof(archs) / sizeof(archs[0]) };

struct reader {
    const struct gguf *g;
    size_t arch;  /* index of archs */
    int n_blocks; /* layers in the file, MTP included */
    bool failed;
    struct err *err;
};

const char *arch_name(enum arch arch)
{
    for (size_t i = 0; i < N_ARCHS; i++) {
        if (archs[i].arch == arch)
            return archs[i].name;
    }
    return "unknown";
}

bool arch_is_supported(const char *name)
{
    for (size_t i = 0; i < N_ARCHS; i++)
        if (strcmp(archs[i].name, name) == 0)
            return true;
    return false;
}

static void fail(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void fail(struct reader *r, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (r->failed)
        return;
    r->failed = true;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    err_set(r->err, ERR_MODEL, "%s: %s", gguf_path(r->g), text);
}

/* "deepseek2." and the rest. */
static const char *full_key(const struct reader *r, const char *key, char out[96])
{
    snprintf(out, 96, "%s.%s", archs[r->arch].name, key);
    return out;
}

/* An integer key of the architecture, in [min, max]; fallback where it is absent. */
static int64_t read_int(struct reader *r, const char *key, int64_t min, int64_t max,
                        int64_t fallback)
{
    char full[96];
    int64_t v = fallback;
    int got;

    full_key(r, key, full);
    if (r->failed)
        return min;
    got = gguf_get_int(r->g, full, min, max, &v, r->err);
    if (got < 0)
        r->failed = true;
    if (got == 0 && fallback == REQUIRED)
        fail(r, "%s is missing", full);
    return r->failed ? min : v;
}

static int64_t array_int(struct reader *r, const char *key, const struct gguf_array *a,
                         int64_t min, int64_t max)
{
    if (!gguf_kind_is_int(a->kind)) {
        fail(r, "%s holds values of type %s, expected integers", key,
             gguf_kind_name(a->kind));
        return min;
    }
    if (a->n != (size_t)r->n_blocks) {
        fail(r, "%s has %zu entries for %d layers", key, a->n, r->n_blocks);
        return min;
    }
    for (size_t i = 0; i < a->n; i++) {
        int64_t v = gguf_array_int(a, i);

        if (v < min || v > max)
            fail(r,
                 "%s is %" PRId64 " in layer %zu, out of range (%" PRId64 " to %" PRId64
                 ")",
                 key, v, i, min, max);
        else if (v != gguf_array_int(a, 0))
            fail(r, "%s differs from layer to layer, which is not supported", key);
    }
    return r->failed ? min : gguf_array_int(a, 0);
}

/* As read_int, for the keys that may be given per layer. hadal wants one value: all
 * entries must agree. */
static int64_t read_layer_int(struct reader *r, const char *key, int64_t min,
                              int64_t max, int64_t fallback)
{
    struct gguf_array array;
    char full[96];

    if (!r->failed && gguf_get_array(r->g, full_key(r, key, full), &array, NULL) == 1)
        return array_int(r, full, &array, min, max);
    return read_int(r, key, min, max, fallback);
}

/* A positive float key; NaN as fallback: it must be there. */
static double read_positive(struct reader *r, const char *key, double fallback)
{
    char full[96];
    double v = fallback;
    int got;

    full_key(r, key, full);
    if (r->failed)
        return 1.0;
    got = gguf_get_float(r->g, full, &v, r->err);
    if (got < 0)
        r->failed = true;
    else if (got == 0 && isnan(fallback))
        fail(r, "%s is missing", full);
    else if (!(v > 0.0))
        fail(r, "%s is %g, not a positive number", full, v);
    return r->failed ? 1.0 : v;
}

static bool has_key(const struct reader *r, const char *key)
{
    char full[96];

    return gguf_has(r->g, full_key(r, key, full));
}

static const struct gguf_tensor *layer_tensor(const struct reader *r, int layer,
                                              const char *role)
{
    char name[96];

    snprintf(name, sizeof(name), "blk.%d.%s.weight", layer, role);
    return gguf_find_tensor(r->g, name);
}

static void read_architecture(struct reader *r, struct shape *s)
{
    struct gguf_text name = {0};
    int got = gguf_get_text(r->g, "general.architecture", &name, r->err);

    if (got < 0)
        r->failed = true;
    if (got == 0)
        fail(r, "general.architecture is missing");
    for (size_t i = 0; i < N_ARCHS && !r->failed; i++) {
        if (strlen(archs[i].name) == name.len &&
            memcmp(archs[i].name, name.data, name.len) == 0) {
            r->arch = i;
            s->arch = archs[i].arch;
            s->attention = archs[i].attention;
            return;
        }
    }
    fail(
        r,
        "architecture \"%.*s\" is not supported; hadal runs deepseek, deepseek2, llama",
        name.len > 64 ? 64 : (int)name.len, name.len > 0 ? name.data : "");
}

/* block_count counts the layers for multi-token prediction, which follow the trunk. A
 * converter may have left them out or not counted them: their tensors tell. */
static void read_layers(struct reader *r, struct shape *s)
{
    int64_t n_blocks = read_int(r, "block_count", 1, MAX_LAYERS, REQUIRED);
    int64_t n_mtp = read_int(r, "nextn_predict_layers", 0, n_blocks - 1, 0);

    s->n_layer = (int)n_blocks;
    for (; n_mtp > 0 && !r->failed; n_mtp--) {
        if (layer_tensor(r, s->n_layer - 1, "nextn.eh_proj") != NULL)
            s->n_layer_mtp++;
        else if (layer_tensor(r, s->n_layer - 1, "attn_norm") != NULL)
            break;
        s->n_layer--;
    }
    r->n_blocks = (int)n_blocks;
}

/* Rows of the embedding: the number of logits. */
static void read_vocab(struct reader *r, struct shape *s)
{
    const struct gguf_tensor *t = gguf_find_tensor(r->g, "token_embd.weight");
    int64_t keyed;

    if (t == NULL) {
        fail(r, "tensor \"token_embd.weight\" is missing");
        return;
    }
    if (t->ne[1] > MAX_VOCAB) {
        fail(r,
             "tensor \"token_embd.weight\": %" PRId64 " rows are too many (%d at most)",
             t->ne[1], MAX_VOCAB);
        return;
    }
    s->vocab = (int)t->ne[1];
    keyed = read_int(r, "vocab_size", 1, MAX_VOCAB, s->vocab);
    if (keyed != s->vocab)
        fail(r, "%s.vocab_size is %" PRId64 ", but token_embd.weight has %d rows",
             archs[r->arch].name, keyed, s->vocab);
}

static void read_common(struct reader *r, struct shape *s)
{
    double eps;

    s->hidden = (int)read_int(r, "embedding_length", 1, MAX_WIDTH, REQUIRED);
    s->ctx_train = (int)read_int(r, "context_length", 1, MAX_CTX, REQUIRED);
    s->n_head = (int)read_layer_int(r, "attention.head_count", 1, MAX_HEADS, REQUIRED);
    s->ffn = (int)read_layer_int(r, "feed_forward_length", 1, MAX_FFN, REQUIRED);
    eps = read_positive(r, "attention.layer_norm_rms_epsilon", NAN);
    if (eps >= 1.0)
        fail(r, "%s.attention.layer_norm_rms_epsilon is %g, out of range (below 1)",
             archs[r->arch].name, eps);
    s->eps = (float)eps;
    if (s->eps <= 0.0F)
        fail(r, "%s.attention.layer_norm_rms_epsilon is %g, too small for a float",
             archs[r->arch].name, eps);
}

static void read_gqa(struct reader *r, struct shape *s)
{
    const char *arch = archs[r->arch].name;
    int64_t head = REQUIRED;
    int64_t value;

    if (r->failed)
        return;
    /* Files of before 2024 say nothing: the heads share the hidden width. */
    if (s->hidden % s->n_head == 0)
        head = s->hidden / s->n_head;
    else if (has_key(r, "rope.dimension_count"))
        head = read_int(r, "rope.dimension_count", 2, MAX_WIDTH, REQUIRED);
    head = read_int(r, "attention.key_length", 1, MAX_WIDTH, head);
    value = read_int(r, "attention.value_length", 1, MAX_WIDTH, head);
    if (value != head)
        fail(r,
             "%s.attention.value_length %" PRId64 " differs from key_length %" PRId64
             ", which is not supported",
             arch, value, head);
    s->head_dim = (int)head;
    s->n_head_kv =
        (int)read_layer_int(r, "attention.head_count_kv", 1, s->n_head, s->n_head);
    if (!r->failed && s->n_head % s->n_head_kv != 0)
        fail(r, "%s.attention.head_count %d is not a multiple of head_count_kv %d",
             arch, s->n_head, s->n_head_kv);
    if (!r->failed)
        s->attn_scale = (float)(1.0 / sqrt((double)s->head_dim));
}

/* Whether q goes through a low rank is seen from the tensors: V2-Lite has no key, other
 * converters write 0. */
static int read_q_rank(struct reader *r)
{
    const struct gguf_tensor *t = layer_tensor(r, 0, "attn_q_a");
    int64_t rank = read_int(r, "attention.q_lora_rank", 0, MAX_WIDTH, 0);

    if (layer_tensor(r, 0, "attn_q") != NULL)
        return 0;
    if (rank == 0 && t != NULL && t->ne[1] <= MAX_WIDTH)
        rank = t->ne[1];
    return (int)rank;
}

/* key_length and value_length describe the cached row in today's files (kv_rank +
 * rope_dim, kv_rank), a head in older ones; the _mla keys always a head. */
static void read_mla_heads(struct reader *r, struct shape *s)
{
    const char *arch = archs[r->arch].name;
    bool split = has_key(r, "attention.key_length_mla");
    int64_t key =
        read_int(r, split ? "attention.key_length_mla" : "attention.key_length", 1,
                 MAX_WIDTH, REQUIRED);
    int64_t row = read_int(r, "attention.key_length", 1, 2 * MAX_WIDTH, key);

    s->v_dim = (int)read_int(
        r, split ? "attention.value_length_mla" : "attention.value_length", 1,
        MAX_WIDTH, REQUIRED);
    s->nope_dim = (int)key - s->rope_dim;
    if (!r->failed && s->nope_dim < 1)
        fail(r, "%s.rope.dimension_count %d leaves nothing of a head of %" PRId64, arch,
             s->rope_dim, key);
    if (row != key && row != s->kv_rank + s->rope_dim)
        fail(r,
             "%s.attention.key_length is %" PRId64 ", expected %d (kv_lora_rank + "
             "rope.dimension_count)",
             arch, row, s->kv_rank + s->rope_dim);
    row = read_int(r, "attention.value_length", 1, MAX_WIDTH, s->v_dim);
    if (row != s->v_dim && row != s->kv_rank)
        fail(r, "%s.attention.value_length is %" PRId64 ", expected %d (kv_lora_rank)",
             arch, row, s->kv_rank);
}

static void read_mla(struct reader *r, struct shape *s)
{
    int64_t heads_kv;

    s->kv_rank = (int)read_int(r, "attention.kv_lora_rank", 1, MAX_WIDTH, REQUIRED);
    s->rope_dim = (int)read_int(r, "rope.dimension_count", 2, MAX_WIDTH, REQUIRED);
    heads_kv = read_layer_int(r, "attention.head_count_kv", 1, s->n_head, 1);
    if (!r->failed && heads_kv != 1 && heads_kv != s->n_head)
        fail(r,
             "%s.attention.head_count_kv is %" PRId64 ", expected 1 or head_count %d",
             archs[r->arch].name, heads_kv, s->n_head);
    read_mla_heads(r, s);
    s->q_rank = read_q_rank(r);
    if (!r->failed)
        s->attn_scale = (float)(1.0 / sqrt((double)s->nope_dim + s->rope_dim));
}

/* Released models by what distinguishes them, for keys that old converters left out
 * (decoder.md 2.5, 2.6). */
static bool is_v2_236b(const struct shape *s)
{
    return s->n_expert == 160 && s->n_layer == 60;
}

static bool is_v3_671b(const struct shape *s)
{
    return s->n_expert == 256 && s->n_layer == 61;
}

static bool is_kimi_k2(const struct shape *s)
{
    return s->n_expert == 384 && s->vocab == 163840;
}

static bool is_glm_flash(const struct shape *s)
{
    return s->vocab == 154880 && (s->n_layer == 47 || s->n_layer == 48);
}

static void read_gating(struct reader *r, struct shape *s)
{
    enum { SOFTMAX = 1, SIGMOID = 2 };
    int64_t fallback = is_glm_flash(s) ? SIGMOID : SOFTMAX;
    int64_t v = read_int(r, "expert_gating_func", 0, 255, fallback);

    if (v != SOFTMAX && v != SIGMOID)
        fail(r,
             "%s.expert_gating_func %" PRId64
             " is not supported (1, softmax, and 2, sigmoid, are)",
             archs[r->arch].name, v);
    s->gating = v == SIGMOID ? GATING_SIGMOID : GATING_SOFTMAX;
}

static void read_groups(struct reader *r, struct shape *s)
{
    const char *arch = archs[r->arch].name;
    bool v2 = is_v2_236b(s) && s->gating == GATING_SOFTMAX;
    bool v3 = is_v3_671b(s) && s->gating == GATING_SIGMOID;
    bool has_count = has_key(r, "expert_group_count");
    int64_t n = read_int(r, "expert_group_count", 1, s->n_expert, v2 || v3 ? 8 : 1);
    int64_t used = v2 ? 3 : v3 ? 4 : 1;
    int group;

    used = read_int(r, "expert_group_used_count", 1, n,
                    has_count && n > 1 ? REQUIRED : used);
    s->n_group = (int)n;
    s->n_group_used = (int)used;
    if (r->failed)
        return;
    if (s->n_expert % s->n_group != 0) {
        fail(r, "%s.expert_count %d is not a multiple of expert_group_count %d", arch,
             s->n_expert, s->n_group);
        return;
    }
    group = s->n_expert / s->n_group;
    if (s->n_group > 1 && s->gating == GATING_SIGMOID && group < 2)
        fail(r, "%s.expert_group_count %d leaves groups of one expert", arch,
             s->n_group);
    if (s->n_expert_used > group * s->n_group_used)
        fail(r, "%s.expert_used_count %d exceeds the %d experts of %d groups", arch,
             s->n_expert_used, group * s->n_group_used, s->n_group_used);
}

static void read_experts(struct reader *r, struct shape *s)
{
    const char *arch = archs[r->arch].name;
    char full[96];
    double scale = 1.0;

    s->n_expert = (int)read_int(r, "expert_count", 1, MAX_EXPERTS, REQUIRED);
    s->n_expert_used =
        (int)read_layer_int(r, "expert_used_count", 1, MAX_EXPERTS, REQUIRED);
    if (s->n_expert_used > s->n_expert)
        fail(r, "%s.expert_used_count %d exceeds expert_count %d", arch,
             s->n_expert_used, s->n_expert);
    s->n_expert_shared =
        (int)read_int(r, "expert_shared_count", 0, MAX_SHARED, REQUIRED);
    s->ffn_expert =
        (int)read_int(r, "expert_feed_forward_length", 1, MAX_FFN, REQUIRED);
    s->n_layer_dense = (int)read_int(r, "leading_dense_block_count", 0, s->n_layer, 0);
    read_gating(r, s);
    read_groups(r, s);
    if (r->failed)
        return;
    if (gguf_get_bool(r->g, full_key(r, "expert_weights_norm", full), &s->norm_weights,
                      r->err) < 0 ||
        gguf_get_float(r->g, full_key(r, "expert_weights_scale", full), &scale,
                       r->err) < 0) {
        r->failed = true;
        return;
    }
    if (scale < 0.0 || scale > 1e6)
        fail(r, "%s is %g, out of range (0 to 1000000)", full, scale);
    s->weight_scale = scale == 0.0 ? 1.0F : (float)scale; /* 0: not scaled */
}

static void read_no_experts(struct reader *r, struct shape *s)
{
    int64_t n = read_int(r, "expert_count", 0, INT32_MAX, 0);

    if (n > 0)
        fail(r,
             "%s.expert_count is %" PRId64
             ": a mixture of experts is not supported in this architecture",
             archs[r->arch].name, n);
    s->n_layer_dense = s->n_layer;
    s->n_group = 1;
    s->n_group_used = 1;
    s->weight_scale = 1.0F;
}

/* llama.cpp takes a file without a type for linear; where no factor is given either,
 * that is plain. */
static enum rope_scaling read_scaling_type(struct reader *r)
{
    static const struct {
        const char *name;
        enum rope_scaling scaling;
    } types[] = {{"none", ROPE_PLAIN}, {"linear", ROPE_LINEAR}, {"yarn", ROPE_YARN}};
    struct gguf_text type = {"linear", 6};
    char full[96];

    if (r->failed)
        return ROPE_PLAIN;
    if (gguf_get_text(r->g, full_key(r, "rope.scaling.type", full), &type, r->err) <
        0) {
        r->failed = true;
        return ROPE_PLAIN;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i].name) == type.len &&
            memcmp(types[i].name, type.data, type.len) == 0)
            return types[i].scaling;
    }
    fail(r, "%s \"%.*s\" is not supported", full, type.len > 32 ? 32 : (int)type.len,
         type.len > 0 ? type.data : "");
    return ROPE_PLAIN;
}

/* Factors of YaRN beside the frequencies. */
struct magnitude {
    double attn;           /* on cos and sin, given by the file */
    double log_multiplier; /* 0.1 * mscale_all_dim; NaN: not given */
};

/* All keys are checked, also those that the type makes no use of. */
static void read_scaling(struct reader *r, const struct shape *s, struct rope_params *p,
                         struct magnitude *m)
{
    double beta = is_kimi_k2(s) ? 1.0 : 32.0; /* its first converter wrote no betas */
    double oldest = read_positive(r, "rope.scale_linear", 1.0);
    char full[96];

    p->scaling = read_scaling_type(r);
    p->factor = read_positive(r, "rope.scaling.factor", oldest);
    if (p->factor < 1.0)
        fail(r, "%s.rope.scaling.factor is %g, out of range (1 or more)",
             archs[r->arch].name, p->factor);
    p->ctx_train = (double)read_int(r, "rope.scaling.original_context_length", 1,
                                    MAX_CTX, s->ctx_train);
    p->beta_fast = read_positive(r, "rope.scaling.yarn_beta_fast", beta);
    p->beta_slow = read_positive(r, "rope.scaling.yarn_beta_slow", 1.0);
    if (p->beta_fast < p->beta_slow)
        fail(r, "%s.rope.scaling.yarn_beta_fast %g is less than yarn_beta_slow %g",
             archs[r->arch].name, p->beta_fast, p->beta_slow);
    m->attn = read_positive(r, "rope.scaling.attn_factor", 1.0);
    if (m->attn > 1000.0)
        fail(r, "%s.rope.scaling.attn_factor is %g, out of range (to 1000)",
             archs[r->arch].name, m->attn);
    full_key(r, "rope.scaling.yarn_log_multiplier", full);
    m->log_multiplier = NAN;
    if (!r->failed && gguf_get_float(r->g, full, &m->log_multiplier, r->err) < 0)
        r->failed = true;
    if (m->log_multiplier < 0.0 || m->log_multiplier > 10.0)
        fail(r, "%s is %g, out of range (0 to 10)", full, m->log_multiplier);
}

/* deepseek2 files carry 0.1 * mscale_all_dim, which acts on the scores; mscale, which
 * is not stored, equals it in all releases, so that the factor on cos and sin cancels.
 * Old files lack the key: the depth tells the release. Other architectures: YaRN as
 * published, which acts on cos and sin. */
static void apply_magnitude(struct shape *s, double factor,
                            const struct magnitude *given)
{
    double log_multiplier = given->log_multiplier;
    double m;

    if (isnan(log_multiplier) && s->n_layer == 61)
        log_multiplier = 0.1;
    if (isnan(log_multiplier) && (s->n_layer == 27 || s->n_layer == 60))
        log_multiplier = 0.0707;
    if (s->arch != ARCH_DEEPSEEK2 || isnan(log_multiplier)) {
        s->rope.multiplier = (float)(given->attn * rope_yarn_magnitude(factor, 1.0));
        return;
    }
    m = rope_yarn_magnitude(factor, log_multiplier / 0.1);
    s->attn_scale = (float)(m * m / sqrt((double)s->nope_dim + s->rope_dim));
    s->rope.multiplier = (float)given->attn;
}

/* The divisors that a Llama 3 converter writes, to be freed; NULL where there are none.
 */
static float *read_divisors(struct reader *r, int n)
{
    const struct gguf_tensor *t = gguf_find_tensor(r->g, "rope_freqs.weight");
    float *divisor;

    if (t == NULL || r->failed)
        return NULL;
    if (t->type->type != TYPE_F32 || t->n_dims != 1 || t->ne[0] != n) {
        fail(r, "tensor \"rope_freqs.weight\" is %s [%" PRId64 "], expected F32 [%d]",
             t->type->name, t->ne[0], n);
        return NULL;
    }
    divisor = mem_array((size_t)n, sizeof(*divisor));
    t->type->to_f32(t->data, divisor, n);
    for (int i = 0; i < n; i++) {
        if (!(divisor[i] > 0.0F) || !isfinite(divisor[i]))
            fail(r, "tensor \"rope_freqs.weight\" holds %g, not a positive number",
                 (double)divisor[i]);
    }
    return divisor;
}

static void read_rope(struct reader *r, struct shape *s)
{
    bool mla = s->attention == ATTENTION_MLA;
    struct rope_params p = {0};
    struct magnitude magnitude;
    float *divisor = NULL;

    p.dim = mla ? s->rope_dim
                : (int)read_int(r, "rope.dimension_count", 2, s->head_dim, s->head_dim);
    if (p.dim % 2 != 0)
        fail(r, "%s.rope.dimension_count %d is odd", archs[r->arch].name, p.dim);
    p.base = read_positive(r, "rope.freq_base", 10000.0);
    if (!r->failed && (p.base <= 1.0 || p.base > 1e15))
        fail(r, "%s.rope.freq_base is %g, out of range (above 1, to 1e15)",
             archs[r->arch].name, p.base);
    read_scaling(r, s, &p, &magnitude);
    if (!mla)
        divisor = read_divisors(r, p.dim / 2);
    p.divisor = divisor;
    if (!r->failed && !rope_init(&s->rope, &p, r->err))
        r->failed = true;
    if (!r->failed && p.scaling == ROPE_YARN)
        apply_magnitude(s, p.factor, &magnitude);
    free(divisor);
}

bool shape_read(struct shape *shape, const struct gguf *g, struct err *err)
{
    struct reader r = {.g = g, .err = err};

    memset(shape, 0, sizeof(*shape));
    read_architecture(&r, shape);
    read_layers(&r, shape);
    read_common(&r, shape);
    read_vocab(&r, shape);
    if (shape->attention == ATTENTION_MLA)
        read_mla(&r, shape);
    else
        read_gqa(&r, shape);
    if (archs[r.arch].has_experts)
        read_experts(&r, shape);
    else
        read_no_experts(&r, shape);
    read_rope(&r, shape);
    if (r.failed)
        shape_release(shape);
    return !r.failed;
}

void shape_release(struct shape *shape)
{
    rope_release(&shape->rope);
    memset(shape, 0, sizeof(*shape));
}

int shape_cache_width(const struct shape *shape)
{
    if (shape->attention == ATTENTION_MLA)
        return shape->kv_rank + shape->rope_dim;
    return 2 * shape->n_head_kv * shape->head_dim;
}
