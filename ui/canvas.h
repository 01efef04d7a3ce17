/* SPDX-License-Identifier: MIT
 *
 * The picture of one frame in memory: a grid of cells that views draw on and term.c
 * brings to the terminal. Knows nothing of terminals, so that views can be tested.
 *
 * A cell holds one grapheme cluster; the right half of a wide one is a cell of width 0.
 * Whatever is put here can be shown: characters that termtext holds unsafe do not
 * enter.
 */
#ifndef HADAL_UI_CANVAS_H
#define HADAL_UI_CANVAS_H

#include <stddef.h>

#include "src/base/buf.h"
#include "ui/theme.h"

enum { CELL_TEXT_BYTES = 30 };

struct cell {
    char
        text[CELL_TEXT_BYTES]; /* one cluster, NUL-terminated; cut where it is longer */
    unsigned char width;       /* 1 or 2; 0: the right half of the cell before */
    unsigned char style;       /* enum style */
};

struct canvas {
    struct cell *cell; /* [rows][cols], owned */
    size_t cap;
    int rows, cols;
    int cursor_row, cursor_col; /* where the terminal's cursor sits; row -1: hidden */
};

/* A part of the canvas. */
struct rect {
    int row, col, rows, cols;
};

void canvas_init(struct canvas *c);
void canvas_release(struct canvas *c);
/* Sets the size (at least 1x1) and makes all cells blank. */
void canvas_resize(struct canvas *c, int rows, int cols);

struct cell *canvas_at(const struct canvas *c, int row, int col);

/* Writes text (UTF-8) at row, col, clipped at col_end; a wide character that would be
 * cut is left out. Returns the column after what was written. Rows and columns outside
 * the canvas are allowed: nothing is drawn there. */
int canvas_put(struct canvas *c, int row, int col, int col_end, enum style style,
               const char *text, size_t len);
int canvas_text(struct canvas *c, int row, int col, int col_end, enum style style,
                const char *text);
/* As canvas_text, and shows "…" at the end where the text does not fit. */
int canvas_text_cut(struct canvas *c, int row, int col, int col_end, enum style style,
                    const char *text);
/* Blanks [col, col_end) in the style. */
void canvas_fill(struct canvas *c, int row, int col, int col_end, enum style style);
/* Repeats one character of width 1. */
void canvas_rule(struct canvas *c, int row, int col, int col_end, enum style style,
                 const char *character);

/* The row as text, without blanks at its end (for tests). */
void canvas_row_text(const struct canvas *c, int row, struct buf *out);

#endif
