/* SPDX-License-Identifier: MIT
 *
 * The editor: see editor.h.
 */
#include "config.h"

#include "ui/editor.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "ui/wrap.h"

enum { MAX_TEXT_BYTES = 4 << 20, MAX_PAST = 500 };

void editor_init(struct editor *e)
{
    memset(e, 0, sizeof(*e));
    buf_init(&e->text, MAX_TEXT_BYTES);
    buf_init(&e->killed, MAX_TEXT_BYTES);
    e->goal_col = -1;
}

void editor_release(struct editor *e)
{
    for (size_t i = 0; i < e->n_past; i++)
        free(e->past[i]);
    free(e->past);
    free(e->draft);
    free(e->row);
    buf_release(&e->text);
    buf_release(&e->killed);
    memset(e, 0, sizeof(*e));
}

bool editor_is_empty(const struct editor *e)
{
    return e->text.len == 0;
}

static void changed(struct editor *e)
{
    e->row_width = 0;
    e->goal_col = -1;
}

void editor_set(struct editor *e, const char *text)
{
    buf_clear(&e->text);
    e->cursor = 0;
    editor_insert(e, text, strlen(text));
}

/* Replaces the bytes [from, to) by text and puts the cursor after it. */
static void replace(struct editor *e, size_t from, size_t to, const char *text,
                    size_t len)
{
    char *tail = mem_dup_n(buf_text(&e->text) + to, e->text.len - to);
    size_t tail_len = e->text.len - to;
    size_t cut = e->text.len - from;

    if (e->text.len - (to - from) + len <= e->text.max) {
        e->text.len -= cut;
        e->cursor = from;
        if (buf_add(&e->text, text, len))
            e->cursor += len;
        if (!buf_add(&e->text, tail, tail_len))
            e->cursor = e->text.len;
    }
    free(tail);
    changed(e);
}

void editor_insert(struct editor *e, const char *text, size_t len)
{
    struct buf lines;
    struct buf safe;

    buf_init(&lines, MAX_TEXT_BYTES);
    buf_init(&safe, MAX_TEXT_BYTES);
    for (size_t i = 0; i < len; i++) {
        bool crlf = text[i] == '\r' && i + 1 < len && text[i + 1] == '\n';

        if (!crlf && !buf_add_char(&lines, text[i] == '\r' ? '\n' : text[i]))
            break;
    }
    /* Past the maximum the text is cut; what was taken stays whole. */
    if (termtext_add(&safe, buf_text(&lines), lines.len) || safe.len > 0)
        replace(e, e->cursor, e->cursor, buf_text(&safe), safe.len);
    buf_release(&lines);
    buf_release(&safe);
}

static void remember(struct editor *e, const char *text)
{
    e->past_at = e->n_past;
    if (text[0] == '\0' || (e->n_past > 0 && strcmp(e->past[e->n_past - 1], text) == 0))
        return;
    if (e->n_past == MAX_PAST) {
        free(e->past[0]);
        memmove(e->past, e->past + 1, (MAX_PAST - 1) * sizeof(*e->past));
        e->n_past--;
    }
    e->past = mem_grow(e->past, &e->past_cap, e->n_past + 1, sizeof(*e->past));
    e->past[e->n_past++] = mem_dup(text);
    e->past_at = e->n_past;
}

char *editor_take(struct editor *e)
{
    char *text = buf_take(&e->text, NULL);

    remember(e, text);
    e->cursor = 0;
    changed(e);
    return text;
}

/* --- moving ------------------------------------------------------------------------
 */

static size_t next_cluster(const struct editor *e, size_t at)
{
    int width;

    if (at >= e->text.len)
        return at;
    return at + termtext_cluster(e->text.data + at, e->text.len - at, &width);
}

