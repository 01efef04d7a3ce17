/* SPDX-License-Identifier: MIT
 *
 * The inference thread with a tiny model: reports in order, the cache between turns,
 * cancelling, failures; and stop texts, in a stream cut at every place.
 */
#include "config.h"

#include <poll.h>
#include <string.h>

#include "src/base/buf.h"
#include "src/stop_text.h"
#include "src/worker.h"
#include "tests/test.h"

enum { WAIT_MS = 120000 };

static struct worker *start(const char *model)
{
    struct engine_options engine = {.path = model, .backend = BACKEND_CPU};
    struct session_options session = {.ctx_tokens = 0};
    struct err err;
    struct worker *w = worker_start(&engine, &session, &err);

    CHECK(w != NULL);
    return w;
}

static struct ask ask_ids(int64_t turn, const int32_t *id, size_t n, int max_tokens)
{
    return (struct ask){.turn = turn,
                        .token = id,
                        .n_token = n,
                        .sampling = {.top_p = 1, .repeat_penalty = 1},
                        .max_tokens = max_tokens};
}

/* The next report, waited for. */
static struct report next(struct worker *w)
{
    struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
    struct report r = {.kind = REPORT_FAILED};

    while (!worker_take_report(w, &r))
        if (!CHECK(poll(&p, 1, WAIT_MS) > 0))
            break;
    return r;
}

/* Skips to the report that ends a turn (or the load). */
static struct report end_of(struct worker *w, int64_t turn)
{
    for (;;) {
        struct report r = next(w);

        if ((r.kind == REPORT_DONE || r.kind == REPORT_FAILED) && r.turn == turn)
            return r;
        report_release(&r);
    }
}

static const char *model(void)
{
    const char *path = test_fixture("models/v2-lite/model-f16.gguf");

    if (path == NULL)
        path = test_fixture("v2-lite/model-f16.gguf");
    if (path == NULL)
        test_skip("no tiny model");
    return path;
}

static void test_order(void)
{
    static const int32_t id[] = {1, 7, 20};
    struct worker *w;
    struct report r;
    struct ask ask = ask_ids(5, id, 3, 8);
    bool text = false;

    if (model() == NULL || (w = start(model())) == NULL)
        return;
    worker_ask(w, &ask);
    r = next(w);
    CHECK(r.kind == REPORT_READY && r.info != NULL && r.ctx_size > 0);
    report_release(&r);
    r = next(w);
    CHECK(r.kind == REPORT_START && r.turn == 5 && r.prompt_tokens == 3);
    report_release(&r);
    while ((r = next(w)).kind != REPORT_DONE && r.kind != REPORT_FAILED) {
        text = text || r.kind == REPORT_TEXT;
        CHECK(r.turn == 5);
        report_release(&r);
    }
    CHECK(r.kind == REPORT_DONE && text);
    CHECK(r.stop_reason == STOP_LENGTH || r.stop_reason == STOP_EOS);
    CHECK(r.completion_tokens <= 8 && r.ids.len <= 8);
    report_release(&r);
    worker_stop(w);
}

static void test_cache(void)
{
    int32_t id[64] = {1, 7, 20};
    struct worker *w;
    struct report first;
    struct report second;
    size_t n = 3;

    if (model() == NULL || (w = start(model())) == NULL)
        return;
    worker_ask(w, &(struct ask){.turn = 0, .token = id, .n_token = 3, .max_tokens = 0});
    worker_ask(w, &(struct ask){.turn = 1, .token = id, .n_token = 3, .max_tokens = 8});
    first = end_of(w, 1);
    for (size_t i = 0; i + 1 < first.ids.len; i++)
        id[n++] = first.ids.id[i];
    id[n++] = 9;
    worker_ask(w, &(struct ask){.turn = 2, .token = id, .n_token = n, .max_tokens = 1});
    second = end_of(w, 2);
    CHECK(second.cached_tokens == (int)n - 1);
    report_release(&first);
    report_release(&second);
    worker_stop(w);
}

