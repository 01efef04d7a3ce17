/* SPDX-License-Identifier: MIT
 *
 * Loading a model while memory runs out: every fallible allocation from the first byte
 * of the file to the last tensor fails once. Linked with --wrap=mem_try.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"
#include "model/weights.h"
#include "src/base/mem.h"
#include "tests/test.h"
#include "tests/tiny.h"

static int n_calls; /* of mem_try in this round */
static int fail_at; /* the call that fails */

void *__real_mem_try(size_t n, size_t size, const char *what, struct err *err) MUST_USE;
void *__wrap_mem_try(size_t n, size_t size, const char *what, struct err *err) MUST_USE;

void *__wrap_mem_try(size_t n, size_t size, const char *what, struct err *err)
{
    if (n_calls++ == fail_at) {
        err_set(err, ERR_MEMORY, "not enough memory for %s", what);
        return NULL;
    }
    return __real_mem_try(n, size, what, err);
}

static bool load(const unsigned char *data, size_t len, struct err *err)
{
    struct gguf *g = gguf_open_bytes("x.gguf", data, len, err);
    struct shape shape;
    struct weights w;
    bool ok = false;

    if (g != NULL && shape_read(&shape, g, err)) {
        ok = weights_open(&w, g, &shape, err);
        if (ok)
            weights_release(&w);
        shape_release(&shape);
    }
    gguf_close(g);
    return ok;
}

static void test_every_allocation(void)
{
    const struct tiny tiny = {.arch = "deepseek2", .joined_kv_b = true};
    size_t len;
    unsigned char *data = tiny_build(&tiny, &len);
    struct err err = {0};

    for (fail_at = 0;; fail_at++) {
        n_calls = 0;
        if (load(data, len, &err))
            break;
        if (err.kind != ERR_MEMORY)
            FAIL("allocation %d: kind %d, \"%s\"", fail_at, (int)err.kind, err.text);
    }
    CHECK(fail_at == n_calls && n_calls > 10);
    free(data);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"every_allocation", test_every_allocation},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
