/* SPDX-License-Identifier: MIT
 *
 * The interactive program: see app.h. This thread alone owns the terminal, the history
 * and the signals; the model lives in the worker's thread.
 */
#include "config.h"

#include "src/app.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "src/app_priv.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/output.h"
#include "src/signals.h"

enum {
    FRAME_MS = 16,    /* at most one frame in this time */
    SAVE_MS = 1000,   /* the growing answer is written this often */
    PARTING_MS = 300, /* what a running turn gets to end in when the program ends */
    MAX_HITS = 200,
};

static const char welcome_built_in[] =
    "\n"
    "Welcome to hadal.\n"
    "\n"
    "hadal-mini is built in: a small model that answers questions about this program. "
    "It runs on this machine; nothing you write leaves it.\n"
    "\n"
    "Type a message and press Enter. F1 shows the keys, F2 your sessions, F3 searches "
    "them, ^D leaves.\n"
    "\n"
    "For a larger model: /pull ORG/REPO fetches one while you go on here (look for "
    "DeepSeek GGUF on huggingface.co), F4 lists those on this machine.";

static const char welcome_other[] =
    "\n"
    "Type a message and press Enter. F1 shows the keys, F2 your sessions, F3 searches "
    "them, ^D leaves.";

/* --- saying -------------------------------------------------------------------------
 */

void app_show_error(struct app *app, const struct err *err)
{
    ui_notice(app->ui, UI_ERROR, 0, err->text);
}

/* The chat goes on without: one warning is enough. */
void app_show_history_error(struct app *app, const struct err *err)
{
    struct err shown = *err;

    if (app->history_failed)
        return;
    app->history_failed = true;
    err_wrap(&shown, "this is not saved");
    app_show_error(app, &shown);
}

void app_show_title(struct app *app)
{
    struct history_sessions list = {0};
    const char *id = conversation_id(app->talk);
    struct err err;

    if (app->history == NULL || *id == '\0') {
        ui_set_title(app->ui, NULL);
        return;
    }
    if (!history_get_session(app->history, id, &list, &err))
        return; /* a title is no reason to trouble anybody */
    ui_set_title(app->ui, list.n > 0 ? list.row[0].title : NULL);
    history_sessions_release(&list);
}

void app_show_welcome(struct app *app)
{
    ui_set_welcome(app->ui, strcmp(app->model.name, CATALOG_EMBEDDED) == 0
                                ? welcome_built_in
                                : welcome_other);
}

/* --- sessions -----------------------------------------------------------------------
 */

static void list_sessions(struct app *app)
{
    struct history_sessions list = {0};
    struct ui_session *row = NULL;
    struct err err;

    if (app->history == NULL)
        return;
    if (!history_list_sessions(app->history, 0, 0, &list, &err)) {
        app_show_error(app, &err);
        return;
    }
    if (list.n > 0)
        row = mem_array(list.n, sizeof(*row));
    for (size_t i = 0; i < list.n; i++)
        row[i] = (struct ui_session){
            .id = list.row[i].id,
            .title = list.row[i].title,
            .updated_ms = list.row[i].updated_ms,
            .n_messages = list.row[i].n_messages,
            .is_current = strcmp(list.row[i].id, conversation_id(app->talk)) == 0,
        };
    ui_set_sessions(app->ui, row, list.n);
    free(row);
    history_sessions_release(&list);
}

static void search(struct app *app, const char *text)
{
    struct history_query query = {.text = text, .limit = MAX_HITS};
    struct history_hits hits = {0};
    struct ui_hit *row = NULL;
    struct err err;

    if (app->history == NULL)
        return;
    if (!history_search(app->history, &query, &hits, &err)) {
        app_show_error(app, &err);
        return;
    }
    if (hits.n > 0)
        row = mem_array(hits.n, sizeof(*row));
    for (size_t i = 0; i < hits.n; i++)
        row[i] = (struct ui_hit){
            .session = hits.row[i].session_id,
            .title = hits.row[i].title,
            .message = hits.row[i].message_id,
            .time_ms = hits.row[i].time_ms,
            .role = hits.row[i].role,
            .snippet = hits.row[i].snippet,
            .mark = hits.row[i].mark,
            .mark_len = hits.row[i].mark_len,
        };
    ui_set_hits(app->ui, row, hits.n);
    free(row);
    history_hits_release(&hits);
}

