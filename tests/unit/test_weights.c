/* SPDX-License-Identifier: MIT
 *
 * model/weights: every tensor by its role, fused and joined forms against the plain
 * ones, what is refused; and the whole way of loading over the hostile set and all
 * fixtures.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"
#include "model/weights.h"
#include "tests/hostile.h"
#include "tests/test.h"
#include "tests/tiny.h"

/* A model as far as this test follows it. */
struct loaded {
    unsigned char *data;
    struct gguf *g;
    struct shape shape;
    struct weights w;
};

static void unload(struct loaded *m)
{
    weights_release(&m->w);
    shape_release(&m->shape);
    gguf_close(m->g);
    free(m->data);
    memset(m, 0, sizeof(*m));
}

static bool finish(struct loaded *m, struct err *err)
{
    if (m->g != NULL && shape_read(&m->shape, m->g, err) &&
        weights_open(&m->w, m->g, &m->shape, err))
        return true;
    unload(m);
    return false;
}

static bool load_tiny(struct loaded *m, const struct tiny *tiny, struct err *err)
{
    size_t len;

    memset(m, 0, sizeof(*m));
    m->data = tiny_build(tiny, &len);
    m->g = gguf_open_bytes("x.gguf", m->data, len, err);
    return finish(m, err);
}

static bool load_file(struct loaded *m, const char *path, struct err *err)
{
    memset(m, 0, sizeof(*m));
    m->g = gguf_open(path, err);
    return finish(m, err);
}

static bool expect_tiny(struct loaded *m, const struct tiny *tiny)
{
    struct err err = {0};

    return load_tiny(m, tiny, &err) || FAIL("%s: %s", tiny->arch, err.text);
}

static void check_weight(const struct weight *w, int n_slab, int n_out, int n_in)
{
    if (w->data == NULL || w->n_slab != n_slab || w->n_out != n_out || w->n_in != n_in)
        FAIL("%s: [%d][%d][%d]", w->name == NULL ? "absent" : w->name, w->n_slab,
             w->n_out, w->n_in);
}

/* Element of a weight as float. */
static float at(const struct weight *w, int slab, int out, int in)
{
    float row[64];

    w->type->to_f32(w->data + (size_t)slab * w->slab_bytes + (size_t)out * w->row_bytes,
                    row, w->n_in);
    return row[in];
}

static void test_roles(void)
{
    const struct tiny tiny = {.arch = "deepseek2"};
    struct loaded m;
    const struct layer *l;
    int n_q = TINY_HEADS * (TINY_NOPE + TINY_ROPE);

    if (!expect_tiny(&m, &tiny))
        return;
    CHECK(m.w.n_layer == 2);
    check_weight(&m.w.embed, 1, TINY_VOCAB, TINY_HIDDEN);
    check_weight(&m.w.head, 1, TINY_VOCAB, TINY_HIDDEN);
    CHECK(m.w.head.data != m.w.embed.data);
    l = &m.w.layer[1];
    CHECK(l->attn_norm.n == TINY_HIDDEN && l->attn_norm.data[3] == tiny_value(3));
    CHECK(l->q.data == NULL && l->gate.data == NULL && l->q_a_norm.n == TINY_Q_RANK);
    check_weight(&l->q_a, 1, TINY_Q_RANK, TINY_HIDDEN);
    check_weight(&l->q_b, 1, n_q, TINY_Q_RANK);
    check_weight(&l->kv_a, 1, TINY_KV_RANK + TINY_ROPE, TINY_HIDDEN);
    check_weight(&l->k_b, TINY_HEADS, TINY_KV_RANK, TINY_NOPE);
    check_weight(&l->v_b, TINY_HEADS, TINY_V, TINY_KV_RANK);
    check_weight(&l->out, 1, TINY_HIDDEN, TINY_HEADS * TINY_V);
    check_weight(&l->router, 1, TINY_EXPERTS, TINY_HIDDEN);
    check_weight(&l->down_exps, TINY_EXPERTS, TINY_HIDDEN, TINY_FFN_EXPERT);
    CHECK(l->down_exps.slab_bytes == (size_t)TINY_HIDDEN * TINY_FFN_EXPERT * 4);
    check_weight(&l->down_shexp, 1, TINY_HIDDEN, TINY_FFN_EXPERT);
    CHECK(l->router_bias.n == 0);
    check_weight(&m.w.layer[0].down, 1, TINY_HIDDEN, TINY_FFN);
    unload(&m);
}

