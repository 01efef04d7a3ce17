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
#include "model/quant.h"
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

enum { TYPE_ROWS = 3, TYPE_COLS = 512 };

/* Random blocks of a type through embed(), which decodes them, beside quant.c. Scales
 * of random bits are sometimes not finite: then both must be. */
static void check_type(struct backend *be, const struct quant_type *type)
{
    static unsigned char data[TYPE_ROWS * TYPE_COLS * 4];
    static float want[TYPE_ROWS * TYPE_COLS], got[TYPE_ROWS * TYPE_COLS];
    static const int32_t id[TYPE_ROWS] = {2, 0, 1};
    float inv_freq = 1.0f;
    struct shape shape = {.rope = {.dim = 2, .inv_freq = &inv_freq}};
    struct weights w = {.embed = {.name = type->name,
                                  .type = type,
                                  .n_slab = 1,
                                  .n_in = TYPE_COLS,
                                  .n_out = TYPE_ROWS,
                                  .row_bytes = quant_row_bytes(type, TYPE_COLS),
                                  .data = data}};
    struct vec *y;
    struct err err;

    w.embed.slab_bytes = TYPE_ROWS * w.embed.row_bytes;
    w.head = w.embed;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)((i * 2654435761u + (unsigned)type->type * 97u) >> 11);
    for (int i = 0; i < TYPE_ROWS; i++)
        type->to_f32(data + (size_t)id[i] * w.embed.row_bytes, want + i * TYPE_COLS,
                     TYPE_COLS);
    y = backend_cuda.vec_open(be, TYPE_ROWS, TYPE_COLS, &err);
    if (CHECK(y != NULL) && CHECK(backend_cuda.adopt(be, &w, &shape, &err))) {
        backend_cuda.embed(be, y, &w.embed, id, TYPE_ROWS);
        CHECK(backend_cuda.read(be, y, 0, TYPE_ROWS, TYPE_COLS, got, &err));
        for (int i = 0; i < TYPE_ROWS * TYPE_COLS; i++)
            if (isfinite(want[i])
                    ? !(fabsf(got[i] - want[i]) <= 1e-5f * fabsf(want[i]) + 1e-9f)
                    : isfinite(got[i])) {
                FAIL("%s: element %d is %g, not %g", type->name, i, (double)got[i],
                     (double)want[i]);
                break;
            }
        backend_cuda.disown(be, &w);
    }
    backend_cuda.vec_close(be, y);
}

static void test_types(void)
{
    struct backend *be;
    struct err err;
    int n = 0;

    if (no_device())
        return;
    be = backend_cuda.open(0, &err);
    if (!CHECK(be != NULL))
        return;
    for (uint32_t i = 0; i < 64; i++) {
        const struct quant_type *type = quant_find(i);

        if (type == NULL || type->to_f32 == NULL)
            continue;
        check_type(be, type);
        n++;
    }
    CHECK(n >= 15);
    backend_cuda.close(be);
}

/* Logits after a prompt and after each of two more tokens; [3][vocab], NULL on failure.
 */
static float *run_model(const char *path, enum backend_kind backend, int *n_vocab)
{
    struct engine_options opt = {.path = path, .backend = backend, .n_threads = 1};
    struct session_options how = {
        .ctx_tokens = 64, .cache = SESSION_CACHE_F32, .batch_tokens = 9};
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
        {"types", test_types},     {"llama", test_llama}, {"deepseek", test_deepseek},
        {"v2-lite", test_v2_lite}, {"v2", test_v2},       {"v3", test_v3},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
