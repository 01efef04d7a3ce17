/* SPDX-License-Identifier: MIT
 *
 * hadal run: one prompt in, one answer out.
 *
 * The same path as the TUI's, with standard input for the keyboard and standard output
 * for the screen. One loop waits for whatever comes first: a report of the inference
 * thread, standard input, a signal, the time limit, a reader that went away. The model
 * loads while standard input is read. Whatever ends the answer early stops the worker,
 * and what has come is kept.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/tokens.h"
#include "src/answer.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/interrupt.h"
#include "src/model_open.h"
#include "src/output.h"
#include "src/prompt.h"
#include "src/record.h"
#include "src/worker.h"

enum {
    STDIN_NOTICE_S = 3, /* silence of standard input before it is talked about */
    STOP_GRACE_S = 2,   /* how long a stopped worker may take to say so */
};

struct oneshot {
    const struct options *opt;
    struct catalog_model model;
    struct record *record;
    struct worker *worker;
    struct sampling sampling;
    struct tokens ids;  /* of --tokens */
    struct buf input;   /* standard input */
    struct buf message; /* as it was asked */
    struct answer answer;
    double load_s;
    double deadline; /* clock_seconds(); 0: none */
    bool is_loaded;
    bool is_asked;   /* the worker owes an answer */
    bool is_stopped; /* early: why says how the program ends */
    enum stop_reason reason;
    struct err why;
    struct report done; /* of the turn, or zeroed with the reason of the stop */
    bool has_done;
};

/* ---- waiting ---- */

enum event {
    EVENT_REPORT = 1 << 0,
    EVENT_INPUT = 1 << 1,
    EVENT_NOTICE = 1 << 2, /* the time asked for has passed */
};

/* Ends the answer early. The first reason counts. */
static void stop(struct oneshot *o, enum stop_reason reason, const struct err *why)
{
    if (o->is_stopped)
        return;
    o->is_stopped = true;
    o->reason = reason;
    o->why = *why;
    o->deadline = clock_seconds() + STOP_GRACE_S;
    worker_cancel(o->worker, reason);
}

static void stop_by_signal(struct oneshot *o)
{
    struct err why;

    err_set(&why, ERR_CANCELLED, "ended by a signal");
    why.code = 128 + interrupt_signal();
    stop(o, STOP_INTERRUPT, &why);
}

static void stop_by_timeout(struct oneshot *o)
{
    struct err why;

    err_set(&why, ERR_TIMEOUT, "timeout: the answer was not complete after %g s",
            o->opt->timeout_s);
    stop(o, STOP_TIMEOUT, &why);
}

static void stop_without_reader(struct oneshot *o)
{
    struct err why;

    output_set_reader_gone(&why);
    stop(o, STOP_INTERRUPT, &why);
}

/* Milliseconds for poll until the earlier of two times (0: none); -1: for ever. */
static int wait_ms(double a, double b)
{
    double until = a == 0 || (b != 0 && b < a) ? b : a;
    double ms;

    if (until == 0)
        return -1;
    ms = (until - clock_seconds()) * 1000 + 1;
    return ms < 0 ? 0 : ms > 1e6 ? 1000000 : (int)ms;
}

/* Waits for events; notices and carries out stops by itself. notice_at: a time to come
 * back at, or 0. Returns what happened; 0 means ask again, or that the grace is over.
 */
