/* SPDX-License-Identifier: MIT
 *
 * Search in all messages: hits with their snippets while one types; Enter opens the
 * session at the hit.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "ui/ui_priv.h"

enum {
    LIST_TOP = 2,   /* rows above the hits: the query, and a count */
    ENTRY_ROWS = 2, /* title and snippet */
    MAX_SNIPPET_BYTES = 4096,
};

void search_clear(struct ui *ui)
{
    for (size_t i = 0; i < ui->n_hit; i++) {
        free(ui->hit[i].session);
        free(ui->hit[i].title);
        free(ui->hit[i].found);
        styled_release(&ui->hit[i].snippet);
    }
    free(ui->hit);
    ui->hit = NULL;
    ui->n_hit = 0;
}

static void add_safe(struct styled *out, enum style style, const char *text, size_t len)
{
    struct buf safe;

    buf_init(&safe, MAX_SNIPPET_BYTES);
    termtext_add_line(&safe, text, len); /* a long one is cut */
    styled_add(out, style, buf_text(&safe), safe.len);
    buf_release(&safe);
}

static void set_snippet(struct hit_row *row, const struct ui_hit *hit)
{
    struct styled *out = &row->snippet;
    size_t len = strlen(hit->snippet);
    size_t mark = hit->mark < len ? hit->mark : len;
    size_t n = hit->mark_len < len - mark ? hit->mark_len : len - mark;

    styled_init(out);
    add_safe(out, STYLE_DIM, hit->snippet, mark);
    add_safe(out, STYLE_MATCH, hit->snippet + mark, n);
    row->mark_end = out->text.len;
    add_safe(out, STYLE_DIM, hit->snippet + mark + n, len - mark - n);
    row->found = mem_dup_n(hit->snippet + mark, n);
}

void ui_set_hits(struct ui *ui, const struct ui_hit *row, size_t n)
{
    search_clear(ui);
    if (n > 0)
        ui->hit = mem_array(n, sizeof(*ui->hit));
    ui->n_hit = n;
    for (size_t i = 0; i < n; i++) {
        ui->hit[i] = (struct hit_row){
            .session = mem_dup(row[i].session),
            .title = ui_safe_line(row[i].title),
            .message = row[i].message,
            .time_ms = row[i].time_ms,
            .role = row[i].role,
        };
        set_snippet(&ui->hit[i], &row[i]);
    }
    ui->hits_due = false;
    ui->is_dirty = true;
}

static void ask(struct ui *ui)
{
    ui->search_picker.selected = 0;
    ui->hits_due = true;
    ui_ask(ui, UI_SEARCH, buf_text(&ui->search_picker.query.text));
}

/* The last query is still there, to go on from. */
static void search_opened(struct ui *ui, const char *query)
{
    if (query != NULL)
        editor_set(&ui->search_picker.query, query);
    ask(ui);
}

/* The snippet, from where its mark can be seen. */
static void draw_snippet(const struct hit_row *h, struct canvas *c, int row, int col,
                         int col_end)
{
    const char *text = buf_text(&h->snippet.text);
    size_t end = h->mark_end;
    size_t from = 0;
    int width;

    while (from < end && termtext_width(text + from, end - from) > col_end - col - 2)
        from += termtext_cluster(text + from, end - from, &width);
    if (from > 0)
        col = canvas_text(c, row, col, col_end, STYLE_DIM, "…");
    styled_draw(&h->snippet, from, h->snippet.text.len - from, c, row, col, col_end);
}

static void draw_hit(const struct ui *ui, struct canvas *c, int row, struct rect area,
                     size_t i)
{
    const struct hit_row *h = &ui->hit[i];
    bool selected = i == ui->search_picker.selected;
    enum style style = selected ? STYLE_SELECTED : STYLE_STRONG;
    int end = area.col + area.cols;
    char right[48];
    char age[16];

    ui_format_age(h->time_ms, clock_utc_ms(), age);
    snprintf(right, sizeof(right), "%s  %s ", h->role == ROLE_USER ? "you" : "", age);
    if (selected)
        canvas_fill(c, row, area.col, end, style);
    canvas_text(c, row, end - (int)strlen(right), end, selected ? style : STYLE_DIM,
                right);
    canvas_text_cut(c, row, area.col + 2, end - (int)strlen(right) - 1, style,
                    h->title != NULL ? h->title : "(no title)");
    draw_snippet(h, c, row + 1, area.col + 4, end - 1);
}

static void search_draw(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    struct picker *p = &ui->search_picker;
    int rows = area.rows > LIST_TOP ? (area.rows - LIST_TOP) / ENTRY_ROWS : 0;
    char count[64] = "words, a \"phrase\", or a prefix*";

    picker_fit(p, ui->n_hit, (size_t)rows);
    for (int i = 0; i < rows && p->first + (size_t)i < ui->n_hit; i++)
        draw_hit(ui, c, area.row + LIST_TOP + i * ENTRY_ROWS, area,
                 p->first + (size_t)i);
    if (!editor_is_empty(&p->query) && !ui->hits_due)
        snprintf(count, sizeof(count), ui->n_hit == 1 ? "%zu hit" : "%zu hits",
                 ui->n_hit);
    if (area.rows > 1)
        canvas_text(c, area.row + 1, area.col + 2, area.col + area.cols, STYLE_DIM,
                    count);
    picker_draw_query(p, c, area.row, area.col, area.col + area.cols - 1, " search: ");
}

static bool search_act(struct ui *ui, enum action action)
{
    struct picker *p = &ui->search_picker;
    size_t page = ui->canvas.rows > 10 ? ((size_t)ui->canvas.rows - 6) / ENTRY_ROWS : 1;
    size_t len = p->query.text.len;

    if (action == ACTION_SEND) {
        if (p->selected < ui->n_hit) {
            const struct hit_row *hit = &ui->hit[p->selected];

            ui_ask_open(ui, hit->session, hit->message, hit->found);
            ui_go(ui, UI_PLACE_CHAT, NULL);
        }
        return true;
    }
    if (picker_act(p, action, ui->n_hit, page))
        return true;
    if (!ui_edit(&p->query, action, 1000))
        return false;
    if (p->query.text.len != len)
        ask(ui);
    return true;
}

static void search_typed(struct ui *ui, const char *text, size_t len)
{
    picker_typed(&ui->search_picker, text, len);
    ask(ui);
}

const struct view_ops search_view = {
    .hints = "type to search · Up Down choose · Enter opens at the hit · Esc back",
    .opened = search_opened,
    .draw = search_draw,
    .act = search_act,
    .typed = search_typed,
};
