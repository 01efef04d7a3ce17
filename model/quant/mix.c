/* SPDX-License-Identifier: MIT
 *
 * Mixes: see mix.h. A row of the table has the type of most tensors and, for the kinds
 * of tensor that deserve better, another one and in which layers.
 */
#include "config.h"

#include "model/quant/mix.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/buf.h"

/* In which layers a rule holds. */
enum where {
    NOWHERE,
    EVERYWHERE,
    FIRST_2,
    FIRST_4,
    FIRST_EIGHTH,
    FIRST_SIXTEENTH,
    SPREAD, /* the first and the last eighth, and every third between */
    SHARED, /* models whose key-value heads serve four query heads or more */
};

struct rule {
    enum where where;
    enum tensor_type type;      /* there */
    enum where or_where;        /* elsewhere: NOWHERE or EVERYWHERE */
    enum tensor_type otherwise; /* if EVERYWHERE */
};

struct mix {
    const char *name, *other_name;
    uint32_t file_type;
    enum tensor_type base;
    struct rule attn_v, ffn_down;
    struct rule attn_output;      /* where there are not 8 experts */
    bool better_output_8_experts; /* Q5_K where there are */
};

/* clang-format off */
static const struct mix table[] = {
    {.name = "F32", .file_type = 0, .base = TYPE_F32},
    {.name = "F16", .file_type = 1, .base = TYPE_F16},
    {.name = "BF16", .file_type = 32, .base = TYPE_BF16},
    {.name = "Q8_0", .file_type = 7, .base = TYPE_Q8_0},
    {.name = "Q4_0", .file_type = 2, .base = TYPE_Q4_0},
    {.name = "Q4_1", .file_type = 3, .base = TYPE_Q4_1},
    {.name = "Q5_0", .file_type = 8, .base = TYPE_Q5_0},
    {.name = "Q5_1", .file_type = 9, .base = TYPE_Q5_1},
    {.name = "Q2_K", .file_type = 10, .base = TYPE_Q2_K,
     .attn_v = {SHARED, TYPE_Q4_K, EVERYWHERE, TYPE_Q3_K},
     .ffn_down = {.where = EVERYWHERE, .type = TYPE_Q3_K},
     .attn_output = {.where = EVERYWHERE, .type = TYPE_Q3_K}, .better_output_8_experts = true},
    {.name = "Q2_K_S", .file_type = 21, .base = TYPE_Q2_K,
     .attn_v = {.where = SHARED, .type = TYPE_Q4_K},
     .ffn_down = {.where = FIRST_EIGHTH, .type = TYPE_Q4_K}},
    {.name = "Q3_K_S", .file_type = 11, .base = TYPE_Q3_K, .better_output_8_experts = true},
    {.name = "Q3_K_M", .other_name = "Q3_K", .file_type = 12, .base = TYPE_Q3_K,
     .attn_v = {FIRST_2, TYPE_Q5_K, EVERYWHERE, TYPE_Q4_K},
     .ffn_down = {FIRST_SIXTEENTH, TYPE_Q5_K, EVERYWHERE, TYPE_Q4_K},
     .attn_output = {.where = EVERYWHERE, .type = TYPE_Q4_K}, .better_output_8_experts = true},
    {.name = "Q3_K_L", .file_type = 13, .base = TYPE_Q3_K,
     .attn_v = {.where = EVERYWHERE, .type = TYPE_Q5_K},
     .ffn_down = {.where = EVERYWHERE, .type = TYPE_Q5_K},
     .attn_output = {.where = EVERYWHERE, .type = TYPE_Q5_K}},
    {.name = "Q4_K_S", .file_type = 14, .base = TYPE_Q4_K,
     .attn_v = {.where = FIRST_4, .type = TYPE_Q5_K},
     .ffn_down = {.where = FIRST_EIGHTH, .type = TYPE_Q5_K}, .better_output_8_experts = true},
    {.name = "Q4_K_M", .other_name = "Q4_K", .file_type = 15, .base = TYPE_Q4_K,
     .attn_v = {.where = SPREAD, .type = TYPE_Q6_K},
     .ffn_down = {.where = SPREAD, .type = TYPE_Q6_K}, .better_output_8_experts = true},
    {.name = "Q5_K_S", .file_type = 16, .base = TYPE_Q5_K},
    {.name = "Q5_K_M", .other_name = "Q5_K", .file_type = 17, .base = TYPE_Q5_K,
     .attn_v = {.where = SPREAD, .type = TYPE_Q6_K},
     .ffn_down = {.where = SPREAD, .type = TYPE_Q6_K}},
    {.name = "Q6_K", .file_type = 18, .base = TYPE_Q6_K},
    {.name = "IQ4_NL", .file_type = 25, .base = TYPE_IQ4_NL,
     .attn_v = {.where = SHARED, .type = TYPE_Q5_K},
     .ffn_down = {.where = FIRST_EIGHTH, .type = TYPE_Q5_K}, .better_output_8_experts = true},
    {.name = "IQ4_XS", .file_type = 30, .base = TYPE_IQ4_XS,
     .attn_v = {.where = SHARED, .type = TYPE_Q5_K},
     .ffn_down = {.where = FIRST_EIGHTH, .type = TYPE_Q5_K}, .better_output_8_experts = true},
};
/* clang-format on */

