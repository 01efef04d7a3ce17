/* SPDX-License-Identifier: MIT
 *
 * Query and list: see picker.h.
 */
#include "config.h"

#include "ui/picker.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"

void picker_init(struct picker *p)
{
    memset(p, 0, sizeof(*p));
    editor_init(&p->query);
}

void picker_release(struct picker *p)
{
    editor_release(&p->query);
    free(p->match);
}

bool picker_act(struct picker *p, enum action action, size_t n, size_t page)
{
    size_t step = action == ACTION_PAGE_UP || action == ACTION_PAGE_DOWN ? page : 1;

    switch (action) {
    case ACTION_UP:
    case ACTION_LINE_UP:
    case ACTION_PAGE_UP:
        p->selected = p->selected > step ? p->selected - step : 0;
        return true;
    case ACTION_DOWN:
    case ACTION_LINE_DOWN:
    case ACTION_PAGE_DOWN:
        p->selected += step;
        if (p->selected >= n)
            p->selected = n > 0 ? n - 1 : 0;
        return true;
    case ACTION_TOP:
        p->selected = 0;
        return true;
    case ACTION_BOTTOM:
        p->selected = n > 0 ? n - 1 : 0;
        return true;
    default:
        return false;
    }
}

void picker_typed(struct picker *p, const char *text, size_t len)
{
    size_t line = 0;

    while (line < len && text[line] != '\n' && text[line] != '\r')
        line++;
    editor_insert(&p->query, text, line);
    p->selected = 0;
}

static bool passes(const struct picker *p, const char *text)
{
    const char *filter = buf_text(&p->query.text);

    while (*filter != '\0') {
        size_t len = strcspn(filter, " ");
        bool found = len == 0;

        for (const char *at = text; *at != '\0' && !found; at++)
            found = strncasecmp(at, filter, len) == 0;
        if (!found)
            return false;
        filter += len + (filter[len] == ' ' ? 1 : 0);
    }
    return true;
}

void picker_begin_filter(struct picker *p)
{
    p->n_match = 0;
}

void picker_offer(struct picker *p, size_t i, const char *text)
{
    if (!passes(p, text))
        return;
    p->match = mem_grow(p->match, &p->match_cap, p->n_match + 1, sizeof(*p->match));
    p->match[p->n_match++] = i;
}

void picker_fit(struct picker *p, size_t n, size_t page)
{
    if (p->selected >= n)
        p->selected = n > 0 ? n - 1 : 0;
    if (page == 0)
        page = 1;
    if (p->first > p->selected)
        p->first = p->selected;
    if (p->selected - p->first >= page)
        p->first = p->selected - page + 1;
    if (n <= page)
        p->first = 0;
}

void picker_draw_entry(const struct picker_entry *e, struct canvas *c, int row,
                       struct rect area)
{
    enum style style = e->is_selected ? STYLE_SELECTED : STYLE_TEXT;
    int end = area.col + area.cols;
    int note_col = end;

    if (e->is_selected)
        canvas_fill(c, row, area.col, end, style);
    canvas_text(c, row, area.col, end, e->is_selected ? style : STYLE_PROMPT,
                e->is_current ? "▌" : " ");
    if (e->note != NULL) {
        note_col -= termtext_width(e->note, strlen(e->note)) + 1;
        canvas_text(c, row, note_col, end, e->is_selected ? style : STYLE_DIM, e->note);
    }
    canvas_text_cut(c, row, area.col + 2, note_col - 1, style, e->text);
}

void picker_draw_query(struct picker *p, struct canvas *c, int row, int col,
                       int col_end, const char *prompt)
{
    const struct editor *e = &p->query;
    const char *text = buf_text(&e->text);
    size_t from = 0;
    int width;

    col = canvas_text(c, row, col, col_end, STYLE_PROMPT, prompt);
    /* The part before the cursor that fits. */
    while (from < e->cursor &&
           termtext_width(text + from, e->cursor - from) >= col_end - col)
        from += termtext_cluster(text + from, e->text.len - from, &width);
    canvas_put(c, row, col, col_end, STYLE_TEXT, text + from, e->text.len - from);
    if (row < c->rows) {
        c->cursor_row = row;
        c->cursor_col = col + termtext_width(text + from, e->cursor - from);
        if (c->cursor_col >= c->cols)
            c->cursor_col = c->cols - 1;
    }
}
