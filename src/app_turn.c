/* SPDX-License-Identifier: MIT
 *
 * Turns of the chat: a message goes to the history, the screen and the inference
 * thread; its answer comes back by reports, to the same three. See app.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/app_priv.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/path.h"

/* --- asking -------------------------------------------------------------------------
 */

static void show_queue(struct app *app)
{
    ui_set_queue(app->ui, app->n_queue, app->n_queue > 0 ? app->queue[0] : NULL);
}

void turn_submit(struct app *app, const char *text)
{
    app->queue =
        mem_grow(app->queue, &app->queue_cap, app->n_queue + 1, sizeof(*app->queue));
    app->queue[app->n_queue++] = mem_dup(text);
    turn_send_next(app);
    show_queue(app);
}

static void ask(struct app *app)
{
    struct ask what = {
        .turn = ++app->turn,
        .think = app->think,
        .sampling = app->sampling,
        .max_tokens = app->opt->max_tokens,
        .stop = app->opt->stop,
        .n_stop = app->opt->n_stop,
    };

    if (!app->has_seed)
        what.sampling.seed = sampler_draw_seed();
    what.msg = conversation_messages(app->talk, &what.n_msg);
    worker_ask(app->worker, &what);
}

static void send(struct app *app, const char *text)
{
    struct transcript *t = ui_transcript(app->ui);
    int64_t now = clock_utc_ms();
    int64_t id;
    struct err err;

    if (!conversation_add_user(app->talk, text, strlen(text), &id, &err))
        app_show_history_error(app, &err);
    transcript_begin(t, ROLE_USER, now, id);
    transcript_add_text(t, text, strlen(text));
    ask(app);
    if (!conversation_begin_answer(app->talk, &id, &err))
        app_show_history_error(app, &err);
    transcript_begin(t, ROLE_ASSISTANT, now, id);
    app_show_title(app);
    free(app->question);
    app->question = mem_dup(text);
    app->is_busy = true;
    app->has_text = false;
    app->thinking_since = 0;
    app->is_unsaved = false;
    app->saved_at = clock_seconds();
    app->status.state = UI_PREFILL;
    app->status.done = 0;
    app->status.total = 0;
    app->status.n_tokens = 0;
    ui_set_status(app->ui, &app->status);
}

void turn_send_next(struct app *app)
{
    char *text;

    if (!app->is_loaded || app->is_busy || app->n_queue == 0)
        return;
    text = app->queue[0];
    app->n_queue--;
    memmove(app->queue, app->queue + 1, app->n_queue * sizeof(*app->queue));
    send(app, text);
    free(text);
    show_queue(app);
}

void turn_drop_queue(struct app *app)
{
    if (app->n_queue > 0)
        ui_set_draft(app->ui, app->queue[0]);
    while (app->n_queue > 0)
        free(app->queue[--app->n_queue]);
    show_queue(app);
}

void turn_stop(struct app *app)
{
    if (app->is_busy)
        worker_cancel(app->worker, STOP_INTERRUPT);
}

/* --- reports ------------------------------------------------------------------------
 */

/* A file's path is too long for the status line: its last part says most. */
static const char *short_name(const char *model)
{
    return strchr("/.~", model[0]) != NULL ? path_base_name(model) : model;
}

void turn_show_model(struct app *app, const char *model)
{
    app->status.model = short_name(model);
    ui_set_status(app->ui, &app->status);
}

static void take_ready(struct app *app, const struct report *r)
{
    const struct engine_info *info = r->info;

    app->is_loaded = true;
    snprintf(app->device, sizeof(app->device), "%s, %d thread%s", info->backend,
             info->n_threads, info->n_threads == 1 ? "" : "s");
    app->status.device = app->device;
    app->status.state = UI_READY;
    app->status.ctx_size = r->ctx_size;
    ui_set_status(app->ui, &app->status);
    model_is_ready(app);
    turn_send_next(app);
}

static void take_figures(struct app *app, const struct report *r)
{
    struct ui_status *s = &app->status;

    if (r->ctx_used > 0)
        s->ctx_used = r->ctx_used;
    if (r->ctx_size > 0)
        s->ctx_size = r->ctx_size;
    if (r->tokens_per_s > 0)
        s->tokens_per_s = r->tokens_per_s;
    if (r->completion_tokens > 0)
        s->n_tokens = r->completion_tokens;
    else if (r->ctx_used > s->total)
        s->n_tokens = r->ctx_used - s->total;
}

