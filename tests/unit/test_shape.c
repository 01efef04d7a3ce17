/* SPDX-License-Identifier: MIT
 *
 * model/shape: what is read from the keys of each architecture, the fallbacks of old
 * files, and the refusal of every value that later code could not work with.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"
#include "model/shape.h"
#include "tests/test.h"
#include "tests/tiny.h"

/* Opens the tiny model and reads its shape. */
static bool read_tiny(const struct tiny *tiny, struct shape *shape, struct err *err)
{
    size_t len;
    unsigned char *data = tiny_build(tiny, &len);
    struct gguf *g = gguf_open_bytes("x.gguf", data, len, err);
    bool ok = g != NULL && shape_read(shape, g, err);

    gguf_close(g);
    free(data);
    return ok;
}

static bool expect_read(const struct tiny *tiny, struct shape *shape)
{
    struct err err = {0};

    return read_tiny(tiny, shape, &err) || FAIL("%s: %s", tiny->arch, err.text);
}

/* The change, given the model of arch, must be refused in words that hold want. */
static void refuse(const char *arch, const struct tiny_change *change, const char *want)
{
    const struct tiny tiny = {.arch = arch, .change = change, .n_changes = 1};
    struct shape shape;
    struct err err = {0};

    if (read_tiny(&tiny, &shape, &err)) {
        FAIL("%s %s: accepted", arch, change->name);
        shape_release(&shape);
    } else if (strncmp(err.text, "x.gguf: ", 8) != 0 ||
               strstr(err.text, want) == NULL) {
        FAIL("%s: \"%s\", expected \"%s\"", change->name, err.text, want);
    }
}

static void test_mla(void)
{
    const struct tiny tiny = {.arch = "deepseek2"};
    struct shape s;

    if (!expect_read(&tiny, &s))
        return;
    CHECK(s.arch == ARCH_DEEPSEEK2 && s.attention == ATTENTION_MLA);
    CHECK(s.n_layer == 2 && s.n_layer_mtp == 0 && s.n_layer_dense == 1);
    CHECK(s.hidden == TINY_HIDDEN && s.vocab == TINY_VOCAB && s.ctx_train == 256);
    CHECK(s.n_head == TINY_HEADS && s.q_rank == TINY_Q_RANK &&
          s.kv_rank == TINY_KV_RANK);
    CHECK(s.nope_dim == TINY_NOPE && s.rope_dim == TINY_ROPE && s.v_dim == TINY_V);
    CHECK(fabsf(s.attn_scale - 1.0F / sqrtf(10.0F)) < 1e-7F);
    CHECK(s.n_expert == TINY_EXPERTS && s.n_expert_used == 2 && s.n_expert_shared == 1);
    CHECK(s.gating == GATING_SOFTMAX && s.n_group == 1 && s.n_group_used == 1);
    CHECK(!s.norm_weights && s.weight_scale == 1.0F);
    CHECK(s.rope.dim == TINY_ROPE && s.rope.pair_stride == 1 &&
          s.rope.multiplier == 1.0F);
    CHECK(shape_cache_width(&s) == TINY_KV_RANK + TINY_ROPE);
    shape_release(&s);
}

static void test_mla_forms(void)
{
    static const struct tiny_change zero = {
        .name = "deepseek2.attention.q_lora_rank", .what = TINY_U32, .u = 0};
    static const struct tiny forms[] = {
        {.arch = "deepseek2", .no_q_lora = true},
        {.arch = "deepseek2", .joined_kv_b = true},
        {.arch = "deepseek2", .mtp = true},
        {.arch = "deepseek2", .change = &zero, .n_changes = 1},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct shape s;

        if (!expect_read(&forms[i], &s))
            continue;
        CHECK(s.q_rank == (forms[i].no_q_lora ? 0 : TINY_Q_RANK));
        CHECK(s.nope_dim == TINY_NOPE && s.v_dim == TINY_V);
        CHECK(s.n_layer == 2 && s.n_layer_mtp == (forms[i].mtp ? 1 : 0));
        shape_release(&s);
    }
}

