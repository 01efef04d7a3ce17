/* SPDX-License-Identifier: MIT
 *
 * The grid of cells: see canvas.h.
 */
#include "config.h"

#include "ui/canvas.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "src/base/utf8.h"

void canvas_init(struct canvas *c)
{
    memset(c, 0, sizeof(*c));
    c->cursor_row = -1;
}

void canvas_release(struct canvas *c)
{
    free(c->cell);
    canvas_init(c);
}

static void set_blank(struct cell *cell, enum style style)
{
    memset(cell, 0, sizeof(*cell));
    cell->text[0] = ' ';
    cell->width = 1;
    cell->style = (unsigned char)style;
}

void canvas_resize(struct canvas *c, int rows, int cols)
{
    size_t n;

    c->rows = rows < 1 ? 1 : rows;
    c->cols = cols < 1 ? 1 : cols;
    n = (size_t)c->rows * (size_t)c->cols;
    c->cell = mem_grow(c->cell, &c->cap, n, sizeof(*c->cell));
    for (size_t i = 0; i < n; i++)
        set_blank(&c->cell[i], STYLE_TEXT);
    c->cursor_row = -1;
}

struct cell *canvas_at(const struct canvas *c, int row, int col)
{
    return &c->cell[(size_t)row * (size_t)c->cols + (size_t)col];
}

/* A wide character of which one half is overwritten becomes blank. */
static void detach(struct canvas *c, int row, int col)
{
    struct cell *cell = canvas_at(c, row, col);

    if (cell->width == 0 && col > 0)
        set_blank(canvas_at(c, row, col - 1), canvas_at(c, row, col - 1)->style);
    if (cell->width == 2 && col + 1 < c->cols)
        set_blank(canvas_at(c, row, col + 1), cell->style);
}

/* The bytes of a cluster that a cell can hold, cut between characters. */
static size_t cell_len(const char *text, size_t len)
{
    if (len < CELL_TEXT_BYTES)
        return len;
    len = CELL_TEXT_BYTES - 1;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

static void set_cell(struct canvas *c, int row, int col, enum style style,
                     const char *text, size_t len, int width)
{
    struct cell *cell = canvas_at(c, row, col);

    detach(c, row, col);
    memset(cell, 0, sizeof(*cell));
    memcpy(cell->text, text, cell_len(text, len));
    cell->width = (unsigned char)width;
    cell->style = (unsigned char)style;
    if (width == 2) {
        detach(c, row, col + 1);
        cell = canvas_at(c, row, col + 1);
        memset(cell, 0, sizeof(*cell));
        cell->style = (unsigned char)style;
    }
}

/* A mark without a base joins what stands before it, where there is room. */
static void join_mark(struct canvas *c, int row, int col, const char *text, size_t len)
{
    struct cell *cell;
    size_t at;

    if (col < 1 || col > c->cols)
        return;
    cell = canvas_at(c, row, col - 1);
    if (cell->width == 0 && col > 1)
        cell = canvas_at(c, row, col - 2);
    at = strlen(cell->text);
    if (at + len < CELL_TEXT_BYTES)
        memcpy(cell->text + at, text, len);
}

static bool is_unsafe_cluster(const char *text, size_t len)
{
    uint32_t c;

    for (size_t at = 0; at < len;) {
        at += utf8_decode(text + at, len - at, &c, NULL);
        if (c == '\n' || c == '\t' || termtext_is_unsafe(c))
            return true;
    }
    return false;
}

int canvas_put(struct canvas *c, int row, int col, int col_end, enum style style,
               const char *text, size_t len)
{
    if (col_end > c->cols)
        col_end = c->cols;
    if (row < 0 || row >= c->rows || col < 0)
        return col;
    for (size_t at = 0; at < len;) {
        int width;
        size_t n = termtext_cluster(text + at, len - at, &width);

        if (is_unsafe_cluster(text + at, n)) {
            if (col < col_end)
                set_cell(c, row, col++, style, text[at] == '\t' ? " " : "?", 1, 1);
        } else if (width == 0) {
            join_mark(c, row, col, text + at, n);
        } else if (col + width > col_end) {
            return col;
        } else {
            set_cell(c, row, col, style, text + at, n, width);
            col += width;
        }
        at += n;
    }
    return col;
}

int canvas_text(struct canvas *c, int row, int col, int col_end, enum style style,
                const char *text)
{
    return canvas_put(c, row, col, col_end, style, text, strlen(text));
}

int canvas_text_cut(struct canvas *c, int row, int col, int col_end, enum style style,
                    const char *text)
{
    size_t len = strlen(text);

    if (col_end > c->cols)
        col_end = c->cols;
    if (termtext_width(text, len) <= col_end - col)
        return canvas_put(c, row, col, col_end, style, text, len);
    col = canvas_put(c, row, col, col_end - 1, style, text, len);
    return canvas_text(c, row, col, col_end, style, "…");
}

void canvas_fill(struct canvas *c, int row, int col, int col_end, enum style style)
{
    canvas_rule(c, row, col, col_end, style, " ");
}

void canvas_rule(struct canvas *c, int row, int col, int col_end, enum style style,
                 const char *character)
{
    if (row < 0 || row >= c->rows)
        return;
    if (col_end > c->cols)
        col_end = c->cols;
    for (int at = col < 0 ? 0 : col; at < col_end; at++)
        set_cell(c, row, at, style, character, strlen(character), 1);
}

void canvas_row_text(const struct canvas *c, int row, struct buf *out)
{
    size_t end = out->len;

    for (int col = 0; col < c->cols; col++) {
        const struct cell *cell = canvas_at(c, row, col);

        if (cell->width == 0 || !buf_add_text(out, cell->text))
            continue;
        if (strcmp(cell->text, " ") != 0)
            end = out->len;
    }
    if (out->len > end) {
        out->len = end;
        out->data[end] = '\0';
    }
}