static unsigned wait_event(struct oneshot *o, bool wants_input, double notice_at)
{
    struct pollfd p[] = {
        {.fd = worker_fd(o->worker), .events = POLLIN},
        {.fd = o->is_stopped ? -1 : interrupt_fd(), .events = POLLIN},
        {.fd = o->is_stopped ? -1 : STDOUT_FILENO},
        {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
    };
    unsigned events = 0;

    if (poll(p, 4, wait_ms(o->deadline, notice_at)) < 0)
        return 0;
    if (p[1].revents != 0)
        stop_by_signal(o);
    else if ((p[2].revents & POLLERR) != 0)
        stop_without_reader(o);
    else if (!o->is_stopped && o->deadline != 0 && clock_seconds() >= o->deadline)
        stop_by_timeout(o);
    if (p[0].revents != 0)
        events |= EVENT_REPORT;
    if (p[3].revents != 0)
        events |= EVENT_INPUT;
    if (notice_at != 0 && clock_seconds() >= notice_at)
        events |= EVENT_NOTICE;
    return events;
}

/* ---- reports ---- */

static struct answer_facts facts_of(const struct oneshot *o)
{
    return (struct answer_facts){.model = o->model.name,
                                 .session = record_session(o->record),
                                 .load_s = o->load_s,
                                 .seed = o->sampling.seed,
                                 .done = &o->done};
}

static void tell_model(const struct oneshot *o, const struct report *r)
{
    const struct engine_info *info = r->info;

    output_note("model %s (%s, %s, %s), chat format %s%s, context %d tokens, %s %s, %d "
                "threads, loaded in %.2f s",
                o->model.name, info->name, info->architecture, info->type,
                info->chat_format, info->chat_format_guessed ? " (guessed)" : "",
                r->ctx_size, info->backend, info->kernels, info->n_threads, r->load_s);
}

static void tell_end(const struct oneshot *o)
{
    const struct report *d = &o->done;

    output_note("%d prompt tokens (%d cached) in %.2f s, %d tokens in %.2f s (%.1f a "
                "second), %s, seed %llu",
                d->prompt_tokens, d->cached_tokens, d->prefill_s, d->completion_tokens,
                d->decode_s, (double)d->tokens_per_s, stop_reason_name(d->stop_reason),
                (unsigned long long)o->sampling.seed);
}

static void take_ready(struct oneshot *o, const struct report *r)
{
    enum chat_format format;

    o->is_loaded = true;
    o->load_s = r->load_s;
    if (o->opt->verbose)
        tell_model(o, r);
    if (o->opt->think != THINK_DEFAULT && !o->opt->quiet && !o->opt->raw &&
        chat_format_find(r->info->chat_format, &format) &&
        !chat_can_switch_thinking(format))
        output_note("warning: the chat format %s has no switch for thinking",
                    r->info->chat_format);
}

static bool take_start(struct oneshot *o, const struct report *r, struct err *err)
{
    struct answer_facts facts;

    record_begin(o->record);
    facts = facts_of(o);
    return answer_start(&o->answer, &facts, r->prompt_tokens, err);
}

static bool take_text(struct oneshot *o, const struct report *r, struct err *err)
{
    enum chat_part part =
        r->kind == REPORT_THINKING ? CHAT_PART_THINKING : CHAT_PART_TEXT;
    bool ok = answer_add(&o->answer, part, r->text, r->len, err);

    record_grow(o->record, r);
    return ok;
}

/* Takes one report. False when it tells of a failure, or cannot be shown. */
static bool take_report(struct oneshot *o, struct report *r, struct err *err)
{
    switch (r->kind) {
    case REPORT_READY:
        take_ready(o, r);
        return true;
    case REPORT_START:
        return take_start(o, r, err);
    case REPORT_PREFILL:
        return answer_prefill(&o->answer, r->done, r->total, err);
    case REPORT_THINKING:
    case REPORT_TEXT:
        return take_text(o, r, err);
    case REPORT_DONE:
    case REPORT_FAILED:
        break;
    }
    o->has_done = true;
    o->done = *r;
    memset(&r->ids, 0, sizeof(r->ids)); /* changed hands */
    if (r->kind == REPORT_DONE)
        return true;
    *err = r->err;
    return false;
}

/* Takes the reports that wait. Where standard output fails the worker is stopped, and
 * what it still sends is only kept. */
static bool take_reports(struct oneshot *o, struct err *err)
{
    struct report r;
    bool ok = true;

    while (ok && !o->has_done && worker_take_report(o->worker, &r)) {
        ok = take_report(o, &r, err);
        if (!ok && r.kind != REPORT_FAILED) {
            stop(o, STOP_INTERRUPT, err);
            ok = true;
        }
        report_release(&r);
    }
    return ok;
}

/* ---- the steps ---- */

static bool check_options(const struct options *opt, struct err *err)
{
    if (opt->json && opt->stream_json)
        return err_set(err, ERR_USAGE, "--json: not together with --stream-json");
    if (opt->go_on && opt->session != NULL)
        return err_set(err, ERR_USAGE, "--continue: not together with --session");
    if (opt->raw && (opt->go_on || opt->session != NULL || opt->system != NULL))
        return err_set(err, ERR_USAGE,
                       "--raw: has no session to go on with and no system prompt");
    if (opt->tokens != NULL && !opt->raw)
        return err_set(err, ERR_USAGE, "--tokens: needs --raw");
    if (opt->tokens != NULL && (opt->words.n > 0 || opt->files.n > 0))
        return err_set(err, ERR_USAGE, "--tokens: takes the place of PROMPT and files");
    for (size_t i = 0; i < opt->stop.n; i++)
        if (opt->stop.item[i][0] == '\0')
            return err_set(err, ERR_USAGE, "--stop: the text is empty");
    return true;
}

/* What can be refused before anything is read or loaded. */
static bool check_question(const struct oneshot *o, struct err *err)
{
    const struct options *opt = o->opt;

    if (opt->tokens != NULL || opt->files.n > 0 || prompt_wants_stdin(opt))
        return true;
    for (size_t i = 0; i < opt->words.n; i++)
        if (opt->words.item[i][0] != '\0')
            return true;
    return err_set(err, ERR_USAGE,
                   "nothing to ask: give a PROMPT, or text on standard input");
}

static bool prepare(struct oneshot *o, struct err *err)
{
    const struct options *opt = o->opt;
    struct engine_options engine;
    struct session_options session = model_session_options(opt);

    if (!check_options(opt, err) || !check_question(o, err))
        return false;
    if (opt->tokens != NULL &&
        !prompt_parse_ids(opt->tokens, strlen(opt->tokens), "--tokens", &o->ids, err))
        return false;
    if (!catalog_resolve(opt, &o->model, err))
        return false;
    o->record = record_open(opt, o->model.name, err);
    if (o->record == NULL || !interrupt_watch(err))
        return false;
    interrupt_guard_model(o->model.path, NULL);
    engine = model_engine_options(opt, o->model.path);
    o->worker = worker_start(&engine, &session, err);
    return o->worker != NULL;
}

/* One read of standard input; *at_end at its end. */
static bool read_some(struct oneshot *o, bool *at_end, struct err *err)
{
    char chunk[65536];
    ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

    *at_end = n == 0;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot read standard input");
    if (!buf_add(&o->input, chunk, (size_t)n))
        return err_set(err, ERR_CONTEXT,
                       "standard input has more than %d bytes: no context holds that",
                       PROMPT_MAX_BYTES);
    return true;
}

/* Reads standard input to its end, or until something stops it. */
static bool read_input(struct oneshot *o, struct err *err)
{
    double notice_at = 0;
    bool at_end = o->opt->tokens != NULL || !prompt_wants_stdin(o->opt);

    if (!o->opt->quiet && !isatty(STDIN_FILENO))
        notice_at = clock_seconds() + STDIN_NOTICE_S;
    while (!at_end && !o->is_stopped) {
        unsigned events = wait_event(o, true, notice_at);

        if ((events & EVENT_INPUT) != 0) {
            notice_at = 0;
            if (!read_some(o, &at_end, err))
                return false;
        }
        if ((events & EVENT_REPORT) != 0 && !take_reports(o, err))
            return false;
        if ((events & EVENT_NOTICE) != 0 && notice_at != 0) {
            output_note("waiting for the end of standard input");
            notice_at = 0;
        }
    }
    return true;
}

static bool ask(struct oneshot *o, struct err *err)
{
    const struct options *opt = o->opt;
    struct ask ask = {.turn = 1,
                      .think = (enum think_mode)opt->think,
                      .sampling = o->sampling,
                      .max_tokens = opt->max_tokens,
                      .stop = opt->stop.item,
                      .n_stop = opt->stop.n};

    if (!prompt_compose(opt, &o->input, &o->message, err))
        return false;
    buf_release(&o->input);
    if (opt->tokens == NULL && o->message.len == 0)
        return err_set(err, ERR_USAGE, "nothing to ask: standard input is empty");
    if (opt->tokens != NULL) {
        record_ask(o->record, opt->tokens, strlen(opt->tokens));
        ask.token = o->ids.id;
        ask.n_token = o->ids.len;
    } else {
        record_ask(o->record, o->message.data, o->message.len);
    }
    if (opt->raw && opt->tokens == NULL) {
        ask.raw = o->message.data;
        ask.raw_len = o->message.len;
    } else if (!opt->raw) {
        ask.msg = record_messages(o->record, &ask.n_msg);
    }
    worker_ask(o->worker, &ask);
    o->is_asked = true;
    return true;
}

/* Waits for the turn's end; where it was stopped, only so long. */
static bool await_answer(struct oneshot *o, struct err *err)
{
    while (!o->has_done) {
        bool is_slow = o->is_stopped && clock_seconds() >= o->deadline;

        if (is_slow || (o->is_stopped && !(o->is_loaded && o->is_asked)))
            break;
        wait_event(o, false, 0);
        if (!take_reports(o, err))
            return false;
    }
    return true;
}

/* Stores and shows the end of the answer. */
static bool conclude(struct oneshot *o, struct err *err)
{
    struct answer_facts facts;
    bool is_shown = true;

    if (!o->has_done || o->is_stopped)
        o->done.stop_reason = o->reason;
    if (!o->has_done)
        o->done.sampling = o->sampling;
    record_finish(o->record, &o->done);
    facts = facts_of(o);
    if (!o->is_stopped || o->why.kind != ERR_IO)
        is_shown = answer_end(&o->answer, &facts, err);
    if (o->opt->verbose)
        tell_end(o);
    if (o->is_stopped) {
        *err = o->why;
        return false;
    }
    return is_shown;
}

/* The turn failed: what came stays, with the reason that fits best. */
static void break_off(struct oneshot *o)
{
    answer_break_off(&o->answer);
    o->done.stop_reason = STOP_INTERRUPT;
    if (!o->has_done)
        o->done.sampling = o->sampling;
    if (o->record != NULL)
        record_finish(o->record, &o->done);
}

static void release(struct oneshot *o)
{
    /* A worker that does not answer is not waited for. */
    if (o->has_done || (o->is_loaded && !o->is_stopped))
        worker_stop(o->worker);
    else
        worker_abandon(o->worker);
    record_close(o->record);
    catalog_model_release(&o->model);
    answer_release(&o->answer);
    tokens_release(&o->ids);
    tokens_release(&o->done.ids);
    buf_release(&o->input);
    buf_release(&o->message);
}

bool cmd_run(const struct options *opt, struct err *err)
{
    struct oneshot o = {.opt = opt, .sampling = model_sampling(opt)};
    bool ok;

    buf_init(&o.input, PROMPT_MAX_BYTES);
    buf_init(&o.message, (size_t)4 * PROMPT_MAX_BYTES); /* repair may make it longer */
    answer_init(&o.answer, opt);
    if (opt->timeout_s > 0)
        o.deadline = opt->started_at + opt->timeout_s;
    ok = prepare(&o, err) && read_input(&o, err) && (o.is_stopped || ask(&o, err)) &&
         await_answer(&o, err);
    if (ok)
        ok = conclude(&o, err);
    else
        break_off(&o);
    release(&o);
    return ok;
}
