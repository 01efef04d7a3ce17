/* SPDX-License-Identifier: MIT
 *
 * Converting a file: keys of every kind and tensors come through, the types are those
 * of the mix, and what fails leaves nothing behind.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/format/gguf_priv.h"
#include "model/quantize.h"
#include "tests/gguf_build.h"
#include "tests/test.h"
#include "tests/tiny.h"

static char folder[] = "/tmp/hadal-quantize-XXXXXX";
static char in_path[64], out_path[64], part_path[64];

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    CHECK(f != NULL && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static bool quantize(const char *type, struct err *err)
{
    struct quantize_options opt = {
        .in = in_path, .out = out_path, .type = type, .n_threads = 2};
    struct quantize_result result;

    return quantize_file(&opt, &result, err);
}

static void check_key(const struct gguf_key *a, const struct gguf_key *b)
{
    size_t bytes = a->kind == GGUF_STRING  ? a->n
                   : a->kind == GGUF_ARRAY ? a->n * gguf_kind_bytes(a->elem)
                                           : gguf_kind_bytes(a->kind);

    if (a->kind != b->kind || a->n != b->n || a->elem != b->elem ||
        memcmp(a->data, b->data, bytes) != 0)
        FAIL("key %s differs", a->name);
    for (size_t i = 0; a->text != NULL && i < a->n; i++)
        CHECK(a->text[i].len == b->text[i].len &&
              memcmp(a->text[i].data, b->text[i].data, a->text[i].len) == 0);
}

/* All of a's keys are in b, but those about the file's own bytes. */
static void check_keys(const struct gguf *a, const struct gguf *b)
{
    for (size_t i = 0; i < gguf_n_keys(a); i++) {
        const struct gguf_key *key = gguf_key_at(a, i);
        size_t at = 0;

        if (strcmp(key->name, "general.alignment") == 0)
            continue;
        while (at < gguf_n_keys(b) && strcmp(gguf_key_name(b, at), key->name) != 0)
            at++;
        if (at < gguf_n_keys(b))
            check_key(key, gguf_key_at(b, at));
        else
            FAIL("key %s is lost", key->name);
    }
}

static double difference(const struct gguf_tensor *a, const struct gguf_tensor *b)
{
    size_t n = (size_t)(a->ne[0] * a->ne[1] * a->ne[2] * a->ne[3]);
    float *x = calloc(2 * n, sizeof(*x));
    double worst = 0;

    a->type->to_f32(a->data, x, (int64_t)n);
    b->type->to_f32(b->data, x + n, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)x[i] - (double)x[n + i]));
    free(x);
    return worst;
}

/* Same names and shapes; values within `limit`. */
static void check_tensors(const struct gguf *a, const struct gguf *b, double limit)
{
    CHECK(gguf_n_tensors(a) == gguf_n_tensors(b));
    for (size_t i = 0; i < gguf_n_tensors(a); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(a, i);
        const struct gguf_tensor *u = gguf_find_tensor(b, t->name);

        if (!CHECK(u != NULL) || !CHECK(memcmp(t->ne, u->ne, sizeof(t->ne)) == 0))
            continue;
        if (!(difference(t, u) <= limit))
            FAIL("%s, %s: off by %g", t->name, u->type->name, difference(t, u));
    }
}

static const struct tiny forms[] = {
    {.arch = "deepseek2"},
    {.arch = "deepseek2", .no_q_lora = true, .joined_kv_b = true},
    {.arch = "deepseek2", .fused_gate_up = true, .mtp = true},
    {.arch = "deepseek", .fused_qkv = true},
    {.arch = "llama", .tied = true},
};

static void check_form(const struct tiny *tiny, const char *type, double limit)
{
    size_t len;
    unsigned char *data = tiny_build(tiny, &len);
    struct gguf *a = NULL;
    struct gguf *b = NULL;
    struct err err = {0};

    write_file(in_path, data, len);
    free(data);
    if (!quantize(type, &err)) {
        FAIL("%s as %s: %s", tiny->arch, type, err.text);
        return;
    }
    a = gguf_open(in_path, &err);
    b = gguf_open(out_path, &err);
    if (CHECK(a != NULL && b != NULL)) {
        check_keys(a, b);
        check_tensors(a, b, limit);
    }
    gguf_close(a);
    gguf_close(b);
}

/* Values are in -8..8, all halves. */
static void test_forms(void)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        check_form(&forms[i], "F32", 0);
        check_form(&forms[i], "f16", 0);
        check_form(&forms[i], "Q8_0", 8.0 / 127);
        check_form(&forms[i], "Q4_K_M", 0.5);
        check_form(&forms[i], "Q2_K", 1.0);
    }
}

