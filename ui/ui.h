/* SPDX-License-Identifier: MIT
 *
 * The chat on a terminal: keys become intents, text becomes a screen.
 *
 * Knows no model and no history: it is given strings, ids and a status, and asks for
 * things by intents, which the program fulfils when it likes. Main thread only. Every
 * string given is copied and made safe for the terminal.
 */
#ifndef HADAL_UI_UI_H
#define HADAL_UI_UI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/base/message.h"
#include "ui/theme.h"
#include "ui/transcript.h"

struct ui;

/* A command that can be typed: for the help screen and for completion. */
struct ui_command {
    const char *name; /* "/title" */
    const char *argument;
    const char *help;
};

struct ui_options {
    enum theme theme;
    const struct ui_command *command; /* static storage */
    size_t n_command;
};

struct ui *ui_open(const struct ui_options *opt, struct err *err) MUST_USE;
void ui_close(struct ui *ui); /* accepts NULL; the terminal is given back */

/* --- what the user wants ------------------------------------------------------------
 */

enum ui_intent_kind {
    UI_SUBMIT, /* text */
    UI_STOP,   /* the answer that is coming */
    UI_NEW_SESSION,
    UI_LIST_SESSIONS,  /* call ui_set_sessions */
    UI_OPEN_SESSION,   /* text: its id; message: where to, or 0 */
    UI_DELETE_SESSION, /* text: its id; call ui_set_sessions */
    UI_SEARCH,         /* text; call ui_set_hits */
    UI_LIST_MODELS,    /* call ui_set_models */
    UI_USE_MODEL,      /* text: its name */
    UI_ACCEPT,         /* what the panel asks */
    UI_DECLINE,
    UI_STOP_DOWNLOAD,
    UI_SUSPEND,
    UI_QUIT,
};

/* The receiver frees it with ui_intent_release. */
struct ui_intent {
    enum ui_intent_kind kind;
    char *text; /* may be NULL */
    int64_t message;
    char *found; /* UI_OPEN_SESSION at a hit: the words found in the message, or NULL */
};
void ui_intent_release(struct ui_intent *intent);

int ui_fd(const struct ui *ui);
/* Reads and decodes what has come, and lets what is due happen. False when the terminal
 * is gone. */
bool ui_read(struct ui *ui) MUST_USE;
/* Milliseconds until ui_read has something to do though no key comes; -1: never. */
int ui_wait_ms(const struct ui *ui);
bool ui_take_intent(struct ui *ui, struct ui_intent *out); /* false: nothing waits */

/* --- what is shown ------------------------------------------------------------------
 */

struct transcript *ui_transcript(struct ui *ui);

enum ui_state { UI_LOADING, UI_READY, UI_PREFILL, UI_ANSWERING };

struct ui_status {
    enum ui_state state;
    const char *model;      /* name; NULL while it is not known */
    const char *device;     /* "cpu, 16 threads" */
    int done, total;        /* prompt tokens, while UI_PREFILL */
    int n_tokens;           /* of the answer so far */
    int ctx_used, ctx_size; /* used -1: not known */
    float tokens_per_s;
};
void ui_set_status(struct ui *ui, const struct ui_status *status);

void ui_set_title(struct ui *ui, const char *title);  /* of the session; NULL: none */
void ui_set_welcome(struct ui *ui, const char *text); /* shown while it is empty */

/* A line above the input. It goes after `seconds`, or (0) when a message is sent. */
enum ui_notice_kind { UI_NOTICE, UI_ERROR };
void ui_notice(struct ui *ui, enum ui_notice_kind kind, int seconds, const char *text);

/* Puts text into the input, if nothing is there. */
void ui_set_draft(struct ui *ui, const char *text);

/* How many messages wait to be sent, and the next of them. */
void ui_set_queue(struct ui *ui, size_t n, const char *next);

struct ui_session {
    const char *id, *title; /* title NULL: none */
    int64_t updated_ms, n_messages;
    bool is_current;
};
void ui_set_sessions(struct ui *ui, const struct ui_session *row, size_t n);

struct ui_hit {
    const char *session, *title; /* title NULL: none */
    int64_t message, time_ms;
    enum role role;
    const char *snippet;
    size_t mark, mark_len; /* the hit: bytes of the snippet */
};
void ui_set_hits(struct ui *ui, const struct ui_hit *row, size_t n);

struct ui_model {
    const char *name, *note; /* note: its size; NULL: none */
    bool is_current;
};
void ui_set_models(struct ui *ui, const struct ui_model *row, size_t n);

/* A panel above the input, about something that goes on beside the chat. */
struct ui_panel {
    const char *title;
    const char *text; /* lines, wrapped; NULL: none */
    enum ui_notice_kind kind;
    int64_t done, total; /* of the bar; total 0: no bar */
    const char *figures; /* beside the bar, what matters most first */
    const char *keys;    /* what keys do about it */
    bool asks;           /* Enter on an empty line is UI_ACCEPT, Esc UI_DECLINE */
};
void ui_set_panel(struct ui *ui, const struct ui_panel *panel); /* NULL: none */

/* Opens a place as its key would. */
enum ui_place {
    UI_PLACE_CHAT,
    UI_PLACE_SESSIONS,
    UI_PLACE_SEARCH,
    UI_PLACE_MODELS,
    UI_PLACE_HELP
};
void ui_go(struct ui *ui, enum ui_place place, const char *query);

/* Into the clipboard, by the terminal; false where that cannot be. */
bool ui_copy(struct ui *ui, const char *text, size_t len);

void ui_draw(struct ui *ui); /* only what changed is sent */
bool ui_is_dirty(const struct ui *ui);
void ui_redraw(struct ui *ui);  /* the next ui_draw sends everything */
void ui_suspend(struct ui *ui); /* gives the terminal to the shell */
void ui_resume(struct ui *ui);

/* Gives the terminal back at once; for signal handlers. */
void ui_restore_terminal(void);

/* "now", "5 min", "3 h", "2 d", "2026-11-24". */
void ui_format_age(int64_t then_ms, int64_t now_ms, char out[16]);

#endif