/* nextn_predict_layers, but the converter left the layer out, counted or not. */
static void test_mtp_left_out(void)
{
    static const struct tiny_change not_counted = {
        .name = "deepseek2.nextn_predict_layers", .what = TINY_U32, .u = 1};
    static const struct tiny_change counted[] = {
        {.name = "deepseek2.nextn_predict_layers", .what = TINY_U32, .u = 1},
        {.name = "deepseek2.block_count", .what = TINY_U32, .u = 3},
    };
    const struct tiny forms[] = {
        {.arch = "deepseek2", .change = &not_counted, .n_changes = 1},
        {.arch = "deepseek2", .change = counted, .n_changes = 2},
    };

    for (size_t i = 0; i < 2; i++) {
        struct shape s;

        if (!expect_read(&forms[i], &s))
            continue;
        CHECK(s.n_layer == 2 && s.n_layer_mtp == 0);
        shape_release(&s);
    }
}

static void test_gqa(void)
{
    static const struct tiny_change longer = {
        .name = "llama.attention.key_length", .what = TINY_U32, .u = 12};
    const struct tiny forms[] = {
        {.arch = "llama"},
        {.arch = "deepseek"},
        {.arch = "llama", .change = &longer, .n_changes = 1},
    };

    for (size_t i = 0; i < 3; i++) {
        struct shape s;

        if (!expect_read(&forms[i], &s))
            continue;
        CHECK(s.attention == ATTENTION_GQA && s.n_head_kv == TINY_HEADS_KV);
        CHECK(s.head_dim == (i == 2 ? 12 : TINY_HEAD) && s.rope.dim == s.head_dim);
        CHECK(s.n_layer_dense == (i == 1 ? 1 : 2));
        CHECK(s.n_expert == (i == 1 ? TINY_EXPERTS : 0));
        CHECK(shape_cache_width(&s) == 2 * TINY_HEADS_KV * s.head_dim);
        shape_release(&s);
    }
}

#define D2(key) "deepseek2." key

static void test_limits(void)
{
    static const struct {
        const char *key;
        uint32_t bad[4]; /* ends at the second 0 */
        const char *want;
    } cases[] = {
        {D2("block_count"), {0, 513, UINT32_MAX}, "block_count is"},
        {D2("context_length"), {0, UINT32_MAX}, "context_length is"},
        {D2("embedding_length"), {0, 1u << 31}, "embedding_length is"},
        {D2("feed_forward_length"), {0, 1u << 30}, "feed_forward_length is"},
        {D2("attention.head_count"), {0, 100000}, "attention.head_count is"},
        {D2("attention.head_count_kv"), {0, 5, 2}, "attention.head_count_kv is"},
        {D2("rope.scaling.original_context_length"),
         {0, UINT32_MAX},
         "context_length is"},
        {D2("attention.kv_lora_rank"), {0, UINT32_MAX}, "attention.kv_lora_rank is"},
        {D2("attention.key_length_mla"), {0, 4, 3, 2}, "of"},
        {D2("attention.value_length_mla"), {0, 1u << 31}, "value_length_mla is"},
        {D2("attention.key_length"), {0, 7, 576}, "attention.key_length is"},
        {D2("attention.value_length"), {0, 7, 512}, "attention.value_length is"},
        {D2("rope.dimension_count"), {0, 1, 11, 10}, "rope.dimension_count"},
        {D2("leading_dense_block_count"), {3, UINT32_MAX}, "leading_dense_block_count"},
        {D2("expert_count"), {0, 1u << 31, 1}, "expert_count"},
        {D2("expert_used_count"), {0, 5, UINT32_MAX}, "expert_used_count"},
        {D2("expert_shared_count"), {257, UINT32_MAX}, "expert_shared_count is"},
        {D2("expert_feed_forward_length"), {0, 1u << 31}, "expert_feed_forward_length"},
        {D2("expert_group_count"), {0, 3, 5, UINT32_MAX}, "expert_group"},
        {D2("expert_gating_func"), {0, 3, 4, 99}, "expert_gating_func"},
        {D2("nextn_predict_layers"), {2, UINT32_MAX}, "nextn_predict_layers is"},
        {D2("vocab_size"), {0, 39, 41, UINT32_MAX}, "vocab_size is"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < 4 && (k == 0 || cases[i].bad[k] != 0); k++) {
            const struct tiny_change change = {
                .name = cases[i].key, .what = TINY_U32, .u = cases[i].bad[k]};

            refuse("deepseek2", &change, cases[i].want);
        }
    }
}

