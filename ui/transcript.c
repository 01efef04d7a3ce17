/* SPDX-License-Identifier: MIT
 *
 * The transcript: see transcript.h.
 */
#include "config.h"

#include "ui/transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "ui/markdown.h"
#include "ui/styled.h"
#include "ui/wrap.h"

enum { MAX_MESSAGE_BYTES = 64 << 20, MARGIN = 2 };

enum row_kind { ROW_TEXT, ROW_HEADER, ROW_RULE };

struct row {
    size_t at, len; /* bytes of the styled text */
    int indent;
    enum row_kind kind;
};

struct entry {
    enum role role;
    int64_t time_ms, id;
    struct buf text;     /* safe */
    struct buf thinking; /* safe */
    bool holds_cr;       /* the last byte said was CR: LF may follow */
    double thought_s;
    int thought_tokens;
    char *note; /* owned, safe */
    enum style note_style;

    /* The layout: rows for `width`, of which those before row_done and the text before
     * text_done can no longer change. width 0: nothing is laid out. */
    int width;
    struct styled styled;
    struct row *row;
    size_t n_row, row_cap;
    size_t text_done, row_done, styled_done;
    struct markdown markdown; /* after text_done */
    bool is_stale;            /* the text grew */
};

struct transcript {
    struct entry **entry; /* owned */
    size_t n, cap;
    bool unfold;       /* thinking is shown */
    bool follow;       /* the place is the end ... */
    size_t top;        /* ... or row top_row of entry `top` */
    long top_row;      /* may be out of range until drawn */
    int width, height; /* as last drawn */
};

/* --- life ---------------------------------------------------------------------------
 */

struct transcript *transcript_open(void)
{
    struct transcript *t = mem_zalloc(sizeof(*t));

    t->follow = true;
    return t;
}

static void entry_close(struct entry *e)
{
    buf_release(&e->text);
    buf_release(&e->thinking);
    styled_release(&e->styled);
    free(e->note);
    free(e->row);
    free(e);
}

void transcript_clear(struct transcript *t)
{
    for (size_t i = 0; i < t->n; i++)
        entry_close(t->entry[i]);
    t->n = 0;
    t->follow = true;
    t->top = 0;
    t->top_row = 0;
}

void transcript_close(struct transcript *t)
{
    if (t == NULL)
        return;
    transcript_clear(t);
    free(t->entry);
    free(t);
}

bool transcript_is_empty(const struct transcript *t)
{
    return t->n == 0;
}

bool transcript_is_following(const struct transcript *t)
{
    return t->follow;
}

/* --- content ------------------------------------------------------------------------
 */

void transcript_begin(struct transcript *t, enum role role, int64_t time_ms, int64_t id)
{
    struct entry *e = mem_zalloc(sizeof(*e));

    e->role = role;
    e->time_ms = time_ms;
    e->id = id;
    buf_init(&e->text, MAX_MESSAGE_BYTES);
    buf_init(&e->thinking, MAX_MESSAGE_BYTES);
    styled_init(&e->styled);
    t->entry = mem_grow(t->entry, &t->cap, t->n + 1, sizeof(struct entry *));
    t->entry[t->n++] = e;
}

static struct entry *last(struct transcript *t)
{
    return t->n > 0 ? t->entry[t->n - 1] : NULL;
}

/* Makes a piece of a growing text safe; a CR at its end waits for what follows. */
static void add_safe(struct transcript *t, struct buf *out, const char *text,
                     size_t len)
{
    struct entry *e = last(t);
    bool ok = !e->holds_cr || text[0] == '\n' || termtext_add(out, "\r", 1);

    e->holds_cr = text[len - 1] == '\r';
    ok = ok && termtext_add(out, text, e->holds_cr ? len - 1 : len);
    if (!ok)
        transcript_set_note(t, "too long to show in full", STYLE_NOTICE);
}

void transcript_add_text(struct transcript *t, const char *text, size_t len)
{
    if (t->n == 0 || len == 0)
        return;
    add_safe(t, &last(t)->text, text, len);
    last(t)->is_stale = true;
}

void transcript_add_thinking(struct transcript *t, const char *text, size_t len)
{
    if (t->n == 0 || len == 0)
        return;
    add_safe(t, &last(t)->thinking, text, len);
    last(t)->width = 0;
}

void transcript_set_thought(struct transcript *t, double seconds, int n_tokens)
{
    struct entry *e = last(t);

    if (e == NULL)
        return;
    e->thought_s = seconds;
    e->thought_tokens = n_tokens;
    e->width = 0;
}

void transcript_set_note(struct transcript *t, const char *note, enum style style)
{
    struct entry *e = last(t);
    struct buf safe;

    if (e == NULL)
        return;
    free(e->note);
    e->note = NULL;
    e->note_style = style;
    e->width = 0;
    if (note == NULL || note[0] == '\0')
        return;
    buf_init(&safe, 4096);
    if (termtext_add_line(&safe, note, strlen(note)))
        e->note = buf_take(&safe, NULL);
    buf_release(&safe);
}

