/* SPDX-License-Identifier: MIT
 *
 * The inference thread: see worker.h.
 *
 * struct worker is shared: everything below `lock` is read and written under it, the
 * rest belongs to the inference thread alone once it runs (engine, session, memory).
 * The one exception is `stop`, two atomics that the running turn reads for every token.
 * The lock is never held while computing. A report waits as a node of a list; wake_fd
 * (an eventfd) is written when the list stops being empty and read when it is empty
 * again, so that a burst of tokens costs one wake-up.
 *
 * Whoever leaves last frees: worker_stop joins the thread and frees, worker_abandon
 * leaves that to the thread.
 */
#include "config.h"

#include "src/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/thread.h"

enum { STACK_BYTES = 8 << 20 };

struct report_node {
    struct report report;
    struct report_node *next;
};

/* An ask with copies of all that it borrows. */
struct ask_node {
    struct ask ask;
    struct message *msg;
    const char **stop;
    int32_t *token;
    char *text;        /* where all texts are */
    bool is_cancelled; /* before it began */
    enum stop_reason reason;
    struct ask_node *next;
};

struct worker {
    pthread_t thread;
    struct engine_options engine_options; /* texts owned */
    struct session_options session_options;
    char *path, *chat_format;
    int wake_fd;

    /* Of the thread. */
    struct engine *engine;
    struct session *session;
    struct turn_memory memory;
    int64_t turn;        /* the running one */
    struct err load_err; /* why there is no session */

    struct turn_stop stop;

    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct ask_node *first_ask, *last_ask;
    struct report_node *first_report, *last_report;
    bool is_ending;    /* take no more asks */
    bool is_abandoned; /* the thread frees */
};

/* ---- asks ---- */

static void ask_free(struct ask_node *node)
{
    free(node->msg);
    free(node->stop);
    free(node->token);
    free(node->text);
    free(node);
}

static size_t text_bytes(const struct ask *ask)
{
    size_t n = ask->raw_len + 1;

    for (size_t i = 0; i < ask->n_msg; i++)
        n += ask->msg[i].len + ask->msg[i].thinking_len + 2;
    for (size_t i = 0; i < ask->n_stop; i++)
        n += strlen(ask->stop[i]) + 1;
    return n;
}