static void test_floats(void)
{
    static const struct {
        const char *key;
        float bad[5]; /* ends at the second 0 */
        const char *want;
    } cases[] = {
        {D2("attention.layer_norm_rms_epsilon"), {0, -1, NAN, INFINITY, 2}, "epsilon"},
        {D2("rope.freq_base"), {0, -1, NAN, INFINITY, 1}, "rope.freq_base"},
        {D2("expert_weights_scale"),
         {-1, NAN, INFINITY, 1e30f},
         "expert_weights_scale"},
        {D2("rope.scaling.factor"),
         {0, 0.5f, -1, NAN, INFINITY},
         "rope.scaling.factor"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < 5 && (k == 0 || cases[i].bad[k] != 0.0F); k++) {
            const struct tiny_change change = {
                .name = cases[i].key, .what = TINY_F32, .f = cases[i].bad[k]};

            refuse("deepseek2", &change, cases[i].want);
        }
    }
}

static void test_kinds(void)
{
    static const struct tiny_change changes[] = {
        {.name = D2("block_count"), .what = TINY_TEXT, .text = "2"},
        {.name = D2("context_length"), .what = TINY_F32, .f = 256},
        {.name = D2("attention.head_count"), .what = TINY_BOOL, .u = 1},
        {.name = D2("attention.head_count"), .what = TINY_LIST, .u = 4, .n = 3},
        {.name = D2("attention.head_count"), .what = TINY_LIST, .u = 0, .n = 2},
        {.name = D2("context_length"), .what = TINY_LIST, .u = 256, .n = 2},
        {.name = D2("attention.layer_norm_rms_epsilon"), .what = TINY_U32, .u = 1},
        {.name = D2("expert_weights_norm"), .what = TINY_U32, .u = 1},
        {.name = D2("expert_weights_norm"), .what = TINY_BOOL, .u = 2},
        {.name = D2("rope.scaling.type"), .what = TINY_U32, .u = 1},
        {.name = D2("rope.scaling.type"), .what = TINY_TEXT, .text = "longrope"},
        {.name = "general.architecture", .what = TINY_U32, .u = 1},
        {.name = "general.architecture", .what = TINY_TEXT, .text = ""},
        {.name = "general.architecture", .what = TINY_TEXT, .text = "whalesong"},
        {.name = "general.architecture", .what = TINY_TEXT, .text = "deepseek22"},
    };
    static const struct tiny_change same = {
        .name = D2("attention.head_count"), .what = TINY_LIST, .u = TINY_HEADS, .n = 2};
    const struct tiny per_layer = {
        .arch = "deepseek2", .change = &same, .n_changes = 1};
    struct shape s;

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const char *dot = strchr(changes[i].name, '.') + 1;

        refuse("deepseek2", &changes[i], dot);
    }
    if (expect_read(&per_layer, &s)) {
        CHECK(s.n_head == TINY_HEADS);
        shape_release(&s);
    }
}

static void test_missing(void)
{
    static const char *const keys[] = {
        D2("block_count"),
        D2("context_length"),
        D2("embedding_length"),
        D2("feed_forward_length"),
        D2("attention.head_count"),
        D2("attention.layer_norm_rms_epsilon"),
        D2("attention.kv_lora_rank"),
        D2("attention.value_length_mla"),
        D2("rope.dimension_count"),
        D2("expert_count"),
        D2("expert_used_count"),
        D2("expert_shared_count"),
        D2("expert_feed_forward_length"),
        "general.architecture",
        "token_embd.weight",
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct tiny_change change = {.name = keys[i], .what = TINY_DROP};

        refuse("deepseek2", &change, "is missing");
    }
}

static void test_other_refusals(void)
{
    static const struct tiny_change whale = {
        .name = "general.architecture", .what = TINY_TEXT, .text = "whalesong"};
    static const struct tiny_change mixtral = {
        .name = "llama.expert_count", .what = TINY_U32, .u = 8};
    static const struct tiny_change heads = {
        .name = "llama.attention.head_count_kv", .what = TINY_U32, .u = 3};
    static const struct tiny_change value = {
        .name = "llama.attention.value_length", .what = TINY_U32, .u = 4};
    static const struct tiny_change odd = {
        .name = "llama.rope.dimension_count", .what = TINY_U32, .u = 7};
    static const struct tiny_change freqs = {
        .name = "rope_freqs.weight", .what = TINY_ADD, .ne = {5}};
    static const struct tiny_change negative = {
        .name = "rope_freqs.weight", .what = TINY_ADD, .ne = {4}};

    refuse(
        "deepseek2", &whale,
        "architecture \"whalesong\" is not supported; hadal runs deepseek, deepseek2, "
        "llama");
    refuse("llama", &mixtral, "llama.expert_count is 8");
    refuse("llama", &heads, "head_count 4 is not a multiple of head_count_kv 3");
    refuse("llama", &value, "value_length 4 differs from key_length 8");
    refuse("llama", &odd, "rope.dimension_count 7 is odd");
    refuse("llama", &freqs, "\"rope_freqs.weight\" is F32 [5], expected F32 [4]");
    refuse("llama", &negative, "\"rope_freqs.weight\" holds -8");
}

