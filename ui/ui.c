/* SPDX-License-Identifier: MIT
 *
 * The face of the screen: from bytes to actions, from actions to the view on top, and
 * from the views to one canvas. See ui.h.
 */
#include "config.h"

#include "ui/ui.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "src/base/utf8.h"
#include "ui/keymap.h"
#include "ui/term.h"
#include "ui/ui_priv.h"

enum {
    ESC_WAIT_MS = 25,  /* an ESC alone is a key after this time */
    BESIDE_COLS = 100, /* from this width on the list stands beside the chat */
    BESIDE_WIDTH = 34,
    BAR_ROWS = 8, /* from this height on there are a bar and a line of keys */
    MAX_LINE_BYTES = 8192,
};

static const struct view_ops *const places[] = {
    [UI_PLACE_CHAT] = &chat_view,     [UI_PLACE_SESSIONS] = &sessions_view,
    [UI_PLACE_SEARCH] = &search_view, [UI_PLACE_MODELS] = &models_view,
    [UI_PLACE_HELP] = &help_view,
};

/* --- life ---------------------------------------------------------------------------
 */

struct ui *ui_create(const struct ui_options *opt)
{
    struct ui *ui = mem_zalloc(sizeof(*ui));

    ui->opt = *opt;
    canvas_init(&ui->canvas);
    canvas_resize(&ui->canvas, 1, 1);
    input_init(&ui->input);
    editor_init(&ui->editor);
    picker_init(&ui->sessions_picker);
    picker_init(&ui->search_picker);
    picker_init(&ui->models_picker);
    ui->transcript = transcript_open();
    ui->view = &chat_view;
    ui->is_dirty = true;
    return ui;
}

struct ui *ui_open(const struct ui_options *opt, struct err *err)
{
    struct terminal *term = term_open(opt->theme, err);
    struct ui *ui;

    if (term == NULL)
        return NULL;
    ui = ui_create(opt);
    ui->term = term;
    return ui;
}

void ui_close(struct ui *ui)
{
    if (ui == NULL)
        return;
    term_close(ui->term);
    transcript_close(ui->transcript);
    sessions_clear(ui);
    search_clear(ui);
    models_clear(ui);
    panel_clear(&ui->panel);
    picker_release(&ui->sessions_picker);
    picker_release(&ui->search_picker);
    picker_release(&ui->models_picker);
    editor_release(&ui->editor);
    input_release(&ui->input);
    canvas_release(&ui->canvas);
    for (size_t i = 0; i < ui->n_intent; i++)
        ui_intent_release(&ui->intent[i]);
    free(ui->doomed);
    free(ui->model);
    free(ui->device);
    free(ui->title);
    free(ui->welcome);
    free(ui->notice.text);
    free(ui->queued);
    free(ui);
}

/* --- intents ------------------------------------------------------------------------
 */

static void add_intent(struct ui *ui, struct ui_intent intent)
{
    if (ui->n_intent < MAX_INTENTS) {
        ui->intent[ui->n_intent++] = intent;
        return;
    }
    free(intent.text);
    free(intent.found);
}

void ui_ask(struct ui *ui, enum ui_intent_kind kind, const char *text)
{
    add_intent(ui, (struct ui_intent){.kind = kind,
                                      .text = text == NULL ? NULL : mem_dup(text)});
}

void ui_ask_open(struct ui *ui, const char *session, int64_t message, const char *found)
{
    add_intent(ui, (struct ui_intent){.kind = UI_OPEN_SESSION,
                                      .text = mem_dup(session),
                                      .message = message,
                                      .found = found == NULL ? NULL : mem_dup(found)});
}

void ui_intent_release(struct ui_intent *intent)
{
    free(intent->text);
    free(intent->found);
    memset(intent, 0, sizeof(*intent));
}

bool ui_take_intent(struct ui *ui, struct ui_intent *out)
{
    if (ui->n_intent == 0)
        return false;
    *out = ui->intent[0];
    ui->n_intent--;
    memmove(ui->intent, ui->intent + 1, ui->n_intent * sizeof(*ui->intent));
    return true;
}

bool ui_is_busy(const struct ui *ui)
{
    return ui->status.state == UI_PREFILL || ui->status.state == UI_ANSWERING;
}

