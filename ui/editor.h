/* SPDX-License-Identifier: MIT
 *
 * The text that is being typed: a buffer, a cursor, its rows at some width, and what
 * was typed before. Pure: no terminal, no keys. The text is UTF-8 and safe to show; the
 * cursor is always between grapheme clusters.
 */
#ifndef HADAL_UI_EDITOR_H
#define HADAL_UI_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"

/* One row on the screen. */
struct editor_row {
    size_t start; /* byte offsets into the text */
    size_t shown; /* end of what is drawn */
    size_t end;
};

struct editor {
    struct buf text;
    size_t cursor;     /* byte offset */
    struct buf killed; /* what ^K, ^U, ^W took last */
    int goal_col;      /* the column that up and down aim at; -1: the cursor's */
    char **past;       /* [n_past] sent before, oldest first, owned */
    size_t n_past, past_cap;
    size_t past_at;         /* n_past: not browsing */
    char *draft;            /* what was being typed when browsing began, owned */
    struct editor_row *row; /* [n_row] at row_width */
    size_t n_row, row_cap;
    int row_width; /* 0: out of date */
};

void editor_init(struct editor *e);
void editor_release(struct editor *e);

bool editor_is_empty(const struct editor *e);
void editor_set(struct editor *e, const char *text); /* cursor at its end */
/* Puts text in at the cursor: control bytes in visible form, CR LF and CR as newline.
 */
void editor_insert(struct editor *e, const char *text, size_t len);
/* The text, the caller's now; empties the editor and remembers it as sent. */
char *editor_take(struct editor *e);

enum editor_move {
    EDITOR_LEFT,
    EDITOR_RIGHT,
    EDITOR_WORD_LEFT,
    EDITOR_WORD_RIGHT,
    EDITOR_LINE_START,
    EDITOR_LINE_END,
};

void editor_move(struct editor *e, enum editor_move to);
/* Deletes from the cursor to where the move would lead; word and line moves keep it. */
void editor_delete(struct editor *e, enum editor_move to);
void editor_yank(struct editor *e); /* puts in what was deleted last */

/* A row up (-1) or down (1) at this width; false at the edge. */
bool editor_move_row(struct editor *e, int width, int by);
/* The entry before (-1) or after (1) in what was sent; false where there is none. */
bool editor_recall(struct editor *e, int by);

/* Rows at this width (>= 1 row), and the cursor's place among them. Valid until the
 * next change. */
const struct editor_row *editor_rows(struct editor *e, int width, size_t *n);
void editor_cursor(struct editor *e, int width, int *row, int *col);

#endif
