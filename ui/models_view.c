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
    picker_begin_filter(&ui->models_picker);
    for (size_t i = 0; i < ui->n_model; i++)
        picker_offer(&ui->models_picker, i, ui->model_row[i].name);
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
    picker_begin_filter(&ui->models_picker);
}

/* The selection begins at the model that answers now. */
void ui_set_models(struct ui *ui, const struct ui_model *row, size_t n)
{
    struct picker *p = &ui->models_picker;

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
    for (size_t i = 0; i < p->n_match; i++)
        if (row[p->match[i]].is_current)
            p->selected = i;
    ui->is_dirty = true;
}

static void models_opened(struct ui *ui, const char *query)
{
    editor_set(&ui->models_picker.query, query == NULL ? "" : query);
    ui->models_picker.selected = 0;
    ui_ask(ui, UI_LIST_MODELS, NULL);
}

/* Its note, where that leaves the name half of the row. */
static const char *note_that_fits(const struct model_row *m, int cols)
{
    bool fits =
        m->note != NULL && termtext_width(m->note, strlen(m->note)) + 1 < cols / 2;

    return fits ? m->note : NULL;
}

static void draw_entry(const struct ui *ui, struct canvas *c, int row, struct rect area,
                       size_t i)
{
    const struct picker *p = &ui->models_picker;
    const struct model_row *m = &ui->model_row[p->match[i]];
    char *name = ui_safe_line(m->name);
    struct picker_entry entry = {
        .text = name,
        .note = note_that_fits(m, area.cols),
        .is_current = m->is_current,
        .is_selected = i == p->selected,
    };

    picker_draw_entry(&entry, c, row, area);
    free(name);
}

static void draw_count(const struct ui *ui, struct canvas *c, struct rect area)
{
    size_t n_match = ui->models_picker.n_match;
    char count[96];

    if (n_match == ui->n_model)
        snprintf(count, sizeof(count),
                 "%zu model%s · /pull ORG/REPO fetches another one", ui->n_model,
                 ui->n_model == 1 ? "" : "s");
    else
        snprintf(count, sizeof(count), "%zu of %zu models", n_match, ui->n_model);
    canvas_text_cut(c, area.row + 1, area.col + 2, area.col + area.cols, STYLE_DIM,
                    count);
}

static void models_draw(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    struct picker *p = &ui->models_picker;
    int rows = area.rows > LIST_TOP ? area.rows - LIST_TOP : 0;

    picker_fit(p, p->n_match, (size_t)rows);
    for (int i = 0; i < rows && p->first + (size_t)i < p->n_match; i++)
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
        if (p->selected < p->n_match)
            ui_ask(ui, UI_USE_MODEL, ui->model_row[p->match[p->selected]].name);
        ui_go(ui, UI_PLACE_CHAT, NULL);
        return true;
    }
    if (picker_act(p, action, p->n_match, page))
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
