/* SPDX-License-Identifier: MIT
 *
 * A worker without a model, for tests of the chat: it answers with canned text, chosen
 * by a word of the last message, at a chosen speed. A thread of its own, as the real
 * one, so that the same races are there.
 *
 * A model with "broken" in its path cannot be loaded.
 * Environment: FAKE_LOAD_MS, FAKE_PREFILL_MS (of 10 steps), FAKE_TOKEN_MS.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "src/worker.h"

struct fake_ask {
    int64_t turn;
    uint64_t seed;
    char *text; /* what to answer, owned */
    char *thinking;
    bool too_long;
    int n_prompt;
};

struct report_node {
    struct report report;
    struct report_node *next;
};

struct worker {
    pthread_t thread;
    int wake_fd;
    struct engine_info info;
    bool is_broken; /* the model cannot be loaded */
    atomic_bool stop;
    int ctx_size;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t asked;
    struct fake_ask *ask; /* one at a time: the chat asks so */
    struct report_node *first, *last;
    bool is_ending;
};

struct canned {
    const char *word; /* of the message */
    const char *thinking, *text;
};

static const struct canned canned[] = {
    {"cjk", NULL,
     "日本語の敬語は、話し手と聞き手の関係によって言葉の形が変わる仕組みです。"
     "「です」「ます」は丁寧語、「いらっしゃる」は尊敬語です。\n\n"
     "中文也可以：模型在本机运行，不需要网络。\n\n"
     "Emoji: 🙂 👍🏽 👩‍💻 👨‍👩‍👧‍👦 🇩🇪 ❤️ "
     "✔️ "
     "1️⃣ "
     "end.\n"
     "Combining: e\xCC\x81 n\xCC\x83 Z\xCC\xB6\xCC\xA8 กำ नि 한국어 end."},
    {"code", NULL,
     "## How big is it\n\nThe latent row has **512 + 64** values, see `kv.c`:\n\n"
     "```c\nsize_t row = (kv_rank + rope_dim) * sizeof(uint16_t);\n"
     "size_t tok = row * n_layers; /* 31104 */\n```\n\n"
     "- first *item*, which is long enough that it has to be wrapped on a narrow "
     "screen\n- second item\n  1. inner\n\n> quoted\n\n---\nDone."},
    {"evil", NULL,
     "before \033]52;c;aGFjaw==\a \033[2J\033[31mred\033[0m \x08\x08 \xC2\x9B"
     "5m bidi \xE2\x80\xAE"
     "desrever tag \xF3\xA0\x81\xA1 cr\rover after"},
    {"think", "First I consider the question.\nThen I answer it.",
     "The answer is **42**."},
};

const char *stop_reason_name(enum stop_reason reason)
{
    static const char *const names[] = {"eos", "length", "stop", "interrupt",
                                        "timeout"};

    return names[reason];
}