/* What a type becomes in rows that are no multiple of 256. */
static const struct {
    enum tensor_type type, instead;
} fallbacks[] = {
    {TYPE_Q2_K, TYPE_Q4_0}, {TYPE_Q3_K, TYPE_Q4_0}, {TYPE_Q4_K, TYPE_Q5_0},
    {TYPE_Q5_K, TYPE_Q5_1}, {TYPE_Q6_K, TYPE_Q8_0}, {TYPE_IQ4_XS, TYPE_IQ4_NL},
};

const struct mix *mix_find(const char *name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcasecmp(table[i].name, name) == 0 ||
            (table[i].other_name != NULL && strcasecmp(table[i].other_name, name) == 0))
            return &table[i];
    return NULL;
}

const char *mix_names(void)
{
    return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q2_K_S, Q3_K_S, "
           "Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, IQ4_NL, IQ4_XS";
}

const char *mix_name(const struct mix *mix)
{
    return mix->name;
}

uint32_t mix_file_type(const struct mix *mix)
{
    return mix->file_type;
}

/* The integer ARCH.name; 0 where there is none (some are lists, one number a layer). */
static int64_t model_number(const struct gguf *g, const struct gguf_text *arch,
                            const char *name)
{
    struct buf key;
    int64_t v = 0;

    buf_init(&key, 256);
    if (!buf_add(&key, arch->data, arch->len) || !buf_addf(&key, ".%s", name) ||
        gguf_get_int(g, buf_text(&key), 0, INT32_MAX, &v, NULL) < 0)
        v = 0;
    buf_release(&key);
    return v;
}

struct mix_model mix_model_of(const struct gguf *g)
{
    struct mix_model model = {.tied = gguf_find_tensor(g, "output.weight") == NULL};
    struct gguf_text arch = {"", 0};

    if (gguf_get_text(g, "general.architecture", &arch, NULL) <= 0)
        return model;
    model.n_layer = model_number(g, &arch, "block_count");
    model.n_head = model_number(g, &arch, "attention.head_count");
    model.n_head_kv = model_number(g, &arch, "attention.head_count_kv");
    model.n_expert = model_number(g, &arch, "expert_count");
    return model;
}

/* "blk.12.ffn_down.weight": 12; 0 where there is no such number. */
static int64_t layer_of(const char *name)
{
    return strncmp(name, "blk.", 4) == 0 ? strtol(name + 4, NULL, 10) : 0;
}

static int64_t query_heads_a_key(const struct mix_model *model)
{
    return model->n_head_kv > 0 ? model->n_head / model->n_head_kv : 1;
}

static bool holds(enum where where, const struct mix_model *model, int64_t layer)
{
    int64_t n = model->n_layer;

    switch (where) {
    case NOWHERE:
        return false;
    case EVERYWHERE:
        return true;
    case FIRST_2:
        return layer < 2;
    case FIRST_4:
        return layer < 4;
    case FIRST_EIGHTH:
        return layer < n / 8;
    case FIRST_SIXTEENTH:
        return layer < n / 16;
    case SPREAD:
        return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    case SHARED:
        return query_heads_a_key(model) >= 4;
    }
    return false;
}

