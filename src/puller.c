/* SPDX-License-Identifier: MIT
 *
 * The download thread: see puller.h.
 *
 * Everything below `lock` is shared and used under it; the rest is set before the
 * thread runs. wake_fd tells the main thread that the state has changed, stop_fd (never
 * read) the network's waits that the end is wished for.
 */
#include "config.h"

#include "src/puller.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/thread.h"
#include "src/fetch/pull.h"
#include "src/pull_request.h"
#include "src/pull_speed.h"

struct puller {
    pthread_t thread;
    struct pull_request request;
    int threads;
    int wake_fd, stop_fd;
    double told_at; /* of the last progress; of the thread */

    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct puller_state state;
    bool is_agreed, is_cancelled;
};

enum { NICE = 10 };

static const double progress_every_s = 0.05;

/* ---- the state ---- */

static char *copy(const char *text)
{
    return text == NULL ? NULL : mem_dup(text);
}

void puller_state_release(struct puller_state *s)
{
    free(s->file_name);
    free(s->why);
    free(s->trouble);
    free(s->path);
    memset(s, 0, sizeof(*s));
}

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = copy(value);
}

static void wake(int fd)
{
    const uint64_t one = 1;

    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void begin_change(struct puller *p)
{
    pthread_mutex_lock(&p->lock);
}

static void end_change(struct puller *p)
{
    pthread_mutex_unlock(&p->lock);
    wake(p->wake_fd);
}

bool puller_look(struct puller *p, struct puller_state *out)
{
    uint64_t count;

    while (read(p->wake_fd, &count, sizeof(count)) < 0)
        if (errno != EINTR)
            return false;
    puller_state_release(out);
    pthread_mutex_lock(&p->lock);
    *out = p->state;
    out->file_name = copy(p->state.file_name);
    out->why = copy(p->state.why);
    out->trouble = copy(p->state.trouble);
    out->path = copy(p->state.path);
    pthread_mutex_unlock(&p->lock);
    return true;
}

/* ---- the thread ---- */

static bool may_go_on(void *ctx, struct err *err)
{
    struct puller *p = ctx;
    bool cancelled;

    pthread_mutex_lock(&p->lock);
    cancelled = p->is_cancelled;
    pthread_mutex_unlock(&p->lock);
    return !cancelled || err_set(err, ERR_CANCELLED, "stopped");
}

static void take_plan(struct puller_state *s, const struct pull_plan *plan)
{
    s->n_files = plan->n;
    for (size_t i = 0; i < plan->n; i++)
        s->has_gguf =
            s->has_gguf || text_ends_with_any_case(plan->file[i].name, ".gguf");
    set_text(&s->file_name, plan->n > 0 ? plan->file[0].name : NULL);
    set_text(&s->why, plan->why);
    s->all_bytes = plan->bytes;
    s->done_bytes = plan->bytes - plan->fetch_bytes;
    s->to_come_bytes = plan->fetch_bytes;
    s->disk_free_bytes = plan->free_bytes;
    s->memory_need = plan->memory_need;
    s->memory_free = plan->memory_free;
    s->read_share = plan->read_share;
}

/* Waits for the answer where there is something to decide. */
static bool on_plan(void *ctx, const struct pull_plan *plan, struct err *err)
{
    struct puller *p = ctx;
    bool asks = false;
    double speed = 0;

    for (size_t i = 0; i < plan->n && plan->fits_disk; i++)
        asks = asks || !plan->file[i].is_here;
    if (asks)
        speed = pull_speed_estimate(plan, p->threads);
    begin_change(p);
    take_plan(&p->state, plan);
    p->state.tokens_per_s = speed;
    p->state.phase = asks ? PULLER_OFFERING : PULLER_FETCHING;
    end_change(p);
    begin_change(p);
    while (asks && !p->is_agreed && !p->is_cancelled)
        pthread_cond_wait(&p->answered, &p->lock);
    p->state.phase = PULLER_FETCHING;
    end_change(p);
    /* Hashing keeps a core busy: from here on the answer and the keys come first. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    return may_go_on(p, err);
}

static void on_progress(void *ctx, const struct pull_progress *now)
{
    struct puller *p = ctx;
    double at = clock_seconds();

    if (at - p->told_at < progress_every_s)
        return;
    p->told_at = at;
    begin_change(p);
    p->state.phase = PULLER_FETCHING;
    p->state.file = now->file;
    set_text(&p->state.file_name, now->plan->file[now->file].name);
    set_text(&p->state.trouble, now->trouble);
    p->state.done_bytes = now->all_done;
    p->state.fetched_bytes = now->fetched;
    end_change(p);
}

static void on_waiting(void *ctx, const char *name)
{
    struct puller *p = ctx;

    begin_change(p);
    p->state.phase = PULLER_WAITING;
    set_text(&p->state.file_name, name);
    end_change(p);
}

static bool on_done(void *ctx, const struct pull_plan *plan, size_t file,
                    const char *path, struct err *err)
{
    (void)plan;
    (void)file;
    (void)path;
    return may_go_on(ctx, err);
}

static void *thread_main(void *arg)
{
    struct puller *p = arg;
    const struct pull_watcher watcher = {
        .ctx = p,
        .plan = on_plan,
        .progress = on_progress,
        .waiting = on_waiting,
        .done = on_done,
    };
    struct pull_options opt = p->request.pull;
    struct err err = {.kind = ERR_NONE};
    char *path;
    bool ok;

    opt.dry_run = false; /* the plan is shown first in any case, and asked about */
    opt.wants_share = true;
    opt.may_go_on = may_go_on;
    opt.ctx = p;
    opt.wake_fd = p->stop_fd;
    ok = pull_run(&opt, &watcher, &path, &err);
    if (!ok && err.kind != ERR_CANCELLED && strstr(err.text, opt.name) == NULL)
        err_wrap(&err, "%s", opt.name);
    begin_change(p);
    p->state.phase = ok ? PULLER_DONE : PULLER_FAILED;
    p->state.path = path;
    p->state.err = err;
    end_change(p);
    return NULL;
}

/* ---- life ---- */

static void puller_free(struct puller *p)
{
    puller_state_release(&p->state);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->answered);
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    if (p->stop_fd >= 0)
        close(p->stop_fd);
    pull_request_release(&p->request);
    free(p);
}

struct puller *puller_start(const char *line, int threads, struct err *err)
{
    struct puller *p = mem_zalloc(sizeof(*p));
    int code;

    if (!pull_request_read(&p->request, line, err)) {
        free(p);
        return NULL;
    }
    p->threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->answered, NULL);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake_fd < 0 || p->stop_fd < 0) {
        err_set_errno(err, ERR_FAILED, errno, "cannot make an event descriptor");
        goto fail;
    }
    code = thread_start(&p->thread, 0, thread_main, p);
    if (code == 0)
        return p;
    err_set_errno(err, ERR_MEMORY, code, "cannot start the download thread");
fail:
    puller_free(p);
    return NULL;
}

int puller_fd(const struct puller *p)
{
    return p->wake_fd;
}

void puller_go_on(struct puller *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_agreed = true;
    pthread_cond_signal(&p->answered);
    pthread_mutex_unlock(&p->lock);
}

void puller_cancel(struct puller *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_cancelled = true;
    pthread_cond_signal(&p->answered);
    pthread_mutex_unlock(&p->lock);
    wake(p->stop_fd);
}

void puller_stop(struct puller *p)
{
    if (p == NULL)
        return;
    puller_cancel(p);
    pthread_join(p->thread, NULL);
    puller_free(p);
}