static void test_tied(void)
{
    const struct tiny plain = {.arch = "llama"};
    const struct tiny tied = {.arch = "llama", .tied = true};
    struct loaded m;
    int64_t n_params = 0;

    if (expect_tiny(&m, &plain)) {
        n_params = m.w.n_params;
        unload(&m);
    }
    if (expect_tiny(&m, &tied)) {
        CHECK(m.w.head.data == m.w.embed.data);
        CHECK(n_params - m.w.n_params == TINY_VOCAB * TINY_HIDDEN);
        unload(&m);
    }
}

/* q, k and v are rows of one tensor, in this order. */
static void test_fused_qkv(void)
{
    const struct tiny tiny = {.arch = "deepseek", .fused_qkv = true};
    int n_q = TINY_HEADS * TINY_HEAD;
    int n_kv = TINY_HEADS_KV * TINY_HEAD;
    struct loaded m;
    const struct layer *l;

    if (!expect_tiny(&m, &tiny))
        return;
    l = &m.w.layer[0];
    check_weight(&l->q, 1, n_q, TINY_HIDDEN);
    check_weight(&l->k, 1, n_kv, TINY_HIDDEN);
    check_weight(&l->v, 1, n_kv, TINY_HIDDEN);
    CHECK(at(&l->k, 0, 2, 5) == tiny_value((size_t)((n_q + 2) * TINY_HIDDEN + 5)));
    CHECK(at(&l->v, 0, 2, 5) ==
          tiny_value((size_t)((n_q + n_kv + 2) * TINY_HIDDEN + 5)));
    unload(&m);
}

static void test_fused_gate_up(void)
{
    const struct tiny tiny = {.arch = "deepseek2", .fused_gate_up = true};
    const int f = TINY_FFN_EXPERT;
    struct loaded m;
    const struct layer *l;

    if (!expect_tiny(&m, &tiny))
        return;
    l = &m.w.layer[1];
    check_weight(&l->gate_exps, TINY_EXPERTS, f, TINY_HIDDEN);
    check_weight(&l->up_exps, TINY_EXPERTS, f, TINY_HIDDEN);
    CHECK(l->up_exps.slab_bytes == 2 * (size_t)f * l->up_exps.row_bytes);
    CHECK(at(&l->gate_exps, 2, 3, 4) ==
          tiny_value((size_t)((2 * 2 * f + 3) * TINY_HIDDEN + 4)));
    CHECK(at(&l->up_exps, 2, 3, 4) ==
          tiny_value((size_t)((2 * 2 * f + f + 3) * TINY_HIDDEN + 4)));
    unload(&m);
}

/* Head h of kv_b: nope_dim rows of k, then v_dim rows of v, each of kv_rank values. */
static void test_joined_kv_b(void)
{
    const struct tiny tiny = {.arch = "deepseek2", .joined_kv_b = true};
    struct loaded m;

    if (!expect_tiny(&m, &tiny))
        return;
    check_weight(&m.w.layer[0].k_b, TINY_HEADS, TINY_KV_RANK, TINY_NOPE);
    check_weight(&m.w.layer[0].v_b, TINY_HEADS, TINY_V, TINY_KV_RANK);
    for (int h = 0; h < TINY_HEADS; h++) {
        const struct layer *l = &m.w.layer[0];
        int row = h * (TINY_NOPE + TINY_V);

        for (int r = 0; r < TINY_KV_RANK; r++) {
            for (int d = 0; d < TINY_NOPE; d++)
                CHECK(at(&l->k_b, h, r, d) ==
                      tiny_value((size_t)((row + d) * TINY_KV_RANK + r)));
            for (int d = 0; d < TINY_V; d++)
                CHECK(at(&l->v_b, h, d, r) ==
                      tiny_value((size_t)((row + TINY_NOPE + d) * TINY_KV_RANK + r)));
        }
    }
    unload(&m);
}

static void test_forms(void)
{
    static const struct tiny forms[] = {
        {.arch = "deepseek2", .no_q_lora = true},
        {.arch = "deepseek2", .mtp = true},
        {.arch = "deepseek"},
        {.arch = "llama"},
    };
    struct loaded m;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!expect_tiny(&m, &forms[i]))
            continue;
        CHECK(m.w.n_layer == 2);
        if (forms[i].no_q_lora)
            check_weight(&m.w.layer[0].q, 1, TINY_HEADS * (TINY_NOPE + TINY_ROPE),
                         TINY_HIDDEN);
        unload(&m);
    }
}