static void open_session(struct app *app, const struct ui_intent *intent)
{
    const char *id = intent->text;
    struct err err;

    if (strcmp(id, conversation_id(app->talk)) != 0) {
        turn_drop_queue(app);
        if (!conversation_load(app->talk, app->history, id, &err)) {
            app_show_error(app, &err);
            return;
        }
        turn_show_past(app);
        app->status.ctx_used = -1; /* nobody has counted it yet */
        app->status.tokens_per_s = 0;
        ui_set_status(app->ui, &app->status);
    }
    app_show_title(app);
    transcript_to_end(ui_transcript(app->ui));
    if (intent->message != 0)
        transcript_show(ui_transcript(app->ui), intent->message, intent->found);
}

static void new_session(struct app *app)
{
    struct err err;

    turn_drop_queue(app);
    conversation_clear(app->talk);
    if (app->opt->system == NULL &&
        !conversation_set_system(
            app->talk, app->opt->system_default != NULL ? app->opt->system_default : "",
            &err))
        app_show_history_error(app, &err);
    transcript_clear(ui_transcript(app->ui));
    app->status.ctx_used = 0;
    app->status.tokens_per_s = 0;
    ui_set_status(app->ui, &app->status);
    app_show_title(app);
}

static void delete_session(struct app *app, const char *id)
{
    struct err err;

    if (app->history == NULL || app->opt->no_history)
        return;
    if (!history_delete_session(app->history, id, &err)) {
        app_show_error(app, &err);
        return;
    }
    if (strcmp(id, conversation_id(app->talk)) == 0)
        new_session(app);
    list_sessions(app);
}

/* --- intents ------------------------------------------------------------------------
 */

static void suspend(struct app *app)
{
    ui_suspend(app->ui);
    signals_stop();
    ui_resume(app->ui);
}

/* What waits for the end of the running turn. True: it has to wait. */
static bool put_off(struct app *app, struct ui_intent *intent)
{
    if (!app->is_busy)
        return false;
    ui_intent_release(&app->later);
    app->later = *intent;
    app->has_later = true;
    *intent = (struct ui_intent){.kind = UI_STOP};
    return true;
}

/* Leaving the conversation asks the running turn to end now. */
static bool stop_first(struct app *app, struct ui_intent *intent)
{
    turn_stop(app);
    return put_off(app, intent);
}

/* Another model waits until this one has spoken. */
static bool answer_first(struct app *app, struct ui_intent *intent)
{
    if (app->is_busy)
        ui_notice(app->ui, UI_NOTICE, 0,
                  "the model changes when this answer ends; Esc ends it now");
    return put_off(app, intent);
}

void app_do(struct app *app, struct ui_intent *intent)
{
    switch (intent->kind) {
    case UI_SUBMIT:
        if (!app_command(app, intent->text))
            turn_submit(app, intent->text);
        break;
    case UI_STOP:
        turn_stop(app);
        break;
    case UI_NEW_SESSION:
        if (!stop_first(app, intent))
            new_session(app);
        break;
    case UI_OPEN_SESSION:
        if (!stop_first(app, intent))
            open_session(app, intent);
        break;
    case UI_DELETE_SESSION:
        if (!stop_first(app, intent))
            delete_session(app, intent->text);
        break;
    case UI_USE_MODEL:
        if (!answer_first(app, intent))
            model_use(app, intent->text);
        break;
    case UI_LIST_MODELS:
        model_list(app);
        break;
    case UI_ACCEPT:
        pull_accept(app);
        break;
    case UI_DECLINE:
        pull_decline(app);
        break;
    case UI_STOP_DOWNLOAD:
        pull_stop(app);
        break;
    case UI_LIST_SESSIONS:
        list_sessions(app);
        break;
    case UI_SEARCH:
        search(app, intent->text);
        break;
    case UI_SUSPEND:
        suspend(app);
        break;
    case UI_QUIT:
        app->is_ending = true;
        break;
    }
    ui_intent_release(intent);
}