void transcript_toggle_thinking(struct transcript *t)
{
    t->unfold = !t->unfold;
    for (size_t i = 0; i < t->n; i++)
        if (t->entry[i]->thinking.len > 0)
            t->entry[i]->width = 0;
}

/* --- layout -------------------------------------------------------------------------
 */

static void add_row(struct entry *e, enum row_kind kind, size_t at, size_t len,
                    int indent)
{
    e->row = mem_grow(e->row, &e->row_cap, e->n_row + 1, sizeof(*e->row));
    e->row[e->n_row++] = (struct row){at, len, indent, kind};
}

/* Breaks the styled text from `at` to its end into rows. */
static void add_wrapped(struct entry *e, size_t at, const struct markdown_line *how)
{
    size_t end = e->styled.text.len;
    int indent = how->indent;

    if (at == end)
        add_row(e, ROW_TEXT, at, 0, indent);
    while (at < end) {
        int width = e->width - MARGIN - indent;
        size_t shown;
        size_t n = wrap_row(e->styled.text.data + at, end - at, width < 4 ? 4 : width,
                            how->wrap, &shown);

        add_row(e, ROW_TEXT, at, shown, indent);
        at += n;
        indent = how->hang;
    }
}

static void add_line(struct entry *e, enum style style, const char *text, size_t len)
{
    static const struct markdown_line plain = {0, 0, WRAP_WORDS, false};
    size_t at = e->styled.text.len;

    styled_add(&e->styled, style, text, len);
    add_wrapped(e, at, &plain);
}

static void add_fold_line(struct entry *e, bool unfold)
{
    char line[96];
    int n;

    if (e->thought_s <= 0 && e->thought_tokens <= 0)
        n = snprintf(line, sizeof(line), "%s %s", unfold ? "▾" : "▸",
                     e->text.len > 0 ? "thought" : "thinking…");
    else
        n = snprintf(line, sizeof(line), "%s thought for %.*f s · %d tokens",
                     unfold ? "▾" : "▸", e->thought_s < 9.95 ? 1 : 0, e->thought_s,
                     e->thought_tokens);
    add_line(e, STYLE_DIM, line, (size_t)n);
}

static void add_thinking(struct entry *e, bool unfold)
{
    const char *p = buf_text(&e->thinking);
    size_t len = e->thinking.len;

    add_fold_line(e, unfold);
    if (!unfold)
        return;
    while (len > 0 && p[len - 1] == '\n')
        len--;
    while (len > 0) {
        const char *nl = memchr(p, '\n', len);
        size_t n = nl == NULL ? len : (size_t)(nl - p);

        add_line(e, STYLE_THINKING, p, n);
        n += nl == NULL ? 0 : 1;
        p += n;
        len -= n;
    }
    add_row(e, ROW_TEXT, 0, 0, 0);
}

static void add_markdown(struct entry *e, struct markdown *md, const char *line,
                         size_t len)
{
    struct markdown_line how;
    size_t at = e->styled.text.len;

    markdown_line(md, line, len, &e->styled, &how);
    if (how.is_rule)
        add_row(e, ROW_RULE, at, 0, 0);
    else
        add_wrapped(e, at, &how);
}

/* What the user wrote is shown as written. */
static void add_text_line(struct entry *e, struct markdown *md, const char *line,
                          size_t len)
{
    if (e->role == ROLE_ASSISTANT)
        add_markdown(e, md, line, len);
    else
        add_line(e, e->role == ROLE_SYSTEM ? STYLE_DIM : STYLE_TEXT, line, len);
}

/* Complete lines once and for all, then what can still change. */
static void add_text(struct entry *e)
{
    const char *text = buf_text(&e->text);
    struct markdown md;
    size_t end = e->text.len;

    e->n_row = e->row_done;
    styled_cut(&e->styled, e->styled_done);
    for (;;) {
        const char *line = text + e->text_done;
        const char *nl = memchr(line, '\n', e->text.len - e->text_done);

        if (nl == NULL)
            break;
        add_text_line(e, &e->markdown, line, (size_t)(nl - line));
        e->text_done = (size_t)(nl - text) + 1;
        e->row_done = e->n_row;
        e->styled_done = e->styled.text.len;
    }
    md = e->markdown;
    if (end > e->text_done)
        add_text_line(e, &md, text + e->text_done, end - e->text_done);
    if (e->note != NULL)
        add_line(e, e->note_style, e->note, strlen(e->note));
    add_row(e, ROW_TEXT, 0, 0, 0);
    e->is_stale = false;
}

static void lay_out(const struct transcript *t, struct entry *e)
{
    if (e->width != t->width) {
        e->width = t->width;
        e->n_row = 0;
        styled_cut(&e->styled, 0);
        add_row(e, ROW_HEADER, 0, 0, 0);
        if (e->thinking.len > 0)
            add_thinking(e, t->unfold);
        e->row_done = e->n_row;
        e->styled_done = e->styled.text.len;
        e->text_done = 0;
        memset(&e->markdown, 0, sizeof(e->markdown));
        e->is_stale = true;
    }
    if (e->is_stale)
        add_text(e);
}