static void test_refused(void)
{
    static const struct {
        struct tiny_change change;
        const char *want;
    } cases[] = {
        {{.name = "blk.1.ffn_down_exps.weight", .what = TINY_DROP}, "is missing"},
        {{.name = "blk.0.attn_norm.weight", .what = TINY_DROP}, "is missing"},
        {{.name = "output_norm.weight", .what = TINY_DROP}, "is missing"},
        {{.name = "blk.0.attn_k_b.weight", .what = TINY_DROP}, "is missing"},
        {{.name = "blk.1.ffn_up_shexp.weight", .what = TINY_DROP}, "is missing"},
        {{.name = "blk.1.ffn_down_exps.weight", .what = TINY_DIMS, .ne = {10, 32, 1}},
         "has the shape [10,32,1], expected [10,32,4]"},
        {{.name = "blk.1.ffn_gate_exps.weight", .what = TINY_DIMS, .ne = {32, 4, 10}},
         "has the shape [32,4,10], expected [32,10,4]"},
        {{.name = "blk.1.ffn_gate_inp.weight", .what = TINY_DIMS, .ne = {32, 3}},
         "has the shape [32,3], expected [32,4]"},
        {{.name = "blk.0.attn_q_a.weight", .what = TINY_DIMS, .ne = {32, 13}},
         "has the shape [32,13], expected [32,12]"},
        {{.name = "blk.0.attn_kv_a_norm.weight", .what = TINY_DIMS, .ne = {15}},
         "has the shape [15], expected [16]"},
        {{.name = "blk.0.attn_kv_a_norm.weight", .what = TINY_DIMS, .ne = {16, 2}},
         "has the shape [16,2], expected [16]"},
        {{.name = "output.weight", .what = TINY_DIMS, .ne = {32, 41}},
         "has the shape [32,41], expected [32,40]"},
        {{.name = "token_embd.weight", .what = TINY_DIMS, .ne = {16, 40}},
         "has the shape [16,40], expected [32,40]"},
        {{.name = "blk.0.ffn_up.weight", .what = TINY_TYPE, .u = TYPE_I32},
         "element type I32"},
        {{.name = "blk.0.ffn_norm.weight", .what = TINY_TYPE, .u = TYPE_Q8_0},
         "not F32, F16 or BF16"},
        {{.name = "blk.1.ffn_norm.weight", .what = TINY_FILL, .f = NAN}, "not finite"},
        {{.name = "output_norm.weight", .what = TINY_FILL, .f = INFINITY},
         "not finite"},
        {{.name = "blk.0.attn_output.bias", .what = TINY_ADD, .ne = {32}},
         "is not supported"},
        {{.name = "blk.1.ffn_gate.0.weight", .what = TINY_ADD, .ne = {32, 10}},
         "convert it again"},
        {{.name = "blk.2.attn_norm.weight", .what = TINY_ADD, .ne = {32}},
         "beyond block_count"},
        {{.name = "blk.1.exp_probs_b.bias", .what = TINY_ADD, .ne = {3}},
         "has the shape [3], expected [4]"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct tiny tiny = {
            .arch = "deepseek2", .change = &cases[i].change, .n_changes = 1};
        struct err err = {0};
        char want[128];
        struct loaded m;

        snprintf(want, sizeof(want), "x.gguf: tensor \"%s\" ", cases[i].change.name);
        if (load_tiny(&m, &tiny, &err)) {
            FAIL("%s: accepted", cases[i].want);
            unload(&m);
        } else if (strncmp(err.text, want, strlen(want)) != 0 ||
                   strstr(err.text, cases[i].want) == NULL) {
            FAIL("\"%s\", expected \"%s%s\"", err.text, want, cases[i].want);
        }
    }
}

/* Shared experts that the keys do not count would be left out silently. */
static void test_shared_not_counted(void)
{
    static const struct tiny_change none = {
        .name = "deepseek2.expert_shared_count", .what = TINY_U32, .u = 0};
    const struct tiny tiny = {.arch = "deepseek2", .change = &none, .n_changes = 1};
    struct err err = {0};
    struct loaded m;

    if (load_tiny(&m, &tiny, &err)) {
        FAIL("accepted");
        unload(&m);
    } else {
        CHECK(strstr(err.text, "expert_shared_count is 0") != NULL);
    }
}

/* Gains in half floats come out as float. */
static void test_half_gain(void)
{
    static const struct tiny_change change[] = {
        {.name = "blk.0.attn_norm.weight", .what = TINY_TYPE, .u = TYPE_F16},
        {.name = "blk.1.attn_norm.weight", .what = TINY_TYPE, .u = TYPE_BF16},
    };
    const struct tiny tiny = {.arch = "llama", .change = change, .n_changes = 2};
    struct loaded m;

    if (!expect_tiny(&m, &tiny))
        return;
    CHECK(m.w.layer[0].attn_norm.n == TINY_HIDDEN);
    CHECK(m.w.layer[0].attn_norm.data[7] == 0.0F);
    unload(&m);
}

/* Faults of the tokenizer are the tokenizer's; all others end here. */
static void check_hostile(const struct hostile_case *c)
{
    bool bad = strcmp(c->what, "reject") == 0 && strcmp(c->family, "tokenizer") != 0;
    struct err err = {0};
    struct loaded m = {0};
    bool ok;

    bad = bad || strcmp(c->name, "weights_inf") == 0;
    m.g = c->path != NULL
              ? gguf_open(c->path, &err)
              : gguf_open_bytes("x.gguf", (const unsigned char *)c->data, c->len, &err);
    ok = finish(&m, &err);
    if (ok == bad)
        FAIL("%s: %s", c->name, ok ? "accepted" : err.text);
    if (!ok && !hostile_is_named(c, strchr(err.text, ':')))
        FAIL("%s: \"%s\" does not name the fault", c->name, err.text);
    if (!ok)
        CHECK(err.kind == ERR_MODEL);
    unload(&m);
}

static void test_hostile(void)
{
    hostile_each(check_hostile);
}

static void test_fixtures(void)
{
    static const struct {
        const char *name;
        int n_layer;
        const char *refused;
    } cases[] = {
        {"dense-gqa/model-f32.gguf", 3, NULL},
        {"moe-v1/model-f16.gguf", 3, NULL},
        {"v2-lite/model-f16.gguf", 2, NULL},
        {"v2-lite/model-Q4_K_M.gguf", 2, NULL},
        {"v2-lite/model-Q4_0.gguf", 2, NULL},
        {"v2-lite/model-Q6_K.gguf", 2, NULL},
        {"v2-lite/model-Q8_0.gguf", 2, NULL},
        {"v2-lite/model-IQ4_XS.gguf", 2, NULL},
        {"v2/model-f16.gguf", 3, NULL},
        {"v3/model-f16.gguf", 3, NULL},
        {"v3/model-Q4_0.gguf", 3, NULL},
        {"v3/model-Q4_K_M.gguf", 3, NULL},
        {"v3/model-Q8_0.gguf", 3, NULL},
        {"llama3/model-f16.gguf", 2, NULL},
        {"llama3/model-Q4_K_M.gguf", 2, NULL},
        {"qwen2/model-f16.gguf", 0, "\"qwen2\""},
        {"qwen3/model-f16.gguf", 0, "\"qwen3\""},
        {"v32/model-f16.gguf", 0, "\"deepseek32\""},
    };
    int n_found = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = test_fixture(cases[i].name);
        struct err err = {0};
        struct loaded m;

        if (path == NULL)
            continue;
        n_found++;
        if (load_file(&m, path, &err)) {
            CHECK(cases[i].refused == NULL && m.w.n_layer == cases[i].n_layer);
            unload(&m);
        } else if (cases[i].refused == NULL ||
                   strstr(err.text, cases[i].refused) == NULL) {
            FAIL("%s", err.text);
        }
    }
    if (n_found == 0)
        test_skip("no fixtures beside the source tree");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"roles", test_roles},
        {"tied", test_tied},
        {"fused_qkv", test_fused_qkv},
        {"fused_gate_up", test_fused_gate_up},
        {"joined_kv_b", test_joined_kv_b},
        {"forms", test_forms},
        {"refused", test_refused},
        {"half_gain", test_half_gain},
        {"shared_not_counted", test_shared_not_counted},
        {"hostile", test_hostile},
        {"fixtures", test_fixtures},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