static void do_later(struct app *app)
{
    struct ui_intent intent = app->later;

    if (!app->has_later || app->is_busy)
        return;
    app->later = (struct ui_intent){.kind = UI_STOP};
    app->has_later = false;
    app_do(app, &intent);
}

/* --- the loop -----------------------------------------------------------------------
 */

static void end_by_signal(struct app *app, int number)
{
    err_set(&app->end, ERR_CANCELLED, "ended by signal %d", number);
    app->end.code = 128 + number;
    app->is_ending = true;
}

static void take_signals(struct app *app)
{
    int number;

    while ((number = signals_take()) != 0) {
        if (number == SIGWINCH)
            ui_redraw(app->ui);
        else if (number == SIGCONT)
            ui_resume(app->ui);
        else if (number == SIGTSTP)
            suspend(app);
        else
            end_by_signal(app, number);
    }
}

static void take_reports(struct app *app)
{
    struct report r = {0};

    while (app->worker != NULL && worker_take_report(app->worker, &r)) {
        turn_take_report(app, &r);
        report_release(&r);
    }
    if (!app->is_busy) {
        do_later(app);
        turn_send_next(app);
    }
}

static void take_intents(struct app *app)
{
    struct ui_intent intent;

    while (ui_take_intent(app->ui, &intent))
        app_do(app, &intent);
}

static int since_ms(double then)
{
    double ms = (clock_seconds() - then) * 1000;

    return ms > 1e6 ? 1000000 : (int)ms;
}

