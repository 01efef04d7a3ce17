/* SPDX-License-Identifier: MIT
 *
 * The panel above the input: something that goes on beside the chat. From top to
 * bottom a title, a text, a bar with its figures, and what keys do about it; where the
 * room is short the text gives way first, then the title.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "ui/block.h"
#include "ui/ui_priv.h"

enum { MAX_TEXT_BYTES = 4096, LEAST_COLS = 8, LEAST_GAUGE = 8, MOST_GAUGE = 40 };

void panel_clear(struct panel *p)
{
    free(p->title);
    free(p->text);
    free(p->figures);
    free(p->keys);
    memset(p, 0, sizeof(*p));
}

static char *safe_text(const char *text)
{
    struct buf safe;

    if (text == NULL)
        return NULL;
    buf_init(&safe, MAX_TEXT_BYTES);
    termtext_add(&safe, text, strlen(text)); /* a long text is cut */
    return buf_take(&safe, NULL);
}

void ui_set_panel(struct ui *ui, const struct ui_panel *panel)
{
    struct panel *p = &ui->panel;

    panel_clear(p);
    ui->is_dirty = true;
    if (panel == NULL)
        return;
    p->title = ui_safe_line(panel->title);
    p->text = safe_text(panel->text);
    p->figures = ui_safe_line(panel->figures);
    p->keys = ui_safe_line(panel->keys);
    p->kind = panel->kind;
    p->done = panel->done;
    p->total = panel->total;
    p->asks = panel->asks;
}

/* A line across with the title in it. */
static void draw_title(const struct panel *p, struct canvas *c, int row,
                       struct rect area)
{
    int end = area.col + area.cols;
    int col = area.col + 2;

    canvas_rule(c, row, area.col, end, STYLE_RULE, "─");
    canvas_text(c, row, col, end, STYLE_TEXT, " ");
    col = canvas_text_cut(c, row, col + 1, end - 3, STYLE_STRONG, p->title);
    canvas_text(c, row, col, end, STYLE_TEXT, " ");
}

static void draw_bar(const struct panel *p, struct canvas *c, int row, struct rect area)
{
    int end = area.col + area.cols;
    int cells = area.cols / 4;
    int full;

    if (cells < LEAST_GAUGE)
        cells = LEAST_GAUGE;
    if (cells > MOST_GAUGE)
        cells = MOST_GAUGE;
    full =
        p->done < p->total ? (int)((double)p->done / (double)p->total * cells) : cells;
    for (int i = 0; i < cells; i++)
        canvas_text(c, row, area.col + 1 + i, end, STYLE_PROMPT, i < full ? "▰" : "▱");
    if (p->figures != NULL)
        canvas_text_cut(c, row, area.col + cells + 2, end - 1, STYLE_TEXT, p->figures);
}

static enum style text_style(const struct panel *p)
{
    return p->kind == UI_ERROR ? STYLE_ERROR : STYLE_TEXT;
}

/* Draws the panel at the bottom of the area; returns how many rows it took. */
int panel_draw(const struct panel *p, struct canvas *c, struct rect area)
{
    struct rect text = {area.row, area.col + 1, 0, area.cols - 2};
    bool has_bar = p->total > 0;
    int left = p->asks ? area.rows - 1 : area.rows / 2; /* the chat keeps the rest */
    int row = area.row + area.rows;
    bool has_title;

    if (p->title == NULL || area.cols < LEAST_COLS || left < 1)
        return 0;
    if (p->keys != NULL && (left > 1 || !has_bar)) {
        canvas_text_cut(c, --row, text.col, text.col + text.cols,
                        p->asks ? STYLE_NOTICE : STYLE_DIM, p->keys);
        left--;
    }
    if (has_bar && left > 0) {
        draw_bar(p, c, --row, area);
        left--;
    }
    has_title = left > 0;
    text.rows = left - 1;
    if (p->text != NULL && text.rows > 0) {
        int need = block_rows(p->text, text.cols);

        text.rows = need < text.rows ? need : text.rows;
        row -= text.rows;
        text.row = row;
        block_draw(c, text, text_style(p), p->text);
    }
    if (has_title)
        draw_title(p, c, --row, area);
    return area.row + area.rows - row;
}