void ui_go(struct ui *ui, enum ui_place place, const char *query)
{
    ui->view = places[place];
    ui->is_dirty = true;
    if (ui->view->opened != NULL)
        ui->view->opened(ui, query);
}

/* --- keys ---------------------------------------------------------------------------
 */

bool ui_edit(struct editor *e, enum action action, int width)
{
    static const struct {
        enum action action;
        enum editor_move move;
        bool deletes;
    } table[] = {
        {ACTION_LEFT, EDITOR_LEFT, false},
        {ACTION_RIGHT, EDITOR_RIGHT, false},
        {ACTION_WORD_LEFT, EDITOR_WORD_LEFT, false},
        {ACTION_WORD_RIGHT, EDITOR_WORD_RIGHT, false},
        {ACTION_LINE_START, EDITOR_LINE_START, false},
        {ACTION_LINE_END, EDITOR_LINE_END, false},
        {ACTION_DELETE_LEFT, EDITOR_LEFT, true},
        {ACTION_DELETE_RIGHT, EDITOR_RIGHT, true},
        {ACTION_DELETE_WORD, EDITOR_WORD_LEFT, true},
        {ACTION_DELETE_TO_START, EDITOR_LINE_START, true},
        {ACTION_DELETE_TO_END, EDITOR_LINE_END, true},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].action != action)
            continue;
        if (table[i].deletes)
            editor_delete(e, table[i].move);
        else
            editor_move(e, table[i].move);
        return true;
    }
    if (action == ACTION_YANK)
        editor_yank(e);
    else if (action == ACTION_UP || action == ACTION_DOWN)
        return editor_move_row(e, width, action == ACTION_UP ? -1 : 1);
    else
        return false;
    return true;
}

/* ^C: stops, or clears, or (twice) quits. */
static void interrupt(struct ui *ui)
{
    int64_t now = clock_utc_ms();

    if (ui_is_busy(ui)) {
        ui_ask(ui, UI_STOP, NULL);
    } else if (!editor_is_empty(&ui->editor)) {
        editor_set(&ui->editor, "");
    } else if (now < ui->quit_until_ms) {
        ui_ask(ui, UI_QUIT, NULL);
    } else {
        ui->quit_until_ms = now + 2000;
        ui_notice(ui, UI_NOTICE, 2, "press ^C again to quit");
    }
}

static void go_or_return(struct ui *ui, enum ui_place place)
{
    ui_go(ui, ui->view == places[place] ? UI_PLACE_CHAT : place, NULL);
}

/* What means the same wherever one is. False: nothing. */
static bool act_anywhere(struct ui *ui, enum action action)
{
    switch (action) {
    case ACTION_INTERRUPT:
        if (ui->view != &chat_view && !ui_is_busy(ui))
            ui_go(ui, UI_PLACE_CHAT, NULL);
        else
            interrupt(ui);
        return true;
    case ACTION_CANCEL:
        if (ui->view != &chat_view)
            ui_go(ui, UI_PLACE_CHAT, NULL);
        else if (ui_is_busy(ui))
            ui_ask(ui, UI_STOP, NULL);
        else if (ui->panel.asks)
            ui_ask(ui, UI_DECLINE, NULL);
        else
            ui_notice(ui, UI_NOTICE, 0, NULL);
        return true;
    case ACTION_HELP:
        go_or_return(ui, UI_PLACE_HELP);
        return true;
    case ACTION_SESSIONS:
        go_or_return(ui, UI_PLACE_SESSIONS);
        return true;
    case ACTION_SEARCH:
        go_or_return(ui, UI_PLACE_SEARCH);
        return true;
    case ACTION_MODELS:
        go_or_return(ui, UI_PLACE_MODELS);
        return true;
    case ACTION_STOP_DOWNLOAD:
        ui_ask(ui, UI_STOP_DOWNLOAD, NULL);
        return true;
    case ACTION_NEW_SESSION:
        ui_go(ui, UI_PLACE_CHAT, NULL);
        ui_ask(ui, UI_NEW_SESSION, NULL);
        return true;
    case ACTION_REDRAW:
        ui_redraw(ui);
        return true;
    case ACTION_SUSPEND:
        ui_ask(ui, UI_SUSPEND, NULL);
        return true;
    default:
        return false;
    }
}