static long n_rows(struct transcript *t, size_t i)
{
    lay_out(t, t->entry[i]);
    return (long)t->entry[i]->n_row;
}

/* --- the place ----------------------------------------------------------------------
 */

/* Moves top/top_row by whole entries until top_row is a row of entry top. */
static void settle(struct transcript *t)
{
    while (t->top_row < 0 && t->top > 0) {
        t->top--;
        t->top_row += n_rows(t, t->top);
    }
    if (t->top_row < 0)
        t->top_row = 0;
    while (t->top + 1 < t->n && t->top_row >= n_rows(t, t->top)) {
        t->top_row -= n_rows(t, t->top);
        t->top++;
    }
}

/* The place from which the end is on the last row. */
static void place_at_end(struct transcript *t)
{
    long left = t->height;

    t->top = t->n;
    t->top_row = 0;
    while (left > 0 && t->top > 0) {
        t->top--;
        left -= n_rows(t, t->top);
    }
    t->top_row = left < 0 ? -left : 0;
}

/* Rows from the place to the end, counted no further than `limit`. */
static long rows_from_top(struct transcript *t, long limit)
{
    long rows = -t->top_row;

    for (size_t i = t->top; i < t->n && rows <= limit; i++)
        rows += n_rows(t, i);
    return rows;
}

void transcript_scroll(struct transcript *t, int rows)
{
    if (t->n == 0)
        return;
    if (t->follow) {
        if (rows > 0)
            return;
        place_at_end(t);
        t->follow = false;
    }
    t->top_row += rows;
    settle(t);
    if (rows_from_top(t, t->height) <= t->height)
        t->follow = true;
}

void transcript_to_top(struct transcript *t)
{
    t->top = 0;
    t->top_row = 0;
    t->follow = t->n == 0 || rows_from_top(t, t->height) <= t->height;
}

void transcript_to_end(struct transcript *t)
{
    t->follow = true;
}

/* The row in which `found` begins; 0: none. Markdown marks inside it hide it. */
static long row_of(const struct entry *e, const char *found)
{
    const char *text = buf_text(&e->styled.text);
    const char *hit = strcasestr(text, found);

    for (size_t r = e->n_row; hit != NULL && r > 0; r--)
        if (e->row[r - 1].kind == ROW_TEXT && e->row[r - 1].len > 0 &&
            e->row[r - 1].at <= (size_t)(hit - text))
            return (long)r - 1;
    return 0;
}

bool transcript_show(struct transcript *t, int64_t id, const char *found)
{
    for (size_t i = 0; i < t->n; i++) {
        long row = 0;

        if (t->entry[i]->id != id)
            continue;
        if (found != NULL && found[0] != '\0' && t->width > 0) {
            lay_out(t, t->entry[i]);
            row = row_of(t->entry[i], found);
        }
        t->top = i;
        t->top_row = row > t->height / 3 ? row - t->height / 3 : 0;
        t->follow = false;
        return true;
    }
    return false;
}

/* --- drawing ------------------------------------------------------------------------
 */

static void draw_header(const struct entry *e, struct canvas *c, int row, int col,
                        int col_end)
{
    static const char *const names[] = {"system", "you", "hadal"};
    static const enum style styles[] = {STYLE_DIM, STYLE_YOU, STYLE_MODEL};
    time_t seconds = (time_t)(e->time_ms / 1000);
    struct tm tm;
    char when[32];
    int end = canvas_text(c, row, col, col_end, styles[e->role], names[e->role]);

    if (e->time_ms == 0 || localtime_r(&seconds, &tm) == NULL)
        return;
    if (strftime(when, sizeof(when),
                 time(NULL) - seconds < 86400 ? "%H:%M" : "%F %H:%M", &tm) == 0)
        return;
    if (col_end - (int)strlen(when) > end + 1)
        canvas_text(c, row, col_end - (int)strlen(when), col_end, STYLE_DIM, when);
}

static void draw_row(const struct entry *e, const struct row *r, struct canvas *c,
                     int row, struct rect area)
{
    int end = area.col + area.cols;

    if (r->kind == ROW_HEADER)
        draw_header(e, c, row, area.col, end);
    else if (r->kind == ROW_RULE)
        canvas_rule(c, row, area.col + MARGIN, end, STYLE_RULE, "─");
    else
        styled_draw(&e->styled, r->at, r->len, c, row, area.col + MARGIN + r->indent,
                    end);
}

void transcript_draw(struct transcript *t, struct canvas *c, struct rect area,
                     bool *more_below)
{
    int row = 0;

    t->width = area.cols;
    t->height = area.rows;
    if (!t->follow) {
        settle(t);
        if (rows_from_top(t, t->height) < t->height)
            t->follow = true;
    }
    if (t->follow)
        place_at_end(t);
    *more_below = !t->follow && rows_from_top(t, t->height) > t->height;
    for (size_t i = t->top; i < t->n && row < area.rows; i++) {
        long n = n_rows(t, i);

        for (long r = i == t->top ? t->top_row : 0; r < n && row < area.rows; r++)
            draw_row(t->entry[i], &t->entry[i]->row[r], c, area.row + row++, area);
    }
}
