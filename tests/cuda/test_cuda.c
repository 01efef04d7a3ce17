/* SPDX-License-Identifier: MIT
 *
 * The CUDA back end against the reference: every element type, every model family.
 *
 * Runs on a device where there is one (skips otherwise), and on any machine in an
 * emulated form: emulated.sh links this program with model/cuda compiled for the CPU.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/backend.h"
#include "model/format/gguf.h"
#include "model/session.h"
#include "tests/test.h"

/* True when there is no device: the case skips. */
static bool no_device(void)
{
    struct err err;
    struct backend *be = backend_cuda.open(0, &err);

    if (be == NULL) {
        test_skip("%s", err.text);
        return true;
    }
    backend_cuda.close(be);
    return false;
}

/* Rows of a tensor through embed(), which decodes them, beside quant.c. */
static void check_tensor(struct backend *be, const struct gguf_tensor *t)
{
    float inv_freq = 1.0f;
    struct shape shape = {.rope = {.dim = 2, .inv_freq = &inv_freq}};
    struct weights w = {.embed = {.name = t->name,
                                  .type = t->type,
                                  .n_slab = 1,
                                  .n_in = (int)t->ne[0],
                                  .n_out = (int)t->ne[1],
                                  .row_bytes = quant_row_bytes(t->type, t->ne[0]),
                                  .data = t->data}};
    int n_in = w.embed.n_in;
    size_t n = (size_t)n_in * (size_t)w.embed.n_out;
    float *got = calloc(n, sizeof(*got));
    float *want = calloc(n, sizeof(*want));
    int32_t *id = calloc((size_t)w.embed.n_out, sizeof(*id));
    struct vec *y;
    struct err err;

    w.embed.slab_bytes = (size_t)w.embed.n_out * w.embed.row_bytes;
    w.head = w.embed;
    for (int i = 0; i < w.embed.n_out; i++) {
        id[i] = i;
        t->type->to_f32(t->data + (size_t)i * w.embed.row_bytes, want + (size_t)i * (size_t)n_in,
                        n_in);
    }
    y = backend_cuda.vec_open(be, w.embed.n_out, n_in, &err);
    if (CHECK(backend_cuda.adopt(be, &w, &shape, &err)) && CHECK(y != NULL)) {
        backend_cuda.embed(be, y, &w.embed, id, w.embed.n_out);
        CHECK(backend_cuda.read(be, y, 0, w.embed.n_out, n_in, got, &err));
        for (size_t i = 0; i < n; i++)
            if (fabsf(got[i] - want[i]) > 1e-6f * fabsf(want[i]) + 1e-12f) {
                FAIL("%s (%s): element %zu is %g, not %g", t->name, t->type->name, i,
                     (double)got[i], (double)want[i]);
                break;
            }
        backend_cuda.disown(be, &w);
    }
    backend_cuda.vec_close(be, y);
    free(got);
    free(want);
    free(id);
}

static void test_types(void)
{
    const char *path = test_fixture("quant-blocks/blocks.gguf");
    struct backend *be = NULL;
    struct gguf *g = NULL;
    struct err err;
    int n = 0;

    if (no_device())
        return;
    if (path == NULL) {
        test_skip("no quant-blocks");
        return;
    }
    g = gguf_open(path, &err);
    be = backend_cuda.open(0, &err);
    if (!CHECK(g != NULL && be != NULL))
        goto done;
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);

        if (t->type->to_f32 == NULL || t->ne[0] % 8 != 0)
            continue;
        check_tensor(be, t);
        n++;
    }
    CHECK(n >= 10);
done:
    if (be != NULL)
        backend_cuda.close(be);
    gguf_close(g);
}

/* Logits after a prompt and after each of two more tokens; [3][vocab], NULL on failure. */
static float *run_model(const char *path, enum backend_kind backend, int *n_vocab)
{
    struct engine_options opt = {.path = path, .backend = backend, .n_threads = 1};
    struct session_options how = {.ctx_tokens = 64, .cache = SESSION_CACHE_F32,
                                  .batch_tokens = 9};
    struct engine *e = NULL;
    struct session *s = NULL;
    float *logits = NULL;
    int32_t id[12];
    struct err err;
    size_t n;

    e = engine_open(&opt, &err);
    if (e != NULL)
        s = session_open(e, &how, &err);
    if (s == NULL) {
        FAIL("%s: %s", path, err.text);
        goto done;
    }
    *n_vocab = session_n_vocab(s);
    n = (size_t)*n_vocab;
    for (int i = 0; i < 12; i++)
        id[i] = (i * 37 + 5) % *n_vocab;
    logits = calloc(3 * n, sizeof(*logits));
    CHECK(session_sync(s, id, 12, NULL, NULL, NULL, NULL, &err));
    memcpy(logits, session_logits(s), n * sizeof(*logits));
    for (size_t i = 1; i < 3; i++) {
        CHECK(session_eval(s, (int32_t)(i * 11), &err));
        memcpy(logits + i * n, session_logits(s), n * sizeof(*logits));
    }
done:
    session_close(s);
    engine_close(e);
    return logits;
}

static void check_model(const char *name)
{
    const char *path = test_fixture(name);
    float *want, *got;
    float worst = 0.0f;
    int n = 0;

    if (no_device())
        return;
    if (path == NULL) {
        test_skip("no %s", name);
        return;
    }
    want = run_model(path, BACKEND_REF, &n);
    got = run_model(path, BACKEND_CUDA, &n);
    if (want != NULL && got != NULL)
        for (int i = 0; i < 3 * n; i++)
            worst = fmaxf(worst, fabsf(want[i] - got[i]));
    if (worst > 0.002f)
        FAIL("%s: logits differ by %g", name, (double)worst);
    free(want);
    free(got);
}

static void test_llama(void)
{
    check_model("dense-gqa/model-f32.gguf");
}

static void test_deepseek(void)
{
    check_model("moe-v1/model-f16.gguf");
}

static void test_v2_lite(void)
{
    check_model("v2-lite/model-Q4_K_M.gguf");
}

static void test_v2(void)
{
    check_model("v2/model-f16.gguf");
}

static void test_v3(void)
{
    check_model("v3/model-Q4_0.gguf");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"types", test_types},       {"llama", test_llama}, {"deepseek", test_deepseek},
        {"v2-lite", test_v2_lite},   {"v2", test_v2},       {"v3", test_v3},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