static void act(struct ui *ui, enum action action)
{
    if (!ui->view->act(ui, action))
        act_anywhere(ui, action);
    if (action != ACTION_INTERRUPT)
        ui->quit_until_ms = 0;
}

/* A character to type. With Alt, which means nothing with this character, it was ESC
 * and then the character, faster than anybody can tell. */
static void type(struct ui *ui, const struct key *key)
{
    char text[4];

    if (key->mods & INPUT_CTRL)
        return;
    if (key->mods & INPUT_ALT)
        act(ui, ACTION_CANCEL);
    ui->view->typed(ui, text, utf8_encode(key->ch, text));
    ui->quit_until_ms = 0;
}

static void take_key(struct ui *ui, const struct key *key)
{
    enum action action = keymap_find(key);

    ui->is_dirty = true;
    if (key->kind == INPUT_CURSOR) {
        if (ui->term != NULL)
            term_set_probe(ui->term, (int)(key->ch >> 16), (int)(key->ch & 0xFFFF));
    } else if (key->kind == INPUT_PASTE) {
        const struct buf *pasted = input_pasted(&ui->input);

        ui->view->typed(ui, buf_text(pasted), pasted->len);
    } else if (action != ACTION_NONE) {
        act(ui, action);
    } else if (key->kind == INPUT_CHAR) {
        type(ui, key);
    }
}

static void take_keys(struct ui *ui)
{
    struct key key;

    while (input_take(&ui->input, &key))
        take_key(ui, &key);
}

void ui_feed(struct ui *ui, const char *bytes, size_t len)
{
    if (!input_feed(&ui->input, bytes, len))
        ui_notice(ui, UI_ERROR, 0, "too much was pasted at once; a part is missing");
    ui->input_at = clock_seconds();
    take_keys(ui);
}

static void expire(struct ui *ui)
{
    if (ui->notice.until_ms > 0 && clock_utc_ms() >= ui->notice.until_ms)
        ui_notice(ui, UI_NOTICE, 0, NULL);
}

static bool esc_is_due(const struct ui *ui)
{
    return input_is_waiting(&ui->input) &&
           (clock_seconds() - ui->input_at) * 1000 >= ESC_WAIT_MS;
}

bool ui_read(struct ui *ui)
{
    char bytes[4096];
    struct key key;
    int n;

    expire(ui);
    while ((n = term_read(ui->term, bytes, sizeof(bytes))) > 0) {
        ui_feed(ui, bytes, (size_t)n);
        if (n < (int)sizeof(bytes))
            break;
    }
    while (n <= 0 && esc_is_due(ui) && input_flush(&ui->input, &key)) {
        take_key(ui, &key);
        take_keys(ui);
    }
    return n >= 0;
}

int ui_wait_ms(const struct ui *ui)
{
    int64_t wait = -1;

    if (ui->notice.until_ms > 0)
        wait = ui->notice.until_ms - clock_utc_ms() + 1;
    if (input_is_waiting(&ui->input) && (wait < 0 || wait > ESC_WAIT_MS))
        wait = ESC_WAIT_MS;
    return wait < 0 && ui->notice.until_ms > 0 ? 0 : (int)wait;
}

int ui_fd(const struct ui *ui)
{
    return term_fd(ui->term);
}

/* --- what is shown ------------------------------------------------------------------
 */

char *ui_safe_line(const char *text)
{
    struct buf safe;
    char *line;

    if (text == NULL)
        return NULL;
    buf_init(&safe, MAX_LINE_BYTES);
    termtext_add_line(&safe, text, strlen(text)); /* a long line is cut */
    line = buf_take(&safe, NULL);
    return line;
}

static void set_line(char **line, const char *text)
{
    free(*line);
    *line = ui_safe_line(text);
}

struct transcript *ui_transcript(struct ui *ui)
{
    ui->is_dirty = true; /* whoever asks for it is about to change it */
    return ui->transcript;
}

void ui_set_status(struct ui *ui, const struct ui_status *status)
{
    ui->status = *status;
    set_line(&ui->model, status->model);
    set_line(&ui->device, status->device);
    ui->status.model = ui->model;
    ui->status.device = ui->device;
    ui->is_dirty = true;
}

