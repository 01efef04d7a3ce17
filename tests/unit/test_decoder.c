/* SPDX-License-Identifier: MIT
 *
 * The decoder on every back end against what the reference implementations give
 * (expected.json of the fixtures): logits, hidden states, routing, greedy text; and
 * against itself: prefill in pieces, other cache types.
 *
 * Tolerances are those of the fixtures' own `tolerance`.
 */
#include "config.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/joined.h"
#include "tests/model_kit.h"
#include "tests/test.h"

#define EXACT 0.002 /* logits, float32 activations and cache */
#define HALF 0.15   /* logits, F16 cache */

enum { MAX_VOCAB = 1024, N_GREEDY = 32, MAX_USED = 16 };

static const struct backend_ops *const backends[] = {&backend_ref, &backend_cpu};

enum { N_BACKENDS = sizeof(backends) / sizeof(backends[0]) };

static const char *const prompts[] = {"short", "long"};

/* Path of a file of a model, from tests/data/models or else the shared fixtures. False,
 * and the case skipped, where it is in neither. */
static bool find_model(const char *model, const char *file, char path[PATH_MAX])
{
    char name[256];
    const char *found;

    snprintf(name, sizeof(name), "models/%s/%s", model, file);
    found = test_data(name);
    if (found == NULL) {
        snprintf(name, sizeof(name), "%s/%s", model, file);
        found = test_shared(name);
    }
    if (found == NULL)
        test_skip("%s/%s is not here", model, file);
    else
        snprintf(path, PATH_MAX, "%s", found);
    return found != NULL;
}

/* ---- hidden states and routing ---- */

/* What a probe saw of a prompt evaluated in one step. */
struct seen {
    const struct kit *kit;
    const cJSON *prompt;
    int n;
    float *row; /* [n][hidden] */
};

static void check_hidden(const struct seen *seen, int layer, const float *last)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(seen->prompt, "hidden"))
    {
        double norm = 0.0;
        double want = number_of(item, "norm");
        float *first = floats_of(json_get(item, "first8"), NULL);

        for (int i = 0; i < seen->kit->shape.hidden; i++)
            norm += (double)last[i] * (double)last[i];
        norm = sqrt(norm);
        if (int_of(item, "after_layer") == layer) {
            if (!(fabs(norm - want) <= 0.001 * want))
                FAIL("after layer %d: norm %.7g, expected %.7g", layer, norm, want);
            if (!(max_difference(last, first, 8) <= 0.001 * want))
                FAIL("after layer %d: the first values differ by %g", layer,
                     max_difference(last, first, 8));
        }
        free(first);
    }
}

static void check_row_routing(const cJSON *want, int n_used, const int32_t *expert,
                              const float *weight)
{
    int32_t *experts = ints_of(json_get(want, "experts"), NULL);
    float *weights = floats_of(json_get(want, "weights"), NULL);

    for (int k = 0; k < n_used; k++)
        if (expert[k] != experts[k] ||
            !(fabsf(weight[k] - weights[k]) <= 1e-4F * fmaxf(1.0F, weights[k])))
            FAIL("place %d: expert %d with %.7g, expected %d with %.7g", k, expert[k],
                 (double)weight[k], experts[k], (double)weights[k]);
    free(experts);
    free(weights);
}

static void check_routing(const struct seen *seen, int layer, const struct route *route)
{
    int n_used = seen->kit->shape.n_expert_used;
    const cJSON *at;
    const cJSON *item;

    cJSON_ArrayForEach(at, json_get(seen->prompt, "routing"))
    {
        size_t from = (size_t)int_of(at, "pos") * (size_t)n_used;

        cJSON_ArrayForEach(item, json_get(at, "layers"))
        {
            if (int_of(item, "layer") == layer)
                check_row_routing(item, n_used, route->expert + from,
                                  route->weight + from);
        }
    }
}

static void see_layer(void *ctx, int layer, const struct vec *x,
                      const struct route *route)
{
    struct seen *seen = ctx;
    const struct decoder *d = &seen->kit->decoder;
    int hidden = seen->kit->shape.hidden;
    struct err err;

    /* Also the point at which route is complete. */
    if (!CHECK(d->ops->read(d->be, x, 0, seen->n, hidden, seen->row, &err)))
        return;
    check_hidden(seen, layer, seen->row + (size_t)(seen->n - 1) * (size_t)hidden);
    if (route != NULL)
        check_routing(seen, layer, route);
}

/* ---- logits ---- */

