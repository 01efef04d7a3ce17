/* SPDX-License-Identifier: MIT
 *
 * The list of sessions: newest first, filtered by what is typed, opened by Enter.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "ui/ui_priv.h"

enum { LIST_TOP = 2 }; /* rows above the entries: the query, and a count */

static const char *title_of(const struct session_row *s)
{
    return s->title != NULL ? s->title : "(no title)";
}

static void filter(struct ui *ui)
{
    picker_begin_filter(&ui->sessions_picker);
    for (size_t i = 0; i < ui->n_session; i++)
        picker_offer(&ui->sessions_picker, i, title_of(&ui->session[i]));
}

void sessions_clear(struct ui *ui)
{
    for (size_t i = 0; i < ui->n_session; i++) {
        free(ui->session[i].id);
        free(ui->session[i].title);
    }
    free(ui->session);
    ui->session = NULL;
    ui->n_session = 0;
    picker_begin_filter(&ui->sessions_picker);
}

void ui_set_sessions(struct ui *ui, const struct ui_session *row, size_t n)
{
    sessions_clear(ui);
    if (n > 0)
        ui->session = mem_array(n, sizeof(*ui->session));
    ui->n_session = n;
    for (size_t i = 0; i < n; i++) {
        ui->session[i] = (struct session_row){
            .id = mem_dup(row[i].id),
            .title = ui_safe_line(row[i].title),
            .updated_ms = row[i].updated_ms,
            .n_messages = row[i].n_messages,
            .is_current = row[i].is_current,
        };
    }
    filter(ui);
    ui->is_dirty = true;
}

/* Whatever else is pressed than Alt-d again, nothing is deleted. */
static void spare(struct ui *ui)
{
    free(ui->doomed);
    ui->doomed = NULL;
}

static void sessions_opened(struct ui *ui, const char *query)
{
    spare(ui);
    editor_set(&ui->sessions_picker.query, query == NULL ? "" : query);
    ui->sessions_picker.selected = 0;
    ui_ask(ui, UI_LIST_SESSIONS, NULL);
}

static void draw_entry(const struct ui *ui, struct canvas *c, int row, struct rect area,
                       size_t i)
{
    const struct picker *p = &ui->sessions_picker;
    const struct session_row *s = &ui->session[p->match[i]];
    char age[16];
    struct picker_entry entry = {
        .text = title_of(s),
        .note = age,
        .is_current = s->is_current,
        .is_selected = i == p->selected,
    };

    ui_format_age(s->updated_ms, clock_utc_ms(), age);
    picker_draw_entry(&entry, c, row, area);
}

static void sessions_draw(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    struct picker *p = &ui->sessions_picker;
    int rows = area.rows > LIST_TOP ? area.rows - LIST_TOP : 0;
    char count[64];

    picker_fit(p, p->n_match, (size_t)rows);
    for (int i = 0; i < rows && p->first + (size_t)i < p->n_match; i++)
        draw_entry(ui, c, area.row + LIST_TOP + i, area, p->first + (size_t)i);
    if (ui->doomed != NULL)
        snprintf(count, sizeof(count), "Alt-d again deletes it for good");
    else if (p->n_match == ui->n_session)
        snprintf(count, sizeof(count), "%zu session%s", ui->n_session,
                 ui->n_session == 1 ? "" : "s");
    else
        snprintf(count, sizeof(count), "%zu of %zu sessions", p->n_match,
                 ui->n_session);
    if (area.rows > 1)
        canvas_text(c, area.row + 1, area.col + 2, area.col + area.cols,
                    ui->doomed != NULL ? STYLE_ERROR : STYLE_DIM, count);
    picker_draw_query(p, c, area.row, area.col, area.col + area.cols - 1,
                      " sessions: ");
}

static const struct session_row *selected(const struct ui *ui)
{
    const struct picker *p = &ui->sessions_picker;

    return p->selected < p->n_match ? &ui->session[p->match[p->selected]] : NULL;
}

static void open_selected(struct ui *ui)
{
    const struct session_row *s = selected(ui);

    if (s != NULL)
        ui_ask_open(ui, s->id, 0, NULL);
    ui_go(ui, UI_PLACE_CHAT, NULL);
}

/* Opens it, with the command typed that names it. */
static void rename_selected(struct ui *ui)
{
    const struct session_row *s = selected(ui);
    struct buf command;

    if (s == NULL)
        return;
    buf_init(&command, 65536);
    buf_addf(&command, "/title %s", s->title != NULL ? s->title : "");
    open_selected(ui);
    ui_set_draft(ui, buf_text(&command));
    buf_release(&command);
}

/* The first time it only asks. */
static void delete_selected(struct ui *ui)
{
    const struct session_row *s = selected(ui);

    if (s == NULL)
        return;
    if (ui->doomed != NULL && strcmp(ui->doomed, s->id) == 0) {
        ui_ask(ui, UI_DELETE_SESSION, ui->doomed);
        spare(ui);
    } else {
        spare(ui);
        ui->doomed = mem_dup(s->id);
    }
}

static bool sessions_act(struct ui *ui, enum action action)
{
    struct picker *p = &ui->sessions_picker;
    size_t page = ui->canvas.rows > 8 ? (size_t)ui->canvas.rows - 6 : 1;

    if (action != ACTION_DELETE)
        spare(ui);
    if (action == ACTION_SEND || action == ACTION_RENAME || action == ACTION_DELETE) {
        if (action == ACTION_SEND)
            open_selected(ui);
        else if (action == ACTION_RENAME)
            rename_selected(ui);
        else
            delete_selected(ui);
        return true;
    }
    if (picker_act(p, action, p->n_match, page))
        return true;
    if (!ui_edit(&p->query, action, 1000))
        return false;
    filter(ui);
    return true;
}

static void sessions_typed(struct ui *ui, const char *text, size_t len)
{
    spare(ui);
    picker_typed(&ui->sessions_picker, text, len);
    filter(ui);
}

const struct view_ops sessions_view = {
    .hints = "Enter opens · Esc back · Alt-n new · Alt-r rename · Alt-d delete",
    .opened = sessions_opened,
    .draw = sessions_draw,
    .act = sessions_act,
    .typed = sessions_typed,
};