void ui_set_title(struct ui *ui, const char *title)
{
    set_line(&ui->title, title);
    ui->is_dirty = true;
}

void ui_set_welcome(struct ui *ui, const char *text)
{
    struct buf safe;

    buf_init(&safe, MAX_LINE_BYTES);
    termtext_add(&safe, text, strlen(text));
    free(ui->welcome);
    ui->welcome = buf_take(&safe, NULL);
    ui->is_dirty = true;
}

void ui_notice(struct ui *ui, enum ui_notice_kind kind, int seconds, const char *text)
{
    set_line(&ui->notice.text, text);
    ui->notice.kind = kind;
    ui->notice.until_ms =
        text != NULL && seconds > 0 ? clock_utc_ms() + seconds * 1000 : 0;
    ui->is_dirty = true;
}

void ui_set_draft(struct ui *ui, const char *text)
{
    if (editor_is_empty(&ui->editor))
        editor_set(&ui->editor, text);
    ui->is_dirty = true;
}

void ui_set_queue(struct ui *ui, size_t n, const char *next)
{
    ui->n_queued = n;
    set_line(&ui->queued, next);
    ui->is_dirty = true;
}

void ui_format_age(int64_t then_ms, int64_t now_ms, char out[16])
{
    int64_t minutes = (now_ms - then_ms) / 60000;
    time_t seconds = (time_t)(then_ms / 1000);
    struct tm tm;

    if (minutes < 1)
        snprintf(out, 16, "now");
    else if (minutes < 60)
        snprintf(out, 16, "%d min", (int)minutes);
    else if (minutes < 24 * 60)
        snprintf(out, 16, "%d h", (int)(minutes / 60));
    else if (minutes < 14 * 24 * 60)
        snprintf(out, 16, "%d d", (int)(minutes / 60 / 24));
    else if (localtime_r(&seconds, &tm) == NULL || strftime(out, 16, "%F", &tm) == 0)
        out[0] = '\0';
}

static void draw_hints(struct ui *ui, int row)
{
    struct canvas *c = &ui->canvas;

    canvas_text_cut(c, row, 1, c->cols, STYLE_DIM, ui->view->hints);
}

void ui_compose(struct ui *ui, int rows, int cols)
{
    struct canvas *c = &ui->canvas;
    struct rect area;
    bool beside = ui->view == &sessions_view && cols >= BESIDE_COLS;

    canvas_resize(c, rows, cols);
    area = (struct rect){0, 0, c->rows, c->cols};
    if (rows >= BAR_ROWS) {
        status_draw_bar(ui, c, 0);
        draw_hints(ui, rows - 1);
        area = (struct rect){1, 0, rows - 2, cols};
    }
    if (beside) {
        struct rect list = area;

        list.cols = BESIDE_WIDTH - 1;
        area.col = BESIDE_WIDTH;
        area.cols -= BESIDE_WIDTH;
        for (int row = area.row; row < area.row + area.rows; row++)
            canvas_text(c, row, BESIDE_WIDTH - 1, cols, STYLE_RULE, "│");
        chat_view.draw(ui, area);
        ui->view->draw(ui, list); /* its cursor counts */
    } else {
        ui->view->draw(ui, area);
    }
}

void ui_draw(struct ui *ui)
{
    int rows;
    int cols;

    term_size(ui->term, &rows, &cols);
    ui_compose(ui, rows, cols);
    term_show(ui->term, &ui->canvas);
    ui->is_dirty = false;
}

bool ui_is_dirty(const struct ui *ui)
{
    return ui->is_dirty;
}

void ui_redraw(struct ui *ui)
{
    ui->is_dirty = true;
    if (ui->term != NULL)
        term_forget(ui->term);
}

bool ui_copy(struct ui *ui, const char *text, size_t len)
{
    return term_copy(ui->term, text, len);
}

void ui_suspend(struct ui *ui)
{
    term_suspend(ui->term);
}

void ui_resume(struct ui *ui)
{
    term_resume(ui->term);
    ui->is_dirty = true;
}

void ui_restore_terminal(void)
{
    term_restore_now();
}