static enum tensor_type apply(const struct rule *rule, enum tensor_type base,
                              const struct mix_model *model, int64_t layer)
{
    if (holds(rule->where, model, layer))
        return rule->type;
    return rule->or_where == EVERYWHERE ? rule->otherwise : base;
}

static bool has(const struct gguf_tensor *t, const char *part)
{
    return strstr(t->name, part) != NULL;
}

/* Values of attention: few and precious. Models of 80 layers have eight heads share
 * them, and those of 8 experts hold little else (as the reference has it). */
static enum tensor_type type_of_attn_v(const struct mix *mix,
                                       const struct mix_model *model, int64_t layer)
{
    enum tensor_type type = apply(&mix->attn_v, mix->base, model, layer);

    if (model->n_expert == 8)
        return TYPE_Q8_0;
    if (model->n_layer == 80 && query_heads_a_key(model) > 1 &&
        (type == TYPE_Q3_K || type == TYPE_Q4_K))
        return TYPE_Q5_K;
    return type;
}

static enum tensor_type type_of_head(const struct mix *mix, int64_t row)
{
    const struct quant_type *base = quant_find(mix->base);

    if (row % base->block_elems != 0 || mix->base == TYPE_Q8_0)
        return TYPE_Q8_0;
    return TYPE_Q6_K;
}

/* The type before its fit with the length of the rows is looked at. */
static enum tensor_type wanted(const struct mix *mix, const struct mix_model *model,
                               const struct gguf_tensor *t)
{
    bool is_embedding = strcmp(t->name, "token_embd.weight") == 0;
    int64_t layer = layer_of(t->name);

    if (quant_find(mix->base)->block_elems == 1)
        return mix->base;
    if (strcmp(t->name, "output.weight") == 0 || (is_embedding && model->tied))
        return type_of_head(mix, t->ne[0]);
    if (has(t, "attn_v.weight") || has(t, "attn_qkv.weight") ||
        has(t, "attn_kv_b.weight"))
        return type_of_attn_v(mix, model, layer);
    if (has(t, "attn_k.weight") && model->n_expert == 8)
        return TYPE_Q8_0;
    if (has(t, "ffn_down"))
        return apply(&mix->ffn_down, mix->base, model, layer);
    if (has(t, "attn_output.weight") && model->n_expert == 8)
        return mix->better_output_8_experts ? TYPE_Q5_K : mix->base;
    if (has(t, "attn_output.weight"))
        return apply(&mix->attn_output, mix->base, model, layer);
    return mix->base;
}

/* Matrices of weights, but those in which every bit tells. */
static bool is_for_quantising(const struct gguf_tensor *t)
{
    static const char end[] = "weight";
    size_t len = strlen(t->name);

    return t->n_dims >= 2 && len >= sizeof(end) - 1 &&
           strcmp(t->name + len - (sizeof(end) - 1), end) == 0 &&
           !has(t, "_norm.weight") && !has(t, "ffn_gate_inp.weight") &&
           t->type->to_f32 != NULL;
}

static const struct quant_type *fit_to_rows(enum tensor_type type, int64_t row)
{
    for (size_t i = 0; i < sizeof(fallbacks) / sizeof(fallbacks[0]); i++)
        if (fallbacks[i].type == type && row % quant_find(type)->block_elems != 0) {
            type = fallbacks[i].instead;
            break;
        }
    if (row % quant_find(type)->block_elems != 0)
        type = TYPE_F16;
    return quant_find(type);
}

const struct quant_type *mix_type(const struct mix *mix, const struct mix_model *model,
                                  const struct gguf_tensor *tensor)
{
    if (is_for_quantising(tensor))
        return fit_to_rows(wanted(mix, model, tensor), tensor->ne[0]);
    if (tensor->type->type == TYPE_F16 || tensor->type->type == TYPE_BF16)
        return quant_find(TYPE_F32);
    return tensor->type;
}
