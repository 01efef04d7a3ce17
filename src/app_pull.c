/* SPDX-License-Identifier: MIT
 *
 * A download beside the chat: one at a time, in the thread of puller.h; here is what
 * the panel says of it, and what Enter, Esc and /pull do about it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/app_priv.h"
#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/human.h"

enum { NOTICE_S = 5, TEXT_MAX_BYTES = 4096 };

/* ---- what the panel says ---- */

static bool is_cancelled(const struct puller_state *s)
{
    return s->phase == PULLER_FAILED && s->err.kind == ERR_CANCELLED;
}

static void add_bytes(struct buf *out, int64_t bytes)
{
    char text[32] = "?";

    if (bytes >= 0)
        human_bytes((size_t)bytes, text);
    buf_add_text(out, text);
}

static void add_file(struct buf *out, const struct puller_state *s)
{
    buf_add_text(out, s->file_name != NULL ? s->file_name : "");
    if (s->n_files > 1)
        buf_addf(out, ", file %zu of %zu", s->file + 1, s->n_files);
}

static bool fits_memory(const struct puller_state *s)
{
    return s->memory_need <= s->memory_free;
}

static void add_memory(struct buf *out, const struct puller_state *s)
{
    buf_add_text(out, "\nmemory: about ");
    add_bytes(out, (int64_t)s->memory_need);
    buf_add_text(out, " needed");
    if (s->memory_free == UINT64_MAX)
        return;
    buf_add_text(out, ", ");
    add_bytes(out, (int64_t)s->memory_free);
    buf_addf(out, " free: it %s", fits_memory(s) ? "fits" : "does not fit");
}

static void add_speed(struct buf *out, const struct puller_state *s)
{
    if (s->tokens_per_s <= 0)
        return;
    buf_addf(out, "\nspeed: about %.*f tokens/s at most", s->tokens_per_s < 10 ? 1 : 0,
             s->tokens_per_s);
    if (s->read_share < 1)
        buf_addf(out, " (a token reads %.0f%% of it)", 100 * s->read_share);
}

/* What is decided by, the most important first: a small screen shows no more. */
static void add_offer(struct buf *out, const struct puller_state *s)
{
    if (!s->has_gguf)
        buf_add_text(out, "no GGUF file is there, and the chat opens no other: look "
                          "for a repository with GGUF in its name\n");
    buf_add_text(out, s->file_name != NULL ? s->file_name : "");
    if (s->n_files > 1)
        buf_addf(out, " and %zu more", s->n_files - 1);
    buf_add_char(out, '\n');
    add_bytes(out, s->to_come_bytes);
    buf_add_text(out, " to come, ");
    add_bytes(out, s->disk_free_bytes);
    buf_add_text(out, " of disk free");
    add_memory(out, s);
    add_speed(out, s);
    if (s->why != NULL)
        buf_addf(out, "\nchosen: %s", s->why);
}

/* What came is of use here only as GGUF. */
static void add_done(struct buf *out, const struct app *app)
{
    if (app->pull.model != NULL)
        buf_addf(out, "it is here; later: /model %s", app->pull.model);
    else
        buf_addf(out, "it is here: %s", app->pull.state.path);
}

static void add_text(struct buf *out, const struct app *app)
{
    const struct puller_state *s = &app->pull.state;

    switch (s->phase) {
    case PULLER_ASKING:
        buf_add_text(out, "asking the hub what there is");
        break;
    case PULLER_OFFERING:
        add_offer(out, s);
        break;
    case PULLER_FETCHING:
        add_file(out, s);
        if (s->trouble != NULL)
            buf_addf(out, "\n%s; trying again", s->trouble);
        break;
    case PULLER_WAITING:
        add_file(out, s);
        buf_add_text(out, "\nanother program fetches it; waiting");
        break;
    case PULLER_DONE:
        add_done(out, app);
        break;
    case PULLER_FAILED:
        buf_add_text(out, is_cancelled(s) ? "stopped" : s->err.text);
        break;
    }
}

static const char *keys_of(const struct app *app)
{
    const struct puller_state *s = &app->pull.state;
    static const char *const keys[] = {
        [PULLER_ASKING] = "^X stops",
        [PULLER_OFFERING] = "Enter fetches it · Esc does not",
        [PULLER_FETCHING] = "^X stops; what has come is kept",
        [PULLER_WAITING] = "^X stops",
        [PULLER_DONE] = "Enter goes on with it · Esc closes",
        [PULLER_FAILED] = "Enter tries again · Esc closes",
    };

    if (s->phase == PULLER_FAILED && app->pull.is_agreed)
        return "Enter goes on; what has come is kept · Esc closes";
    if (s->phase == PULLER_DONE && app->pull.model == NULL)
        return "Esc closes";
    return keys[s->phase];
}

/* "46%  0:42 left  1.2 MB/s  46.1 MB of 98.1 MB" */
static void add_figures(struct buf *out, const struct puller_state *s, double rate)
{
    char left[32];

    buf_addf(out, "%d%%  ", (int)((double)s->done_bytes * 100 / (double)s->all_bytes));
    if (s->trouble == NULL && human_time_left(rate, s->all_bytes - s->done_bytes, left))
        buf_addf(out, "%s left  ", left);
    if (rate > 0) {
        add_bytes(out, (int64_t)rate);
        buf_add_text(out, "/s  ");
    }
    add_bytes(out, s->done_bytes);
    buf_add_text(out, " of ");
    add_bytes(out, s->all_bytes);
}