/* The factor on the scores: m^2 / sqrt(head), and on cos and sin. */
static void test_yarn(void)
{
    static const struct tiny_change full[] = {
        {.name = D2("rope.scaling.type"), .what = TINY_TEXT, .text = "yarn"},
        {.name = D2("rope.scaling.factor"), .what = TINY_F32, .f = 40},
        {.name = D2("rope.scaling.original_context_length"), .what = TINY_U32, .u = 64},
        {.name = D2("rope.scaling.yarn_log_multiplier"), .what = TINY_F32, .f = 0.1f},
    };
    const struct tiny with_key = {.arch = "deepseek2", .change = full, .n_changes = 4};
    const struct tiny without = {.arch = "deepseek2", .change = full, .n_changes = 3};
    struct shape s;

    if (expect_read(&with_key, &s)) {
        CHECK(fabs((double)s.attn_scale * sqrt(10.0) - 1.3688879 * 1.3688879) < 1e-6);
        CHECK(s.rope.multiplier == 1.0F);
        shape_release(&s);
    }
    if (expect_read(&without, &s)) { /* no known depth: YaRN as published */
        CHECK(fabs((double)s.attn_scale * sqrt(10.0) - 1.0) < 1e-6);
        CHECK(fabs((double)s.rope.multiplier - 1.3688879) < 1e-6);
        shape_release(&s);
    }
}

/* Keys that the converters of 2024 did not write, for the models of that time. */
static void test_old_v3(void)
{
    static const struct tiny_change v3[] = {
        {.name = D2("block_count"), .what = TINY_U32, .u = 61},
        {.name = D2("expert_count"), .what = TINY_U32, .u = 256},
        {.name = D2("expert_gating_func"), .what = TINY_U32, .u = 2},
        {.name = D2("rope.scaling.type"), .what = TINY_TEXT, .text = "yarn"},
        {.name = D2("rope.scaling.factor"), .what = TINY_F32, .f = 40},
    };
    static const struct tiny_change v2[] = {
        {.name = D2("block_count"), .what = TINY_U32, .u = 60},
        {.name = D2("expert_count"), .what = TINY_U32, .u = 160},
        {.name = D2("rope.scaling.type"), .what = TINY_TEXT, .text = "yarn"},
        {.name = D2("rope.scaling.factor"), .what = TINY_F32, .f = 40},
    };
    const struct tiny v3_tiny = {.arch = "deepseek2", .change = v3, .n_changes = 5};
    const struct tiny v2_tiny = {.arch = "deepseek2", .change = v2, .n_changes = 4};
    struct shape s;

    if (expect_read(&v3_tiny, &s)) {
        CHECK(s.gating == GATING_SIGMOID && s.n_group == 8 && s.n_group_used == 4);
        CHECK(fabs((double)s.attn_scale * sqrt(10.0) - 1.3688879 * 1.3688879) < 1e-6);
        shape_release(&s);
    }
    if (expect_read(&v2_tiny, &s)) {
        CHECK(s.gating == GATING_SOFTMAX && s.n_group == 8 && s.n_group_used == 3);
        CHECK(fabs((double)s.attn_scale * sqrt(10.0) - 1.2608038 * 1.2608038) < 1e-6);
        shape_release(&s);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"mla", test_mla},
        {"mla_forms", test_mla_forms},
        {"mtp_left_out", test_mtp_left_out},
        {"gqa", test_gqa},
        {"limits", test_limits},
        {"floats", test_floats},
        {"kinds", test_kinds},
        {"missing", test_missing},
        {"other_refusals", test_other_refusals},
        {"yarn", test_yarn},
        {"old_v3", test_old_v3},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