static void check_top10(const cJSON *prompt, const float *logits, int vocab)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(prompt, "top10"))
    {
        int pos = int_of(item, "pos");
        int n;
        int32_t *ids = ints_of(json_get(item, "ids"), &n);
        float *want = floats_of(json_get(item, "logits"), NULL);
        const float *got = logits + (size_t)pos * (size_t)vocab;

        for (int i = 0; i < n; i++)
            if (!(fabsf(got[ids[i]] - want[i]) <= EXACT))
                FAIL("position %d, id %d: %.6g, expected %.6g", pos, ids[i],
                     (double)got[ids[i]], (double)want[i]);
        free(ids);
        free(want);
    }
}

static void check_last(const char *what, const cJSON *prompt, const float *last,
                       int vocab, double tolerance)
{
    int n;
    float *want = floats_of(json_get(prompt, "last_logits"), &n);
    double diff = max_difference(last, want, vocab);

    if (n != vocab)
        FAIL("%s: %d logits expected, vocabulary of %d", what, n, vocab);
    else if (!(diff <= tolerance))
        FAIL("%s: last logits differ by %g", what, diff);
    free(want);
}

static void check_greedy(struct line *line, const cJSON *prompt, float *logits)
{
    int vocab = line->kit->shape.vocab;
    int n;
    int32_t *want = ints_of(json_get(prompt, "greedy"), &n);

    for (int i = 0; i < n; i++) {
        int32_t id = argmax(logits, vocab);

        if (id != want[i]) {
            FAIL("greedy token %d: %d, expected %d", i, id, want[i]);
            break;
        }
        if (!line_step(line, &id, 1, NULL, 1, logits))
            break;
    }
    free(want);
}

/* A whole prompt in one step: everything that expected.json knows of it. */
static void check_prompt(const struct kit *kit, const cJSON *prompt)
{
    int vocab = kit->shape.vocab;
    size_t n_used = (size_t)kit->shape.n_expert_used + 1;
    struct line line;
    int n;
    int32_t *id = ints_of(json_get(prompt, "ids"), &n);
    float *logits = calloc((size_t)n * (size_t)vocab, sizeof(*logits));
    struct seen seen = {.kit = kit, .prompt = prompt, .n = n};
    struct forward_probe probe = {.layer = see_layer, .ctx = &seen};
    float *last = logits + (size_t)(n - 1) * (size_t)vocab;

    seen.row = calloc((size_t)n * (size_t)kit->shape.hidden, sizeof(*seen.row));
    probe.route.expert = calloc((size_t)n * n_used, sizeof(int32_t));
    probe.route.weight = calloc((size_t)n * n_used, sizeof(float));
    if (line_open(&line, kit, CACHE_F32, n + N_GREEDY, n) &&
        line_step(&line, id, n, &probe, n, logits)) {
        check_top10(prompt, logits, vocab);
        check_last("F32 cache", prompt, last, vocab, EXACT);
        check_greedy(&line, prompt, last);
    }
    line_close(&line);
    free(probe.route.expert);
    free(probe.route.weight);
    free(seen.row);
    free(logits);
    free(id);
}

/* The last logits alone, another way to them. */
static void check_run(const char *what, const struct kit *kit, const cJSON *prompt,
                      enum cache_type cache, int max_rows, double tolerance)
{
    struct line line;
    float logits[MAX_VOCAB];
    int n;
    int32_t *id = ints_of(json_get(prompt, "ids"), &n);

    if (CHECK(kit->shape.vocab <= MAX_VOCAB) &&
        line_open(&line, kit, cache, n, max_rows)) {
        if (line_run(&line, id, n, logits))
            check_last(what, prompt, logits, kit->shape.vocab, tolerance);
        line_close(&line);
    }
    free(id);
}

static void check_family(const char *model, const char *file)
{
    char path[PATH_MAX];
    cJSON *expected;
    struct kit kit;

    if (!find_model(model, file, path))
        return;
    expected = expected_open(model);
    for (int b = 0; b < N_BACKENDS; b++) {
        if (!kit_open(&kit, path, backends[b]))
            continue;
        for (int p = 0; p < 2; p++) {
            const cJSON *prompt = named(json_get(expected, "prompts"), prompts[p]);

            check_prompt(&kit, prompt);
            check_run("F16 cache", &kit, prompt, CACHE_F16, 64, HALF);
            check_run("steps of 64", &kit, prompt, CACHE_F32, 64, EXACT);
            check_run("steps of 7", &kit, prompt, CACHE_F32, 7, EXACT);
            if (p == 0)
                check_run("steps of 1", &kit, prompt, CACHE_F32, 1, EXACT);
        }
        kit_close(&kit);
    }
    cJSON_Delete(expected);
}