static void show(struct app *app)
{
    const struct puller_state *s = &app->pull.state;
    struct ui_panel panel = {.keys = keys_of(app)};
    struct buf title, text, figures;

    buf_init(&title, TEXT_MAX_BYTES);
    buf_init(&text, TEXT_MAX_BYTES);
    buf_init(&figures, TEXT_MAX_BYTES);
    buf_addf(&title, "download: %s", app->pull.name);
    panel.title = buf_text(&title);
    add_text(&text, app);
    panel.text = buf_text(&text);
    panel.asks = s->phase != PULLER_ASKING && s->phase != PULLER_FETCHING &&
                 s->phase != PULLER_WAITING;
    if ((s->phase == PULLER_FAILED && !is_cancelled(s)) ||
        (s->phase == PULLER_OFFERING && !(fits_memory(s) && s->has_gguf)))
        panel.kind = UI_ERROR;
    if (s->phase == PULLER_FETCHING && s->all_bytes > 0) {
        add_figures(&figures, s,
                    rate_note(&app->pull.rate, clock_seconds(), s->fetched_bytes));
        panel.figures = buf_text(&figures);
        panel.done = s->done_bytes;
        panel.total = s->all_bytes;
    }
    ui_set_panel(app->ui, &panel);
    buf_release(&figures);
    buf_release(&text);
    buf_release(&title);
}

/* ---- beginning and end ---- */

static void close_panel(struct app *app)
{
    free(app->pull.name);
    free(app->pull.model);
    puller_state_release(&app->pull.state);
    memset(&app->pull, 0, sizeof(app->pull));
    ui_set_panel(app->ui, NULL);
}

/* To be typed again. */
static void give_name_back(struct app *app, const struct err *err)
{
    struct buf command;

    buf_init(&command, TEXT_MAX_BYTES);
    buf_addf(&command, "/pull %s", app->pull.name);
    ui_set_draft(app->ui, buf_text(&command));
    buf_release(&command);
    app_show_error(app, err);
    close_panel(app);
}

void pull_begin(struct app *app, const char *name)
{
    char *copy = mem_dup(name);
    struct err err;

    if (app->pull.puller != NULL) {
        ui_notice(app->ui, UI_ERROR, 0,
                  "one download at a time: ^X or /pull cancel stops this one");
        free(copy);
        return;
    }
    close_panel(app);
    app->pull.name = copy;
    app->pull.puller = puller_start(copy, app->opt->engine.n_threads, &err);
    if (app->pull.puller != NULL)
        show(app);
    else
        give_name_back(app, &err);
}

/* What was agreed to once is not asked again. */
static void begin_again(struct app *app)
{
    char *name = mem_dup(app->pull.name);
    bool is_agreed = app->pull.is_agreed;

    pull_begin(app, name);
    app->pull.is_agreed = is_agreed;
    if (is_agreed && app->pull.puller != NULL)
        puller_go_on(app->pull.puller);
    free(name);
}

int pull_fd(const struct app *app)
{
    return app->pull.puller == NULL ? -1 : puller_fd(app->pull.puller);
}

/* The name of what has come as the list has it, so that it means the same later. A file
 * of another revision is not in the list: its path. NULL: nothing to chat with. */
static char *listed_name(const char *path)
{
    struct catalog_list list;
    char *name = NULL;

    catalog_list_all(&list);
    for (size_t i = 0; i < list.n && name == NULL; i++)
        if (strcmp(list.model[i].path, path) == 0)
            name = mem_dup(list.model[i].name);
    catalog_list_release(&list);
    if (name == NULL && text_ends_with_any_case(path, ".gguf"))
        name = mem_dup(path);
    return name;
}

void pull_take_state(struct app *app)
{
    struct puller_state *s = &app->pull.state;

    if (app->pull.puller == NULL || !puller_look(app->pull.puller, s))
        return;
    if (s->phase == PULLER_DONE || s->phase == PULLER_FAILED) {
        puller_stop(app->pull.puller);
        app->pull.puller = NULL;
    }
    if (s->phase == PULLER_DONE)
        app->pull.model = listed_name(s->path);
    if (is_cancelled(s) && !app->pull.is_agreed)
        close_panel(app); /* nothing came: nothing is left to say */
    else if (s->phase == PULLER_FAILED && s->err.kind == ERR_USAGE)
        give_name_back(app, &s->err);
    else
        show(app);
}

void pull_stop(struct app *app)
{
    if (app->pull.puller != NULL)
        puller_cancel(app->pull.puller);
    else
        ui_notice(app->ui, UI_NOTICE, NOTICE_S, "no download is running");
}

bool pull_end(struct app *app, char **name)
{
    bool is_left = app->pull.puller != NULL && app->pull.is_agreed;

    puller_stop(app->pull.puller);
    app->pull.puller = NULL;
    puller_state_release(&app->pull.state);
    free(app->pull.model);
    app->pull.model = NULL;
    *name = app->pull.name;
    app->pull.name = NULL;
    return is_left;
}

/* ---- what the panel asks ---- */

static void use_model(struct app *app)
{
    struct ui_intent intent = {.kind = UI_USE_MODEL, .text = app->pull.model};

    if (intent.text == NULL)
        return;
    app->pull.model = NULL;
    close_panel(app);
    app_do(app, &intent);
}

void pull_accept(struct app *app)
{
    if (app->pull.name == NULL)
        return;
    switch (app->pull.state.phase) {
    case PULLER_OFFERING:
        app->pull.is_agreed = true;
        puller_go_on(app->pull.puller);
        break;
    case PULLER_DONE:
        use_model(app);
        break;
    case PULLER_FAILED:
        begin_again(app);
        break;
    case PULLER_ASKING:
    case PULLER_FETCHING:
    case PULLER_WAITING:
        break;
    }
}

void pull_decline(struct app *app)
{
    if (app->pull.puller != NULL)
        puller_cancel(app->pull.puller);
    else
        close_panel(app);
}
