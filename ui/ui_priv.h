/* SPDX-License-Identifier: MIT
 *
 * What the views share (inside ui/ only): the state of the screen, and the table of
 * functions that makes a view.
 */
#ifndef HADAL_UI_UI_PRIV_H
#define HADAL_UI_UI_PRIV_H

#include "src/base/buf.h"
#include "ui/action.h"
#include "ui/canvas.h"
#include "ui/editor.h"
#include "ui/input.h"
#include "ui/picker.h"
#include "ui/styled.h"
#include "ui/ui.h"

enum { MAX_INTENTS = 32 };

struct terminal;

/* A view draws into a part of the canvas and takes keys while it is on top. */
struct view_ops {
    const char *hints; /* the keys line at the bottom */
    void (*opened)(struct ui *ui, const char *query);
    void (*draw)(struct ui *ui, struct rect area);
    bool (*act)(struct ui *ui, enum action action); /* false: not for this view */
    void (*typed)(struct ui *ui, const char *text, size_t len);
};

extern const struct view_ops chat_view;
extern const struct view_ops sessions_view;
extern const struct view_ops search_view;
extern const struct view_ops models_view;
extern const struct view_ops help_view;

struct session_row {
    char *id, *title; /* owned; title safe */
    int64_t updated_ms, n_messages;
    bool is_current;
};

struct hit_row {
    char *session, *title; /* owned; title safe */
    int64_t message, time_ms;
    enum role role;
    struct styled snippet;
    size_t mark_end; /* where the mark ends in it */
    char *found;     /* the words that were found, owned */
};

struct model_row {
    char *name, *note; /* owned, safe but for name, which goes back */
    bool is_current;
};

/* What struct ui_panel says, owned and safe; title NULL: none. */
struct panel {
    char *title, *text, *figures, *keys;
    enum ui_notice_kind kind;
    int64_t done, total;
    bool asks;
};

struct notice {
    char *text; /* owned, safe; NULL: none */
    enum ui_notice_kind kind;
    int64_t until_ms; /* 0: until a message is sent */
};

struct ui {
    struct terminal *term; /* NULL in tests of views */
    struct ui_options opt;
    struct canvas canvas;
    struct input input;
    struct editor editor;
    struct transcript *transcript;
    const struct view_ops *view; /* on top of the chat, or the chat */

    struct ui_status status; /* its strings are those below */
    char *model, *device, *title, *welcome;
    struct notice notice;
    size_t n_queued;
    char *queued;          /* the first of them */
    int64_t quit_until_ms; /* until then ^C quits */

    struct picker sessions_picker;
    struct session_row *session;
    size_t n_session;
    char *doomed; /* id of the session that Alt-d deletes now, owned; NULL: none */

    struct picker search_picker;
    struct hit_row *hit;
    size_t n_hit;
    bool hits_due; /* asked for, not yet come */

    struct picker models_picker;
    struct model_row *model_row; /* [n_model] */
    size_t n_model;

    struct panel panel;

    int help_top;

    struct ui_intent intent[MAX_INTENTS];
    size_t n_intent;
    double input_at; /* when bytes came last */
    bool is_dirty;
};

/* Without a terminal: ui_feed and ui_compose do what ui_read and ui_draw do. */
struct ui *ui_create(const struct ui_options *opt);
void ui_feed(struct ui *ui, const char *bytes, size_t len);
void ui_compose(struct ui *ui, int rows, int cols);

void ui_ask(struct ui *ui, enum ui_intent_kind kind, const char *text);
void ui_ask_open(struct ui *ui, const char *session, int64_t message,
                 const char *found);
bool ui_is_busy(const struct ui *ui); /* an answer is coming */

/* An owned copy that is safe on one line; NULL for NULL. */
char *ui_safe_line(const char *text);

/* Does what the action means for this text; false where it means nothing. */
bool ui_edit(struct editor *e, enum action action, int width);

/* The bar on top and the line of keys at the bottom (status.c). */
void status_draw_bar(const struct ui *ui, struct canvas *c, int row);
void status_draw_rule(const struct ui *ui, struct canvas *c, int row, int col,
                      int col_end, bool more_below);

void sessions_clear(struct ui *ui);
void search_clear(struct ui *ui);
void models_clear(struct ui *ui);

/* Draws the panel at the bottom of the area; returns how many rows it took. */
int panel_draw(const struct panel *p, struct canvas *c, struct rect area);
void panel_clear(struct panel *p);

#endif
