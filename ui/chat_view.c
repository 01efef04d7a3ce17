/* SPDX-License-Identifier: MIT
 *
 * The chat: transcript above, what is typed below, and between them the line that says
 * what happens now.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "ui/block.h"
#include "ui/ui_priv.h"

enum {
    PROMPT_WIDTH = 2,  /* "> " */
    MIN_RULE_ROWS = 4, /* lower screens have no rule ... */
    MAX_NOTICE_ROWS = 4,
};

static int input_width(int cols)
{
    return cols - PROMPT_WIDTH > 1 ? cols - PROMPT_WIDTH - 1 : 1;
}

/* --- drawing ------------------------------------------------------------------------
 */

/* The rows around the cursor, `rows` of them, and the terminal's cursor: it always sits
 * in the input, where input methods open their window. */
static void draw_input(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    struct editor *e = &ui->editor;
    int width = input_width(area.cols);
    size_t n;
    const struct editor_row *rows = editor_rows(e, width, &n);
    int at;
    int col;
    int first;

    editor_cursor(e, width, &at, &col);
    first = at >= area.rows ? at - area.rows + 1 : 0;
    for (int i = 0; i < area.rows && first + i < (int)n; i++) {
        const struct editor_row *r = &rows[first + i];
        int end = area.col + area.cols;

        canvas_text(c, area.row + i, area.col, end, STYLE_PROMPT,
                    first + i == 0 ? "> " : "  ");
        canvas_put(c, area.row + i, area.col + PROMPT_WIDTH, end, STYLE_TEXT,
                   buf_text(&e->text) + r->start, r->shown - r->start);
    }
    c->cursor_row = area.row + at - first;
    c->cursor_col = area.col + PROMPT_WIDTH + col;
    if (c->cursor_col >= c->cols)
        c->cursor_col = c->cols - 1;
}

static void draw_transcript(struct ui *ui, struct rect area, bool *more)
{
    struct rect inner = area;

    *more = false;
    if (area.rows <= 0)
        return;
    if (area.cols > 20) {
        inner.col += 1;
        inner.cols -= 2;
    }
    if (!transcript_is_empty(ui->transcript))
        transcript_draw(ui->transcript, &ui->canvas, inner, more);
    else if (ui->welcome != NULL)
        block_draw(&ui->canvas, inner, STYLE_TEXT, ui->welcome);
}

/* Rows that a notice takes; it is drawn where the last of them is at row `end`. */
static int draw_notice(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    enum style style = ui->notice.kind == UI_ERROR ? STYLE_ERROR : STYLE_NOTICE;
    struct rect at = {area.row, area.col + 1, 0, area.cols - 2};
    int rows = MAX_NOTICE_ROWS < area.rows / 2 ? MAX_NOTICE_ROWS : area.rows / 2;
    int need;

    if (ui->notice.text == NULL || area.cols < 8)
        return 0;
    need = block_rows(ui->notice.text, at.cols);
    at.rows = need < rows ? need : rows;
    at.row = area.row + area.rows - at.rows;
    block_draw(c, at, style, ui->notice.text);
    return at.rows;
}

static int draw_queue(struct ui *ui, struct rect area)
{
    struct canvas *c = &ui->canvas;
    int row = area.row + area.rows - 1;
    int end = area.col + area.cols;
    int col;

    if (ui->n_queued == 0 || area.rows < 4)
        return 0;
    col = canvas_text(c, row, area.col + 1, end, STYLE_DIM,
                      ui->n_queued == 1 ? "queued: " : "queued, next: ");
    canvas_text_cut(c, row, col, end - 1, STYLE_DIM, ui->queued);
    return 1;
}

static void chat_draw(struct ui *ui, struct rect area)
{
    size_t n;
    int input_rows;
    struct rect input = area;
    struct rect upper = area;
    bool more;
    bool has_rule = area.rows >= MIN_RULE_ROWS;

    editor_rows(&ui->editor, input_width(area.cols), &n);
    input_rows = area.rows / 3 > 1 ? area.rows / 3 : 1;
    if ((int)n < input_rows)
        input_rows = (int)n;
    input.row = area.row + area.rows - input_rows;
    input.rows = input_rows;
    draw_input(ui, input);
    upper.rows = area.rows - input_rows - (has_rule ? 1 : 0);
    upper.rows -= draw_queue(ui, upper);
    upper.rows -= draw_notice(ui, upper);
    upper.rows -= panel_draw(&ui->panel, &ui->canvas, upper);
    draw_transcript(ui, upper, &more);
    if (has_rule)
        status_draw_rule(ui, &ui->canvas, input.row - 1, area.col, area.col + area.cols,
                         more);
}