static void dense_gqa(void)
{
    check_family("dense-gqa", "model-f32.gguf");
}

static void moe_v1(void)
{
    check_family("moe-v1", "model-f16.gguf");
}

static void v2_lite(void)
{
    check_family("v2-lite", "model-f16.gguf");
}

static void v2(void)
{
    check_family("v2", "model-f16.gguf");
}

static void v3(void)
{
    check_family("v3", "model-f16.gguf");
}

/* ---- quantised files ---- */

/* Float arithmetic on the dequantised weights is exact; a back end that quantises its
 * activations too may be as far off as twice what llama.cpp is. */
static void check_quantised_prompt(const struct kit *kit, const int32_t *id, int n,
                                   const cJSON *want, bool is_short)
{
    int vocab = kit->shape.vocab;
    float *expected = floats_of(json_get(want, "last_logits"), NULL);
    double allowed = 2.0 * number_of(want, "llama_cpp_rms_diff");
    float logits[MAX_VOCAB];
    struct line line;

    if (line_open(&line, kit, CACHE_F32, n, 64) && line_run(&line, id, n, logits)) {
        double max = max_difference(logits, expected, vocab);
        double rms = rms_difference(logits, expected, vocab);

        if (kit->decoder.ops == &backend_ref && !(max <= EXACT))
            FAIL("ref: last logits differ by %g", max);
        if (is_short && !(rms <= allowed))
            FAIL("%s: rms difference %g, %g allowed", kit->decoder.ops->name, rms,
                 allowed);
    }
    line_close(&line);
    free(expected);
}

static void check_quantised_bits(const char *model, const char *type, const char *bits)
{
    char file[64];
    char path[PATH_MAX];
    cJSON *expected;
    const cJSON *want;
    struct kit kit;

    setenv("HADAL_ACTIVATIONS", bits, 1);
    snprintf(file, sizeof(file), "model-%s.gguf", type);
    if (!find_model(model, file, path))
        return;
    expected = expected_open(model);
    want = json_get(json_get(json_get(expected, "quantised"), type), "prompts");
    for (int b = 0; b < N_BACKENDS; b++) {
        if (!kit_open(&kit, path, backends[b]))
            continue;
        for (int p = 0; p < 2; p++) {
            const cJSON *prompt = named(json_get(expected, "prompts"), prompts[p]);
            int n;
            int32_t *id = ints_of(json_get(prompt, "ids"), &n);

            check_quantised_prompt(&kit, id, n, named(want, prompts[p]), p == 0);
            free(id);
        }
        kit_close(&kit);
    }
    cJSON_Delete(expected);
}

/* With both precisions of activations that the CPU's kernels know. */
static void check_quantised(const char *model, const char *type)
{
    check_quantised_bits(model, type, "8");
    check_quantised_bits(model, type, "16");
    unsetenv("HADAL_ACTIVATIONS");
}

static void v2_lite_q8_0(void)
{
    check_quantised("v2-lite", "Q8_0");
}

static void v2_lite_q6_k(void)
{
    check_quantised("v2-lite", "Q6_K");
}

static void v2_lite_q4_k_m(void)
{
    check_quantised("v2-lite", "Q4_K_M");
}

static void v2_lite_q4_0(void)
{
    check_quantised("v2-lite", "Q4_0");
}

static void v2_lite_iq4_xs(void)
{
    check_quantised("v2-lite", "IQ4_XS");
}

static void v3_q8_0(void)
{
    check_quantised("v3", "Q8_0");
}

static void v3_q4_k_m(void)
{
    check_quantised("v3", "Q4_K_M");
}

static void v3_q4_0(void)
{
    check_quantised("v3", "Q4_0");
}

/* ---- the decoder against itself ---- */

/* Logits of the long prompt's last position. */
static bool last_logits(const struct kit *kit, enum cache_type cache, float *out)
{
    cJSON *expected = expected_open("v2");
    const cJSON *prompt = named(json_get(expected, "prompts"), "long");
    int n;
    int32_t *id = ints_of(json_get(prompt, "ids"), &n);
    struct line line;
    bool ok = line_open(&line, kit, cache, n, 64) && line_run(&line, id, n, out);

    line_close(&line);
    free(id);
    cJSON_Delete(expected);
    return ok;
}

