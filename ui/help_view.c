/* SPDX-License-Identifier: MIT
 *
 * The help screen: made from the key table and the table of commands, so that it cannot
 * be wrong.
 */
#include "config.h"

#include <string.h>

#include "src/base/termtext.h"
#include "ui/keymap.h"
#include "ui/ui_priv.h"

enum { KEYS_COLS = 24 };

static void help_opened(struct ui *ui, const char *query)
{
    (void)query;
    ui->help_top = 0;
}

/* Draws one line when it is on the screen; counts it in any case. */
static void draw_line(struct ui *ui, struct rect area, int *line, enum style style,
                      const char *left, const char *right)
{
    struct canvas *c = &ui->canvas;
    int row = *line - ui->help_top;
    int end = area.col + area.cols;
    int keys = area.cols < 60 ? 16 : KEYS_COLS;

    (*line)++;
    if (row < 0 || row >= area.rows)
        return;
    row += area.row;
    if (right == NULL) {
        canvas_text_cut(c, row, area.col + 1, end, style, left);
        return;
    }
    canvas_text_cut(c, row, area.col + 2, area.col + keys - 1, style, left);
    canvas_text_cut(c, row, area.col + keys, end, STYLE_TEXT, right);
}

static void draw_group(struct ui *ui, struct rect area, int *line,
                       enum action_group group)
{
    struct buf keys;

    buf_init(&keys, 256);
    draw_line(ui, area, line, STYLE_HEADING, keymap_group_title(group), NULL);
    for (enum action a = ACTION_NONE + 1; a < ACTION_N; a++) {
        if (keymap_group(a) != group)
            continue;
        buf_clear(&keys);
        keymap_keys(a, &keys);
        draw_line(ui, area, line, STYLE_STRONG, buf_text(&keys), keymap_help(a));
    }
    draw_line(ui, area, line, STYLE_TEXT, "", NULL);
    buf_release(&keys);
}

static void draw_commands(struct ui *ui, struct rect area, int *line)
{
    struct buf name;

    buf_init(&name, 256);
    draw_line(ui, area, line, STYLE_HEADING, "Commands", NULL);
    for (size_t i = 0; i < ui->opt.n_command; i++) {
        const struct ui_command *cmd = &ui->opt.command[i];

        buf_clear(&name);
        buf_addf(&name, "%s %s", cmd->name, cmd->argument);
        draw_line(ui, area, line, STYLE_STRONG, buf_text(&name), cmd->help);
    }
    buf_release(&name);
}

static void help_draw(struct ui *ui, struct rect area)
{
    int line = 0;

    for (enum action_group g = GROUP_CHAT; g < GROUP_N; g++)
        draw_group(ui, area, &line, g);
    draw_commands(ui, area, &line);
    if (ui->help_top > 0 && ui->help_top > line - area.rows) {
        ui->help_top = line > area.rows ? line - area.rows : 0;
        for (int row = area.row; row < area.row + area.rows; row++)
            canvas_fill(&ui->canvas, row, area.col, area.col + area.cols, STYLE_TEXT);
        help_draw(ui, area);
    }
}

static bool help_act(struct ui *ui, enum action action)
{
    int page = ui->canvas.rows > 6 ? ui->canvas.rows - 4 : 1;

    switch (action) {
    case ACTION_UP:
    case ACTION_LINE_UP:
        ui->help_top -= 1;
        break;
    case ACTION_DOWN:
    case ACTION_LINE_DOWN:
        ui->help_top += 1;
        break;
    case ACTION_PAGE_UP:
        ui->help_top -= page;
        break;
    case ACTION_PAGE_DOWN:
    case ACTION_SEND:
        ui->help_top += page;
        break;
    default:
        return false;
    }
    if (ui->help_top < 0)
        ui->help_top = 0;
    return true;
}

static void help_typed(struct ui *ui, const char *text, size_t len)
{
    if (len == 1 && *text == 'q')
        ui_go(ui, UI_PLACE_CHAT, NULL);
}

const struct view_ops help_view = {
    .hints = "Up Down PgUp PgDn scroll · Esc leaves",
    .opened = help_opened,
    .draw = help_draw,
    .act = help_act,
    .typed = help_typed,
};