static size_t line_start(const struct editor *e, size_t at)
{
    while (at > 0 && e->text.data[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const struct editor *e, size_t at)
{
    while (at < e->text.len && e->text.data[at] != '\n')
        at++;
    return at;
}

/* Clusters are only known forwards: from the line's beginning. */
static size_t cluster_before(const struct editor *e, size_t at)
{
    size_t from = line_start(e, at);
    size_t before = from;

    if (from == at)
        return at > 0 ? at - 1 : 0; /* over the newline */
    while (from < at) {
        before = from;
        from = next_cluster(e, from);
    }
    return before;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

static size_t word_left(const struct editor *e, size_t at)
{
    while (at > 0 && is_space(e->text.data[at - 1]))
        at--;
    while (at > 0 && !is_space(e->text.data[at - 1]))
        at--;
    return at;
}

static size_t word_right(const struct editor *e, size_t at)
{
    while (at < e->text.len && is_space(e->text.data[at]))
        at++;
    while (at < e->text.len && !is_space(e->text.data[at]))
        at++;
    return at;
}

static size_t target(const struct editor *e, enum editor_move to)
{
    switch (to) {
    case EDITOR_LEFT:
        return cluster_before(e, e->cursor);
    case EDITOR_RIGHT:
        return next_cluster(e, e->cursor);
    case EDITOR_WORD_LEFT:
        return word_left(e, e->cursor);
    case EDITOR_WORD_RIGHT:
        return word_right(e, e->cursor);
    case EDITOR_LINE_START:
        return line_start(e, e->cursor);
    case EDITOR_LINE_END:
        return line_end(e, e->cursor);
    }
    return e->cursor;
}

void editor_move(struct editor *e, enum editor_move to)
{
    e->cursor = target(e, to);
    e->goal_col = -1;
}

void editor_delete(struct editor *e, enum editor_move to)
{
    size_t other = target(e, to);
    size_t from = other < e->cursor ? other : e->cursor;
    size_t end = other < e->cursor ? e->cursor : other;

    /* At a line's end, ^K takes the newline, and at its beginning ^U does. */
    if (from == end && to == EDITOR_LINE_END && end < e->text.len)
        end++;
    if (from == end && to == EDITOR_LINE_START && from > 0)
        from--;
    if (from == end)
        return;
    if (to != EDITOR_LEFT && to != EDITOR_RIGHT) {
        buf_clear(&e->killed);
        if (!buf_add(&e->killed, e->text.data + from, end - from))
            buf_clear(&e->killed);
    }
    replace(e, from, end, "", 0);
}

void editor_yank(struct editor *e)
{
    replace(e, e->cursor, e->cursor, buf_text(&e->killed), e->killed.len);
}

/* --- rows ---------------------------------------------------------------------------
 */

static void add_row(struct editor *e, size_t start, size_t shown, size_t end)
{
    e->row = mem_grow(e->row, &e->row_cap, e->n_row + 1, sizeof(*e->row));
    e->row[e->n_row++] = (struct editor_row){start, shown, end};
}

static void lay_out(struct editor *e, int width)
{
    const char *text = buf_text(&e->text);
    size_t at = 0;

    e->n_row = 0;
    for (;;) {
        size_t end = line_end(e, at);

        if (at == end)
            add_row(e, at, at, at);
        while (at < end) {
            size_t shown;
            size_t n = wrap_row(text + at, end - at, width, WRAP_WORDS, &shown);

            add_row(e, at, at + shown, at + n);
            at += n;
        }
        if (end >= e->text.len)
            break;
        at = end + 1;
    }
    e->row_width = width;
}

const struct editor_row *editor_rows(struct editor *e, int width, size_t *n)
{
    if (width < 1)
        width = 1;
    if (e->row_width != width)
        lay_out(e, width);
    *n = e->n_row;
    return e->row;
}

void editor_cursor(struct editor *e, int width, int *row, int *col)
{
    size_t n;
    const struct editor_row *rows = editor_rows(e, width, &n);
    size_t i = n - 1;

    while (i > 0 && rows[i].start > e->cursor)
        i--;
    *row = (int)i;
    *col =
        termtext_width(buf_text(&e->text) + rows[i].start, e->cursor - rows[i].start);
    if (*col >= width)
        *col = width < 1 ? 0 : width - 1;
}

/* The place in a row at or before the column. */
static size_t at_column(const struct editor *e, const struct editor_row *row, int col)
{
    size_t at = row->start;
    int cells = 0;

    while (at < row->shown) {
        int width;
        size_t n = termtext_cluster(e->text.data + at, row->end - at, &width);

        /* The end of a wrapped row is the beginning of the next. */
        if (cells + width > col || (at + n == row->end && row->end < e->text.len &&
                                    e->text.data[row->end] != '\n'))
            break;
        cells += width;
        at += n;
    }
    return at;
}

bool editor_move_row(struct editor *e, int width, int by)
{
    size_t n;
    const struct editor_row *rows = editor_rows(e, width, &n);
    int row;
    int col;

    editor_cursor(e, width, &row, &col);
    if (row + by < 0 || row + by >= (int)n)
        return false;
    if (e->goal_col < 0)
        e->goal_col = col;
    e->cursor = at_column(e, &rows[row + by], e->goal_col);
    return true;
}

bool editor_recall(struct editor *e, int by)
{
    size_t to = e->past_at + (size_t)by;

    if ((by < 0 && e->past_at == 0) || to > e->n_past)
        return false;
    if (e->past_at == e->n_past) {
        free(e->draft);
        e->draft = mem_dup(buf_text(&e->text));
    }
    e->past_at = to;
    editor_set(e, to < e->n_past ? e->past[to] : e->draft);
    return true;
}