static void test_cancel(void)
{
    static const int32_t id[] = {1, 7};
    struct ask ask = ask_ids(1, id, 2, -1);
    struct worker *w;
    struct report r;

    if (model() == NULL || (w = start(model())) == NULL)
        return;
    worker_ask(w, &ask);
    ask.turn = 2;
    worker_ask(w, &ask);
    /* While the model loads: both are cancelled before they begin, or soon after. */
    worker_cancel(w, STOP_TIMEOUT);
    for (int64_t turn = 1; turn <= 2; turn++) {
        r = end_of(w, turn);
        CHECK(r.kind == REPORT_DONE && r.stop_reason == STOP_TIMEOUT);
        report_release(&r);
    }
    /* What comes after a cancel is not cancelled. */
    ask = ask_ids(3, id, 2, 4);
    worker_ask(w, &ask);
    r = end_of(w, 3);
    CHECK(r.kind == REPORT_DONE && r.stop_reason != STOP_TIMEOUT && r.ids.len > 0);
    report_release(&r);
    worker_stop(w);
}

static void test_failures(void)
{
    static const int32_t id[] = {1 << 30};
    struct ask ask = ask_ids(1, id, 1, 4);
    struct worker *w = start("/nowhere/model.gguf");
    struct report r;

    worker_ask(w, &ask);
    r = end_of(w, 1);
    CHECK(r.kind == REPORT_FAILED && r.err.kind == ERR_MODEL);
    report_release(&r);
    worker_stop(w);
    if (model() == NULL || (w = start(model())) == NULL)
        return;
    worker_ask(w, &ask);
    r = end_of(w, 1);
    CHECK(r.kind == REPORT_FAILED && r.err.kind == ERR_USAGE);
    report_release(&r);
    worker_stop(w);
}

static void test_abandon(void)
{
    static const int32_t id[] = {1, 7};
    struct ask ask = ask_ids(1, id, 2, -1);
    struct worker *w;

    if (model() == NULL)
        return;
    for (int i = 0; i < 4; i++) {
        w = start(model());
        if (i % 2 == 1)
            worker_ask(w, &ask);
        worker_abandon(w);
    }
    worker_stop(NULL);
    worker_abandon(NULL);
}

/* ---- stop texts ---- */

static const char *const stops[] = {"abcd", "bc", "\n\n"};

/* Feeds text in two pieces; what came out, and whether it stopped. */
static bool feed(const char *text, size_t cut, struct buf *out)
{
    struct stop_finder f;
    bool found;

    stop_finder_init(&f, stops, 3);
    found = stop_finder_add(&f, text, cut, out);
    if (!found)
        found = stop_finder_add(&f, text + cut, strlen(text + cut), out);
    if (!found)
        found = stop_finder_end(&f, out);
    stop_finder_release(&f);
    return found;
}

static void test_stop_texts(void)
{
    static const struct {
        const char *text, *before;
        bool found;
    } cases[] = {
        {"", "", false},       {"xyz", "xyz", false},       {"xabcdy", "x", true},
        {"xabcy", "xa", true}, {"xbcy", "x", true},         {"xab", "xab", false},
        {"xabc", "xa", true},  {"a\nb\n", "a\nb\n", false}, {"a\n\nb", "a", true},
        {"aabcd", "a", true},  {"ababcd", "ab", true},      {"\n", "\n", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
            struct buf out;
            bool found;

            buf_init(&out, 1024);
            found = feed(cases[i].text, cut, &out);
            if (found != cases[i].found || strcmp(buf_text(&out), cases[i].before) != 0)
                FAIL("'%s' cut at %zu: '%s' %d", cases[i].text, cut, buf_text(&out),
                     found);
            buf_release(&out);
        }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"order", test_order},     {"cache", test_cache},
        {"cancel", test_cancel},   {"failures", test_failures},
        {"abandon", test_abandon}, {"stop_texts", test_stop_texts},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