/* --- keys ---------------------------------------------------------------------------
 */

static void submit(struct ui *ui)
{
    char *text;

    if (ui->panel.asks && editor_is_empty(&ui->editor))
        ui_ask(ui, UI_ACCEPT, NULL);
    if (strspn(buf_text(&ui->editor.text), " \t\n") == ui->editor.text.len)
        return;
    ui_notice(ui, UI_NOTICE, 0, NULL);
    text = editor_take(&ui->editor);
    transcript_to_end(ui->transcript);
    ui_ask(ui, UI_SUBMIT, text);
    free(text);
}

/* Completes a /command as far as it is certain. */
static void complete(struct ui *ui)
{
    const char *typed = buf_text(&ui->editor.text);
    const char *best = NULL;
    size_t common = 0;
    size_t n_found = 0;

    for (size_t i = 0; i < ui->opt.n_command; i++) {
        const char *name = ui->opt.command[i].name;

        if (strncmp(name, typed, ui->editor.text.len) != 0)
            continue;
        if (n_found++ == 0) {
            best = name;
            common = strlen(name);
        }
        while (strncmp(best, name, common) != 0)
            common--;
    }
    if (n_found == 0 || common < ui->editor.text.len)
        return;
    editor_insert(&ui->editor, best + ui->editor.text.len,
                  common - ui->editor.text.len);
    if (n_found == 1)
        editor_insert(&ui->editor, " ", 1);
}

static int page_rows(const struct ui *ui)
{
    return ui->canvas.rows > 12 ? ui->canvas.rows - 8 : ui->canvas.rows / 2;
}

static bool act_reading(struct ui *ui, enum action action)
{
    struct transcript *t = ui->transcript;
    const struct editor *e = &ui->editor;

    switch (action) {
    case ACTION_PAGE_UP:
        transcript_scroll(t, -page_rows(ui));
        return true;
    case ACTION_PAGE_DOWN:
        transcript_scroll(t, page_rows(ui));
        return true;
    case ACTION_LINE_UP:
    case ACTION_LINE_DOWN:
        transcript_scroll(t, action == ACTION_LINE_UP ? -1 : 1);
        return true;
    case ACTION_TOP:
        transcript_to_top(t);
        return true;
    case ACTION_BOTTOM:
        transcript_to_end(t);
        return true;
    case ACTION_LINE_START:
        if (!editor_is_empty(e))
            return false;
        transcript_to_top(t);
        return true;
    case ACTION_LINE_END:
        if (e->cursor < e->text.len)
            return false;
        transcript_to_end(t);
        return true;
    default:
        return false;
    }
}

static bool chat_act(struct ui *ui, enum action action)
{
    struct editor *e = &ui->editor;

    switch (action) {
    case ACTION_SEND:
        submit(ui);
        return true;
    case ACTION_NEWLINE:
        editor_insert(e, "\n", 1);
        return true;
    case ACTION_END_OF_INPUT:
        if (editor_is_empty(e))
            ui_ask(ui, UI_QUIT, NULL);
        else
            editor_delete(e, EDITOR_RIGHT);
        return true;
    case ACTION_FOLD:
        if (buf_text(&e->text)[0] == '/')
            complete(ui);
        else
            transcript_toggle_thinking(ui->transcript);
        return true;
    default:
        break;
    }
    if (act_reading(ui, action) || ui_edit(e, action, input_width(ui->canvas.cols)))
        return true;
    if (action == ACTION_UP || action == ACTION_DOWN) {
        editor_recall(e, action == ACTION_UP ? -1 : 1);
        return true;
    }
    return false;
}

static void chat_typed(struct ui *ui, const char *text, size_t len)
{
    editor_insert(&ui->editor, text, len);
}

const struct view_ops chat_view = {
    .hints = "Enter send · ^J line · Esc stop · F1 help · F2 sessions · F3 search "
             "· F4 models",
    .draw = chat_draw,
    .act = chat_act,
    .typed = chat_typed,
};