/* Copies len bytes and a NUL to *at, which moves on. NULL stays NULL. */
static const char *copy_text(char **at, const char *text, size_t len)
{
    char *copy = *at;

    if (text == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

static struct ask_node *ask_copy(const struct ask *ask)
{
    struct ask_node *node = mem_zalloc(sizeof(*node));
    char *at;

    node->ask = *ask;
    node->text = at = mem_alloc(text_bytes(ask));
    node->msg = mem_array(ask->n_msg + 1, sizeof(*node->msg));
    node->stop = mem_array(ask->n_stop + 1, sizeof(*node->stop));
    node->ask.raw = copy_text(&at, ask->raw, ask->raw_len);
    for (size_t i = 0; i < ask->n_msg; i++) {
        node->msg[i] = ask->msg[i];
        node->msg[i].text = copy_text(&at, ask->msg[i].text, ask->msg[i].len);
        node->msg[i].thinking =
            copy_text(&at, ask->msg[i].thinking, ask->msg[i].thinking_len);
    }
    for (size_t i = 0; i < ask->n_stop; i++)
        node->stop[i] = copy_text(&at, ask->stop[i], strlen(ask->stop[i]));
    if (ask->n_token > 0) {
        node->token = mem_array(ask->n_token, sizeof(*node->token));
        memcpy(node->token, ask->token, ask->n_token * sizeof(*node->token));
    }
    node->ask.msg = node->msg;
    node->ask.stop = node->stop;
    node->ask.token = node->token;
    return node;
}

/* ---- reports ---- */

void report_release(struct report *r)
{
    free(r->text);
    tokens_release(&r->ids);
    memset(r, 0, sizeof(*r));
}

/* Adds `r`, whose text is borrowed, to what waits already; true when that was possible.
 * Under the lock. */
static bool merge(struct worker *w, const struct report *r)
{
    struct report *last = w->last_report == NULL ? NULL : &w->last_report->report;
    char *joined;

    if (last == NULL || last->kind != r->kind || last->turn != r->turn)
        return false;
    if (r->kind == REPORT_PREFILL) {
        last->done = r->done;
        return true;
    }
    if (r->kind != REPORT_TEXT && r->kind != REPORT_THINKING)
        return false;
    joined = realloc(last->text, last->len + r->len + 1);
    if (joined == NULL)
        return false;
    memcpy(joined + last->len, r->text, r->len + 1);
    last->text = joined;
    last->len += r->len;
    last->tokens_per_s = r->tokens_per_s;
    last->ctx_used = r->ctx_used;
    return true;
}

/* Posts a report. Its text is copied, its ids change hands. */
static void post(struct worker *w, const struct report *r)
{
    const uint64_t one = 1;
    struct report_node *node = NULL;
    bool was_empty = false;

    pthread_mutex_lock(&w->lock);
    if (!merge(w, r)) {
        node = mem_zalloc(sizeof(*node));
        node->report = *r;
        if (r->text != NULL)
            node->report.text = mem_dup_n(r->text, r->len);
        was_empty = w->first_report == NULL;
        if (was_empty)
            w->first_report = node;
        else
            w->last_report->next = node;
        w->last_report = node;
    }
    pthread_mutex_unlock(&w->lock);
    while (was_empty && write(w->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

int worker_fd(const struct worker *w)
{
    return w->wake_fd;
}

bool worker_take_report(struct worker *w, struct report *out)
{
    struct report_node *node;
    uint64_t count;

    pthread_mutex_lock(&w->lock);
    node = w->first_report;
    if (node != NULL) {
        w->first_report = node->next;
        if (node->next == NULL)
            w->last_report = NULL;
    }
    /* Under the lock, so that a wake-up for a report that is still there never goes. */
    while (w->first_report == NULL && read(w->wake_fd, &count, sizeof(count)) < 0 &&
           errno == EINTR)
        continue;
    pthread_mutex_unlock(&w->lock);
    if (node == NULL)
        return false;
    *out = node->report;
    free(node);
    return true;
}

/* ---- the thread ---- */

static void tell_start(void *ctx, int prompt_tokens)
{
    struct worker *w = ctx;

    post(w, &(struct report){
                .kind = REPORT_START, .turn = w->turn, .prompt_tokens = prompt_tokens});
}

static void tell_prefill(void *ctx, int done_tokens, int total_tokens)
{
    struct worker *w = ctx;

    post(w, &(struct report){.kind = REPORT_PREFILL,
                             .turn = w->turn,
                             .done = done_tokens,
                             .total = total_tokens});
}

static void tell_text(void *ctx, enum chat_part part, const char *text, size_t len,
                      float tokens_per_s)
{
    struct worker *w = ctx;
    char *copy = mem_dup_n(text, len); /* post borrows, but struct report owns */

    post(w, &(struct report){.kind = part == CHAT_PART_THINKING ? REPORT_THINKING
                                                                : REPORT_TEXT,
                             .turn = w->turn,
                             .text = copy,
                             .len = len,
                             .ctx_used = session_len(w->session),
                             .tokens_per_s = tokens_per_s});
    free(copy);
}

static bool load(struct worker *w)
{
    struct report r = {.kind = REPORT_READY};
    double began = clock_seconds();

    w->engine = engine_open(&w->engine_options, &r.err);
    if (w->engine != NULL)
        w->session = session_open(w->engine, &w->session_options, &r.err);
    if (w->session == NULL) {
        r.kind = REPORT_FAILED;
        w->load_err = r.err;
    } else {
        r.info = engine_info(w->engine);
        r.load_s = clock_seconds() - began;
        r.ctx_size = session_ctx(w->session);
    }
    post(w, &r);
    return w->session != NULL;
}

static void run_turn(struct worker *w, const struct ask *ask)
{
    const struct turn_sink sink = {w, tell_start, tell_prefill, tell_text};
    struct report r = {.turn = ask->turn};
    struct turn_result result;
    bool ok;

    w->turn = ask->turn;
    ok = turn_run(w->session, w->engine, &w->memory, ask, &w->stop, &sink, &result,
                  &r.err);
    r.kind = ok ? REPORT_DONE : REPORT_FAILED;
    r.stop_reason = result.stop_reason;
    r.sampling = result.sampling;
    r.prompt_tokens = result.prompt_tokens;
    r.cached_tokens = result.cached_tokens;
    r.completion_tokens = result.completion_tokens;
    r.prefill_s = result.prefill_s;
    r.decode_s = result.decode_s;
    r.ctx_used = session_len(w->session);
    r.ctx_size = session_ctx(w->session);
    if (result.decode_s > 0)
        r.tokens_per_s = (float)(result.n_decoded / result.decode_s);
    r.ids = result.ids;
    post(w, &r);
}

static void refuse_turn(struct worker *w, const struct ask *ask)
{
    post(w, &(struct report){
                .kind = REPORT_FAILED, .turn = ask->turn, .err = w->load_err});
}

/* The next ask, or NULL when the thread is to end. Lowers the stop flag, or raises it
 * for an ask that was cancelled while it waited. */
static struct ask_node *next_ask(struct worker *w)
{
    struct ask_node *node;

    pthread_mutex_lock(&w->lock);
    while (w->first_ask == NULL && !w->is_ending)
        pthread_cond_wait(&w->asked, &w->lock);
    node = w->is_ending ? NULL : w->first_ask;
    if (node != NULL) {
        w->first_ask = node->next;
        if (node->next == NULL)
            w->last_ask = NULL;
        atomic_store(&w->stop.reason, (int)node->reason);
        atomic_store(&w->stop.flag, node->is_cancelled);
    }
    pthread_mutex_unlock(&w->lock);
    return node;
}

static void worker_free(struct worker *w)
{
    struct report r;

    while (w->first_ask != NULL) {
        struct ask_node *node = w->first_ask;

        w->first_ask = node->next;
        ask_free(node);
    }
    while (worker_take_report(w, &r))
        report_release(&r);
    turn_memory_release(&w->memory);
    session_close(w->session);
    engine_close(w->engine);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->asked);
    close(w->wake_fd);
    free(w->path);
    free(w->chat_format);
    free(w);
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    bool is_loaded = load(w);
    struct ask_node *node;
    bool is_abandoned;

    while ((node = next_ask(w)) != NULL) {
        if (is_loaded)
            run_turn(w, &node->ask);
        else
            refuse_turn(w, &node->ask);
        ask_free(node);
    }
    pthread_mutex_lock(&w->lock);
    is_abandoned = w->is_abandoned;
    pthread_mutex_unlock(&w->lock);
    if (is_abandoned)
        worker_free(w);
    return NULL;
}

/* ---- life ---- */

static bool start_thread(struct worker *w, struct err *err)
{
    int code = thread_start(&w->thread, STACK_BYTES, thread_main, w);

    return code == 0 ||
           err_set_errno(err, ERR_MEMORY, code, "cannot start the inference thread");
}

struct worker *worker_start(const struct engine_options *engine,
                            const struct session_options *session, struct err *err)
{
    struct worker *w = mem_zalloc(sizeof(*w));

    w->path = mem_dup(engine->path);
    w->chat_format = engine->chat_format == NULL ? NULL : mem_dup(engine->chat_format);
    w->engine_options = *engine;
    w->engine_options.path = w->path;
    w->engine_options.chat_format = w->chat_format;
    w->session_options = *session;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->asked, NULL);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0) {
        err_set_errno(err, ERR_FAILED, errno, "cannot make an event descriptor");
        goto fail;
    }
    if (start_thread(w, err))
        return w;
fail:
    worker_free(w);
    return NULL;
}

void worker_ask(struct worker *w, const struct ask *ask)
{
    struct ask_node *node = ask_copy(ask);

    pthread_mutex_lock(&w->lock);
    if (w->last_ask == NULL)
        w->first_ask = node;
    else
        w->last_ask->next = node;
    w->last_ask = node;
    pthread_cond_signal(&w->asked);
    pthread_mutex_unlock(&w->lock);
}

void worker_cancel(struct worker *w, enum stop_reason reason)
{
    pthread_mutex_lock(&w->lock);
    for (struct ask_node *node = w->first_ask; node != NULL; node = node->next) {
        node->is_cancelled = true;
        node->reason = reason;
    }
    atomic_store(&w->stop.reason, (int)reason);
    atomic_store(&w->stop.flag, true);
    pthread_mutex_unlock(&w->lock);
}

/* Stops what runs and lets the thread end. */
static void end_thread(struct worker *w, bool abandon)
{
    worker_cancel(w, STOP_INTERRUPT);
    pthread_mutex_lock(&w->lock);
    w->is_ending = true;
    w->is_abandoned = abandon;
    pthread_cond_signal(&w->asked);
    pthread_mutex_unlock(&w->lock);
}

void worker_stop(struct worker *w)
{
    if (w == NULL)
        return;
    end_thread(w, false);
    pthread_join(w->thread, NULL);
    worker_free(w);
}

void worker_abandon(struct worker *w)
{
    pthread_t thread;

    if (w == NULL)
        return;
    thread = w->thread;
    pthread_detach(thread);
    end_thread(w, true);
}