static int sooner(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

/* How long there is nothing to do unless something comes; -1: for ever. */
static int wait_ms(const struct app *app)
{
    int wait = ui_wait_ms(app->ui);
    int left;

    if (ui_is_dirty(app->ui)) {
        left = FRAME_MS - since_ms(app->drawn_at);
        wait = sooner(wait, left > 0 ? left : 0);
    }
    if (app->is_unsaved) {
        left = SAVE_MS - since_ms(app->saved_at);
        wait = sooner(wait, left > 0 ? left : 0);
    }
    return wait;
}

/* Waits for a key, a report, a signal, news of the download. False: that failed. */
static bool wait_for_something(const struct app *app)
{
    struct pollfd fd[] = {
        {.fd = ui_fd(app->ui), .events = POLLIN},
        {.fd = worker_fd(app->worker), .events = POLLIN},
        {.fd = signals_fd(), .events = POLLIN},
        {.fd = pull_fd(app), .events = POLLIN}, /* -1 is left out */
    };

    return poll(fd, sizeof(fd) / sizeof(fd[0]), wait_ms(app)) >= 0 || errno == EINTR;
}

static void loop(struct app *app)
{
    while (!app->is_ending) {
        if (ui_is_dirty(app->ui) && since_ms(app->drawn_at) >= FRAME_MS) {
            ui_draw(app->ui);
            app->drawn_at = clock_seconds();
        }
        if (!wait_for_something(app))
            break;
        take_signals(app);
        if (!ui_read(app->ui))
            end_by_signal(app, SIGHUP);
        take_intents(app);
        take_reports(app);
        pull_take_state(app);
        turn_save(app);
    }
}

/* --- beginning and end ---------------------------------------------------------------
 */

/* The session that was asked for by an option: here the history must be readable. */
static bool load_asked(struct app *app, struct err *err)
{
    char id[HISTORY_ID_CAP];

    if (!app->opt->go_on && app->opt->chat == NULL)
        return true;
    if (app->history == NULL) {
        *err = app->end; /* of opening it */
        return false;
    }
    if (app->opt->chat != NULL ? !history_resolve(app->history, app->opt->chat, id, err)
                               : !history_newest_session(app->history, id, err))
        return false;
    return conversation_load(app->talk, app->history, id, err);
}

/* Without a history the chat goes on; why it is missing stays in app->end for now. */
static void open_history(struct app *app)
{
    enum history_mode mode = app->opt->no_history ? HISTORY_READ : HISTORY_WRITE;
    char *path = path_history_db(&app->end);

    if (path != NULL)
        app->history = history_open(path, mode, &app->end);
    free(path);
}

static bool open_conversation(struct app *app, struct err *err)
{
    const char *system = app->opt->system;

    open_history(app);
    app->talk = conversation_open();
    if (!app->opt->no_history && !conversation_keep(app->talk, app->history, err))
        return false;
    conversation_set_model(app->talk, app->model.name);
    if (!load_asked(app, err))
        return false;
    if (system == NULL && conversation_past(app->talk)->n == 0)
        system = app->opt->system_default;
    if (system != NULL && !conversation_set_system(app->talk, system, err))
        return false;
    return true;
}

static bool open_screen(struct app *app, struct err *err)
{
    struct ui_options opt = {.theme = app->opt->colour == APP_MONO ? THEME_MONO
                                                                   : THEME_COLOUR};

    opt.command = app_commands(&opt.n_command);
    if (!signals_open(ui_restore_terminal, err))
        return false;
    mem_on_failure(ui_restore_terminal);
    app->ui = ui_open(&opt, err);
    if (app->ui == NULL)
        return false;
    app->status.state = UI_LOADING;
    turn_show_model(app, app->model.name);
    app_show_welcome(app);
    turn_show_past(app);
    app_show_title(app);
    if (app->history == NULL)
        app_show_history_error(app, &app->end);
    app->end.kind = ERR_NONE;
    return true;
}

/* The running turn gets a moment to end; then the answer is kept as it came. */
static void part(struct app *app)
{
    struct pollfd fd = {.events = POLLIN};
    double since = clock_seconds();
    struct err err;

    if (app->worker == NULL)
        return;
    fd.fd = worker_fd(app->worker);
    turn_drop_queue(app);
    turn_stop(app);
    while (app->is_busy && since_ms(since) < PARTING_MS) {
        poll(&fd, 1, PARTING_MS - since_ms(since));
        take_reports(app);
    }
    if (app->is_busy && !conversation_save_answer(app->talk, &err))
        app_show_history_error(app, &err);
    model_stop(app);
}

/* With the terminal given back: whoever looks at the shell again should know. */
static void end_download(struct app *app)
{
    char *name;

    if (pull_end(app, &name))
        output_note("the download of '%s' is not complete; what has come is kept, and "
                    "'hadal pull %s' goes on",
                    name, name);
    free(name);
}

static void release(struct app *app)
{
    ui_close(app->ui);
    mem_on_failure(NULL);
    signals_close(); /* from here on ^C ends the program at once */
    end_download(app);
    conversation_close(app->talk);
    history_close(app->history);
    for (size_t i = 0; i < app->n_queue; i++)
        free(app->queue[i]);
    free(app->queue);
    ui_intent_release(&app->later);
    free(app->question);
    catalog_model_release(&app->model);
    catalog_model_release(&app->model_before);
}

bool app_run(const struct app_options *opt, struct err *err)
{
    struct app app = {
        .opt = opt,
        .think = opt->think,
        .sampling = opt->sampling,
        .has_seed = opt->has_seed,
        .model = {.name = mem_dup(opt->model), .path = mem_dup(opt->engine.path)},
    };
    bool ok = false;

    if (!open_conversation(&app, err) || !open_screen(&app, err))
        goto done;
    if (!model_start(&app, err))
        goto done;
    loop(&app);
    part(&app);
    ok = app.end.kind == ERR_NONE;
    if (!ok)
        *err = app.end;
done:
    release(&app);
    return ok;
}