/* Half of the bits cost little, an eighth more, and neither is another model. */
static void cache_types(void)
{
    char path[PATH_MAX];
    float f32[MAX_VOCAB];
    float f16[MAX_VOCAB];
    float q8[MAX_VOCAB];
    struct kit kit;

    if (!find_model("v2", "model-f16.gguf", path))
        return;
    for (int b = 0; b < N_BACKENDS; b++) {
        if (!kit_open(&kit, path, backends[b]))
            continue;
        if (last_logits(&kit, CACHE_F32, f32) && last_logits(&kit, CACHE_F16, f16) &&
            last_logits(&kit, CACHE_Q8_0, q8)) {
            double half = rms_difference(f32, f16, kit.shape.vocab);
            double eighth = rms_difference(f32, q8, kit.shape.vocab);

            if (!(half > 0.0 && half < 0.02))
                FAIL("%s: F16 cache: rms %g", backends[b]->name, half);
            if (!(eighth > half && eighth < 0.3))
                FAIL("%s: Q8_0 cache: rms %g", backends[b]->name, eighth);
        }
        kit_close(&kit);
    }
}

/* A file with kv_b in one piece, as older converters wrote it, is the same model. */
static void joined_kv_b(void)
{
    char path[PATH_MAX];
    char joined[] = "/tmp/hadal-joined-XXXXXX";
    float split_logits[MAX_VOCAB];
    float joined_logits[MAX_VOCAB];
    struct kit kit;
    bool ok;

    if (!find_model("v2", "model-f16.gguf", path))
        return;
    if (!joined_write(path, joined))
        return;
    for (int b = 0; b < N_BACKENDS; b++) {
        ok = kit_open(&kit, path, backends[b]) &&
             last_logits(&kit, CACHE_F32, split_logits);
        kit_close(&kit);
        ok = ok && kit_open(&kit, joined, backends[b]) &&
             last_logits(&kit, CACHE_F32, joined_logits);
        if (ok &&
            !(max_difference(split_logits, joined_logits, kit.shape.vocab) <= EXACT))
            FAIL("%s: joined kv_b differs by %g", backends[b]->name,
                 max_difference(split_logits, joined_logits, kit.shape.vocab));
        if (ok)
            kit_close(&kit);
    }
    remove(joined);
}

/* ---- stopping ---- */

struct halt {
    atomic_bool stop;
    int n_layers;
};

static void halt_after_one(void *ctx, int layer, const struct vec *x,
                           const struct route *route)
{
    struct halt *halt = ctx;

    (void)x;
    (void)route;
    halt->n_layers += layer >= 0;
    atomic_store(&halt->stop, layer == 0);
}

/* A step need not run to its end: the flag is looked at before each layer. */
static void stop_between_layers(void)
{
    struct halt halt = {.n_layers = 0};
    struct forward_probe probe = {.layer = halt_after_one, .ctx = &halt};
    const int32_t token = 1;
    const int32_t pos = 0;
    struct rows rows = {.n = 1, .token = &token, .pos = &pos};
    char path[PATH_MAX];
    struct line line;
    struct kit kit;
    struct err err;

    if (!find_model("v2", "model-f16.gguf", path) ||
        !kit_open(&kit, path, &backend_ref))
        return;
    if (line_open(&line, &kit, CACHE_F16, 1, 1)) {
        rows.kv = &line.kv;
        CHECK(!forward_run(line.forward, &rows, 1, &halt.stop, &probe, &err));
        CHECK(err.kind == ERR_CANCELLED && halt.n_layers == 1);
    }
    line_close(&line);
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"dense_gqa", dense_gqa},
        {"moe_v1", moe_v1},
        {"v2_lite", v2_lite},
        {"v2", v2},
        {"v3", v3},
        {"v2_lite_q8_0", v2_lite_q8_0},
        {"v2_lite_q6_k", v2_lite_q6_k},
        {"v2_lite_q4_k_m", v2_lite_q4_k_m},
        {"v2_lite_q4_0", v2_lite_q4_0},
        {"v2_lite_iq4_xs", v2_lite_iq4_xs},
        {"v3_q8_0", v3_q8_0},
        {"v3_q4_k_m", v3_q4_k_m},
        {"v3_q4_0", v3_q4_0},
        {"cache_types", cache_types},
        {"joined_kv_b", joined_kv_b},
        {"stop_between_layers", stop_between_layers},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