/* Keys of every kind, an alignment of its own, rows of the fallback sizes. */
static void build_odd_file(struct gguf_build *b)
{
    static const int64_t rows[][4] = {{256, 3}, {96, 3}, {33, 2}, {1, 7}, {256}};
    static const char *const names[] = {"blk.0.ffn_up.weight", "blk.1.ffn_down.weight",
                                        "blk.0.attn_q.weight", "blk.0.ffn_gate.weight",
                                        "blk.0.attn_norm.weight"};

    build_init(b);
    b->alignment = 128;
    build_key_u32(b, "general.alignment", 128);
    build_key_text(b, "general.architecture", "llama");
    build_key_u32(b, "llama.block_count", 8);
    build_key_text(b, "empty", "");
    for (uint32_t kind = 0; kind < 13; kind++) {
        char name[32];

        snprintf(name, sizeof(name), "list.%u", kind);
        if (kind == GGUF_STRING || kind == GGUF_ARRAY)
            continue;
        build_key_begin(b, name, 9);
        build_u32(&b->keys, kind);
        build_u64(&b->keys, 3);
        for (size_t i = 0; i < 3 * gguf_kind_bytes((enum gguf_kind)kind); i++)
            buf_add_char(&b->keys, (char)(i % 2));
    }
    build_key_begin(b, "texts", 9);
    build_u32(&b->keys, 8);
    build_u64(&b->keys, 3);
    build_text(&b->keys, "a");
    build_text(&b->keys, "");
    build_text(&b->keys, "long enough");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        build_tensor(b, names[i], i == 4 ? TYPE_F16 : TYPE_F32, rows[i]);
}

static void test_odd_file(void)
{
    static const enum tensor_type wanted[] = {TYPE_Q4_K, TYPE_Q5_0, TYPE_F16, TYPE_F16,
                                              TYPE_F32};
    struct gguf_build b;
    struct err err = {0};
    struct gguf *in = NULL;
    struct gguf *out = NULL;
    unsigned char *data;
    size_t len;

    build_odd_file(&b);
    data = build_file(&b, &len);
    build_release(&b);
    write_file(in_path, data, len);
    free(data);
    if (!CHECK(quantize("Q4_K", &err)))
        return;
    in = gguf_open(in_path, &err);
    out = gguf_open(out_path, &err);
    if (CHECK(in != NULL && out != NULL)) {
        check_keys(in, out);
        for (size_t i = 0; i < gguf_n_tensors(out); i++)
            CHECK(gguf_tensor_at(out, i)->type->type == wanted[i]);
    }
    gguf_close(in);
    gguf_close(out);
}

/* A value that is no number: refused by the tensor's name; what was at OUT stays. */
static void test_nan(void)
{
    const struct tiny_change change = {
        .name = "output.weight", .what = TINY_FILL, .f = NAN};
    const struct tiny tiny = {.arch = "llama", .change = &change, .n_changes = 1};
    size_t len;
    unsigned char *data = tiny_build(&tiny, &len);
    struct err err = {0};

    write_file(in_path, data, len);
    free(data);
    write_file(out_path, "old", 3);
    CHECK(!quantize("Q8_0", &err) && err.kind == ERR_MODEL);
    CHECK(strstr(err.text, "'output.weight'") != NULL);
    CHECK(!exists(part_path));
    data = (unsigned char *)test_read(out_path, &len);
    CHECK(data != NULL && len == 3);
    free(data);
}

static bool stop_at_once(void *ctx, const struct quantize_state *state)
{
    CHECK(state->total_bytes > state->done_bytes);
    ++*(int *)ctx;
    return false;
}

static void test_stop(void)
{
    const struct tiny tiny = {.arch = "llama"};
    int n_calls = 0;
    struct quantize_options opt = {.in = in_path,
                                   .out = out_path,
                                   .type = "Q8_0",
                                   .report = stop_at_once,
                                   .ctx = &n_calls};
    struct quantize_result result;
    size_t len;
    unsigned char *data = tiny_build(&tiny, &len);
    struct err err = {0};

    write_file(in_path, data, len);
    free(data);
    unlink(out_path);
    CHECK(!quantize_file(&opt, &result, &err) && err.kind == ERR_CANCELLED);
    CHECK(n_calls == 1 && !exists(out_path) && !exists(part_path));
}

/* Every name that is offered is known. */
static void check_offered(void)
{
    const char *at = quantize_type_names();
    char name[16];

    for (int len = 0; *at != '\0'; at += len + (at[len] == ',' ? 2 : 0)) {
        len = (int)strcspn(at, ",");
        snprintf(name, sizeof(name), "%.*s", len, at);
        if (!quantize_type_is_known(name))
            FAIL("'%s' is not known", name);
    }
}

static void test_names(void)
{
    struct err err = {0};

    check_offered();

    CHECK(quantize_type_is_known("q4_k_m") && quantize_type_is_known("Q5_K"));
    CHECK(!quantize_type_is_known("Q4") && !quantize_type_is_known(""));
    CHECK(!quantize("Q9_X", &err) && err.kind == ERR_USAGE);
    snprintf(out_path, sizeof(out_path), "%s", in_path);
    CHECK(!quantize("Q8_0", &err) && err.kind == ERR_USAGE);
    CHECK(exists(in_path));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"forms", test_forms}, {"odd file", test_odd_file}, {"nan", test_nan},
        {"stop", test_stop},   {"names", test_names},
    };
    int code;

    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(in_path, sizeof(in_path), "%s/in.gguf", folder);
    snprintf(out_path, sizeof(out_path), "%s/out.gguf", folder);
    snprintf(part_path, sizeof(part_path), "%s/out.gguf.hadal-part", folder);
    code = test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
    unlink(in_path);
    snprintf(out_path, sizeof(out_path), "%s/out.gguf", folder);
    unlink(out_path);
    rmdir(folder);
    return code;
}
