/* SPDX-License-Identifier: MIT
 *
 * The list of models that are on this machine: filtered by what is typed; Enter lets
 * the chosen one answer from now on.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "ui/ui_priv.h"

enum { LIST_TOP = 2 }; /* rows above the entries: the query, and a count */

static void filter(struct ui *ui)
{
    ui->n_model_match = 0;
    for (size_t i = 0; i < ui->n_model; i++) {
        if (!picker_passes(&ui->models_picker, ui->model_row[i].name))
            continue;
        ui->model_match = mem_grow(ui->model_match, &ui->model_match_cap,
                                   ui->n_model_match + 1, sizeof(*ui->model_match));
        ui->model_match[ui->n_model_match++] = i;
    }
}

void models_clear(struct ui *ui)
{
    for (size_t i = 0; i < ui->n_model; i++) {
        free(ui->model_row[i].name);
        free(ui->model_row[i].note);
    }
    free(ui->model_row);
    ui->model_row = NULL;
    ui->n_model = 0;
    ui->n_model_match = 0;
}

/* The selection begins at the model that answers now. */
void ui_set_models(struct ui *ui, const struct ui_model *row, size_t n)
{
    models_clear(ui);
    if (n > 0)
        ui->model_row = mem_array(n, sizeof(*ui->model_row));
    ui->n_model = n;
    for (size_t i = 0; i < n; i++)
        ui->model_row[i] = (struct model_row){
            .name = mem_dup(row[i].name),
            .note = ui_safe_line(row[i].note),
            .is_current = row[i].is_current,
        };
    filter(ui);
    for (size_t i = 0; i < ui->n_model_match; i++)
        if (row[ui->model_match[i]].is_current)
            ui->models_picker.selected = i;
    ui->is_dirty = true;
}

static void models_opened(struct ui *ui, const char *query)
{
    editor_set(&ui->models_picker.query, query == NULL ? "" : query);
    ui->models_picker.selected = 0;
    ui_ask(ui, UI_LIST_MODELS, NULL);
}

static void draw_entry(const struct ui *ui, struct canvas *c, int row, struct rect area,
                       size_t i)
{
    const struct model_row *m = &ui->model_row[ui->model_match[i]];
    bool selected = i == ui->models_picker.selected;
    enum style style = selected ? STYLE_SELECTED : STYLE_TEXT;
    char *name = ui_safe_line(m->name);
    int end = area.col + area.cols;
    int note = 0;

    if (selected)
        canvas_fill(c, row, area.col, end, style);
    canvas_text(c, row, area.col, end, selected ? style : STYLE_PROMPT,
                m->is_current ? "▌" : " ");
    if (m->note != NULL)
        note = termtext_width(m->note, strlen(m->note)) + 1;
    if (note > 0 && note < area.cols / 2)
        canvas_text(c, row, end - note, end, selected ? style : STYLE_DIM, m->note);
    else
        note = 0;
    canvas_text_cut(c, row, area.col + 2, end - note - 1, style, name);
    free(name);
}

static void draw_count(const struct ui *ui, struct canvas *c, struct rect area)
{
    char count[96];

    if (ui->n_model_match == ui->n_model)
        snprintf(count, sizeof(count),
                 "%zu model%s · /pull ORG/REPO fetches another one", ui->n_model,
                 ui->n_model == 1 ? "" : "s");
    else
        snprintf(count, sizeof(count), "%zu of %zu models", ui->n_model_match,
                 ui->n_model);
    canvas_text_cut(c, area.row + 1, area.col + 2, area.col + area.cols, STYLE_DIM,
                    count);
}

static void models_draw(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    struct picker *p = &ui->models_picker;
    int rows = area.rows > LIST_TOP ? area.rows - LIST_TOP : 0;

    picker_fit(p, ui->n_model_match, (size_t)rows);
    for (int i = 0; i < rows && p->first + (size_t)i < ui->n_model_match; i++)
        draw_entry(ui, c, area.row + LIST_TOP + i, area, p->first + (size_t)i);
    if (area.rows > 1)
        draw_count(ui, c, area);
    picker_draw_query(p, c, area.row, area.col, area.col + area.cols - 1, " models: ");
}

static bool models_act(struct ui *ui, enum action action)
{
    struct picker *p = &ui->models_picker;
    size_t page = ui->canvas.rows > 8 ? (size_t)ui->canvas.rows - 6 : 1;

    if (action == ACTION_SEND) {
        if (p->selected < ui->n_model_match)
            ui_ask(ui, UI_USE_MODEL, ui->model_row[ui->model_match[p->selected]].name);
        ui_go(ui, UI_PLACE_CHAT, NULL);
        return true;
    }
    if (picker_act(p, action, ui->n_model_match, page))
        return true;
    if (!ui_edit(&p->query, action, 1000))
        return false;
    filter(ui);
    return true;
}

static void models_typed(struct ui *ui, const char *text, size_t len)
{
    picker_typed(&ui->models_picker, text, len);
    filter(ui);
}

const struct view_ops models_view = {
    .hints = "Enter goes on with it · Esc back",
    .opened = models_opened,
    .draw = models_draw,
    .act = models_act,
    .typed = models_typed,
};