/* The first word of the answer ends the thinking. */
static void end_thinking(struct app *app)
{
    if (app->thinking_since > 0)
        transcript_set_thought(ui_transcript(app->ui),
                               clock_seconds() - app->thinking_since,
                               app->status.n_tokens);
    app->thinking_since = 0;
}

static void take_text(struct app *app, const struct report *r)
{
    struct transcript *t = ui_transcript(app->ui);

    take_figures(app, r);
    app->status.state = UI_ANSWERING;
    if (r->kind == REPORT_THINKING) {
        if (app->thinking_since == 0)
            app->thinking_since = clock_seconds();
        transcript_add_thinking(t, r->text, r->len);
    } else {
        end_thinking(app);
        app->has_text = true;
        transcript_add_text(t, r->text, r->len);
    }
    conversation_grow_answer(app->talk, r->kind, r->text, r->len);
    app->is_unsaved = true;
}

static const char *remark(const char *stop_reason)
{
    static const char *const table[][2] = {
        {"interrupt", "stopped"},
        {"length", "cut off: the limit of tokens, or of the context, is reached"},
        {"timeout", "stopped: time is over"},
    };

    for (size_t i = 0; stop_reason != NULL && i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(stop_reason, table[i][0]) == 0)
            return table[i][1];
    return NULL;
}

static void end_turn(struct app *app, const struct report *r)
{
    struct err err;

    end_thinking(app);
    take_figures(app, r);
    if (!conversation_finish_answer(app->talk, r, &err))
        app_show_history_error(app, &err);
    app->is_busy = false;
    app->is_unsaved = false;
    app->status.state = UI_READY;
}

static void take_done(struct app *app, const struct report *r)
{
    const char *note = remark(stop_reason_name(r->stop_reason));

    end_turn(app, r);
    if (note == NULL && !app->has_text)
        note = "the model had nothing to say";
    transcript_set_note(ui_transcript(app->ui), note, STYLE_NOTICE);
}

/* What the model could not read is given back to be changed. */
static void take_failure(struct app *app, const struct report *r)
{
    struct err err = r->err;

    end_turn(app, r);
    transcript_set_note(ui_transcript(app->ui), "no answer", STYLE_ERROR);
    if (err.kind == ERR_CONTEXT) {
        conversation_drop_question(app->talk);
        ui_set_draft(app->ui, app->question);
        snprintf(err.text, sizeof(err.text),
                 "%.600s; shorten the message, or /new begins a new session",
                 r->err.text);
    }
    app_show_error(app, &err);
}

void turn_take_report(struct app *app, struct report *r)
{
    if (r->kind == REPORT_READY) {
        take_ready(app, r);
        return;
    }
    if (r->turn == 0 && r->kind == REPORT_FAILED) {
        if (model_give_back(app, &r->err))
            return;
        app->end = r->err; /* of loading: there is nothing to talk to */
        app->is_ending = true;
        return;
    }
    if (r->turn != app->turn || !app->is_busy)
        return;
    switch (r->kind) {
    case REPORT_START:
        app->status.total = r->prompt_tokens;
        break;
    case REPORT_PREFILL:
        app->status.done = r->done;
        app->status.total = r->total;
        break;
    case REPORT_THINKING:
    case REPORT_TEXT:
        take_text(app, r);
        break;
    case REPORT_DONE:
        take_done(app, r);
        break;
    case REPORT_FAILED:
        take_failure(app, r);
        break;
    case REPORT_READY:
        break;
    }
    ui_set_status(app->ui, &app->status);
}

void turn_save(struct app *app)
{
    double now = clock_seconds();
    struct err err;

    if (!app->is_unsaved || now - app->saved_at < 1)
        return;
    app->saved_at = now;
    app->is_unsaved = false;
    if (!conversation_save_answer(app->talk, &err))
        app_show_history_error(app, &err);
}

/* --- what was said before ------------------------------------------------------------
 */

void turn_show_past(struct app *app)
{
    struct transcript *t = ui_transcript(app->ui);
    const struct history_messages *past = conversation_past(app->talk);

    transcript_clear(t);
    for (size_t i = 0; i < past->n; i++) {
        const struct history_message *m = &past->row[i];

        transcript_begin(t, m->role, m->time_ms, m->id);
        if (m->thinking != NULL)
            transcript_add_thinking(t, m->thinking, m->thinking_len);
        transcript_add_text(t, m->text, m->len);
        transcript_set_note(t, remark(m->stop_reason), STYLE_NOTICE);
    }
}