static void nap(const char *variable, int standard_ms)
{
    const char *value = getenv(variable);
    long ms = value == NULL ? standard_ms : strtol(value, NULL, 10);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

void report_release(struct report *r)
{
    free(r->text);
    tokens_release(&r->ids);
    memset(r, 0, sizeof(*r));
}

static void send(struct worker *w, const struct report *r)
{
    struct report_node *node = mem_zalloc(sizeof(*node));
    uint64_t one = 1;

    node->report = *r;
    pthread_mutex_lock(&w->lock);
    if (w->last != NULL)
        w->last->next = node;
    else
        w->first = node;
    w->last = node;
    pthread_mutex_unlock(&w->lock);
    if (write(w->wake_fd, &one, sizeof(one)) < 0)
        abort();
}

static void send_text(struct worker *w, const struct fake_ask *ask,
                      enum report_kind kind, const char *text, size_t len, int n_tokens)
{
    struct report r = {
        .kind = kind,
        .turn = ask->turn,
        .text = mem_dup_n(text, len),
        .len = len,
        .completion_tokens = n_tokens,
        .ctx_used = ask->n_prompt + n_tokens,
        .ctx_size = w->ctx_size,
        .tokens_per_s = 21.4f,
    };

    send(w, &r);
}

/* Words of the text, one a "token". */
static void stream(struct worker *w, const struct fake_ask *ask, enum report_kind kind,
                   const char *text, int *n_tokens)
{
    while (*text != '\0' && !w->stop) {
        size_t n = 1;

        while (text[n] != '\0' && text[n] != ' ' && (text[n] & 0xC0) != 0xC0 && n < 40)
            n++;
        while ((text[n] & 0xC0) == 0x80)
            n++;
        nap("FAKE_TOKEN_MS", 1);
        send_text(w, ask, kind, text, n, ++*n_tokens);
        text += n;
    }
}

static void answer(struct worker *w, const struct fake_ask *ask)
{
    struct report r = {.kind = REPORT_START, .turn = ask->turn};
    int n_tokens = 0;

    r.prompt_tokens = ask->n_prompt;
    if (ask->too_long) {
        r.kind = REPORT_FAILED;
        err_set(&r.err, ERR_CONTEXT,
                "prompt of 5000 tokens does not fit the context of "
                "4096 tokens");
        send(w, &r);
        return;
    }
    send(w, &r);
    for (int i = 0; i <= 10 && !w->stop; i++) {
        r.kind = REPORT_PREFILL;
        r.done = ask->n_prompt * i / 10;
        r.total = ask->n_prompt;
        send(w, &r);
        nap("FAKE_PREFILL_MS", 0);
    }
    if (ask->thinking != NULL)
        stream(w, ask, REPORT_THINKING, ask->thinking, &n_tokens);
    stream(w, ask, REPORT_TEXT, ask->text, &n_tokens);
    r.kind = REPORT_DONE;
    r.stop_reason = w->stop ? STOP_INTERRUPT : STOP_EOS;
    r.completion_tokens = n_tokens;
    r.ctx_used = ask->n_prompt + n_tokens;
    r.ctx_size = w->ctx_size;
    r.tokens_per_s = 21.4f;
    r.sampling.seed = ask->seed;
    send(w, &r);
}

static struct fake_ask *next_ask(struct worker *w)
{
    struct fake_ask *ask;

    pthread_mutex_lock(&w->lock);
    while (w->ask == NULL && !w->is_ending)
        pthread_cond_wait(&w->asked, &w->lock);
    ask = w->ask;
    w->ask = NULL;
    pthread_mutex_unlock(&w->lock);
    return ask;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    struct report r = {.kind = REPORT_READY, .info = &w->info, .ctx_size = w->ctx_size};
    struct fake_ask *ask;

    nap("FAKE_LOAD_MS", 0);
    if (w->is_broken || getenv("FAKE_LOAD_FAILS") != NULL) {
        r.kind = REPORT_FAILED;
        err_set(&r.err, ERR_MODEL, "fake.gguf: empty file");
    }
    send(w, &r);
    while ((ask = next_ask(w)) != NULL) {
        answer(w, ask);
        free(ask->text);
        free(ask->thinking);
        free(ask);
    }
    return NULL;
}

struct worker *worker_start(const struct engine_options *engine,
                            const struct session_options *session, struct err *err)
{
    struct worker *w = mem_zalloc(sizeof(*w));
    int code;

    w->is_broken = strstr(engine->path, "broken") != NULL;
    w->info = (struct engine_info){.name = "fake", .backend = "cpu", .n_threads = 2};
    w->ctx_size = session->ctx_tokens > 0 ? session->ctx_tokens : 4096;
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->asked, NULL);
    code = thread_start(&w->thread, 0, run, w);
    if (code != 0) {
        err_set_errno(err, ERR_FAILED, code, "cannot start a thread");
        free(w);
        return NULL;
    }
    return w;
}

int worker_fd(const struct worker *w)
{
    return w->wake_fd;
}

/* Without one of the words: how many messages came, and what the user said in them. */
static char *echo(const struct ask *ask)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    buf_addf(&out, "%zu messages:", ask->n_msg);
    for (size_t i = 0; i < ask->n_msg; i++)
        buf_addf(&out, " [%s %.40s]", role_name(ask->msg[i].role), ask->msg[i].text);
    return buf_take(&out, NULL);
}

static char *many_lines(void)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    for (int i = 1; i <= 200; i++)
        buf_addf(&out, "line %d of the long answer\n", i);
    return buf_take(&out, NULL);
}

void worker_ask(struct worker *w, const struct ask *what)
{
    struct fake_ask *ask = mem_zalloc(sizeof(*ask));
    const char *last = what->msg[what->n_msg - 1].text;

    ask->turn = what->turn;
    ask->seed = what->sampling.seed;
    ask->n_prompt = 20 * (int)what->n_msg;
    ask->too_long = strstr(last, "too long") != NULL;
    for (size_t i = 0; i < sizeof(canned) / sizeof(canned[0]); i++) {
        if (ask->text == NULL && strstr(last, canned[i].word) != NULL) {
            ask->text = mem_dup(canned[i].text);
            ask->thinking =
                canned[i].thinking == NULL ? NULL : mem_dup(canned[i].thinking);
        }
    }
    if (ask->text == NULL)
        ask->text = strstr(last, "lines") != NULL ? many_lines() : echo(what);
    w->stop = false;
    pthread_mutex_lock(&w->lock);
    w->ask = ask;
    pthread_cond_signal(&w->asked);
    pthread_mutex_unlock(&w->lock);
}

bool worker_take_report(struct worker *w, struct report *out)
{
    struct report_node *node;
    uint64_t count;

    pthread_mutex_lock(&w->lock);
    node = w->first;
    if (node != NULL)
        w->first = node->next;
    else if (read(w->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort();
    if (w->first == NULL)
        w->last = NULL;
    pthread_mutex_unlock(&w->lock);
    if (node == NULL)
        return false;
    *out = node->report;
    free(node);
    return true;
}

void worker_cancel(struct worker *w, enum stop_reason reason)
{
    (void)reason;
    w->stop = true;
}

void worker_stop(struct worker *w)
{
    struct report r;

    if (w == NULL)
        return;
    w->stop = true;
    pthread_mutex_lock(&w->lock);
    w->is_ending = true;
    pthread_cond_signal(&w->asked);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    while (worker_take_report(w, &r))
        report_release(&r);
    close(w->wake_fd);
    free(w);
}

void worker_abandon(struct worker *w)
{
    (void)w; /* its thread ends with the program */
}
