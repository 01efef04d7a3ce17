/* SPDX-License-Identifier: MIT
 *
 * The bar on top (model, device, session, context, speed) and the line above the input
 * (what happens now). Only figures that are true at this moment are shown.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "src/base/termtext.h"
#include "ui/ui_priv.h"

enum { GAUGE_CELLS = 10 };

static void add_gauge(struct buf *out, int done, int total)
{
    int full = (int)((long)done * GAUGE_CELLS / (total > 0 ? total : 1));

    for (int i = 0; i < GAUGE_CELLS; i++)
        buf_add_text(out, i < full ? "▰" : "▱");
}

static int percent(int part, int whole)
{
    return whole > 0 ? (int)((long)part * 100 / whole) : 0;
}

/* "ctx 3412/32768 10%  21.4 tok/s" */
static void add_figures(const struct ui_status *s, int cols, struct buf *out)
{
    if (s->ctx_size > 0 && s->ctx_used < 0) {
        buf_addf(out, "ctx ?/%d", s->ctx_size);
    } else if (s->ctx_size > 0) {
        buf_addf(out, "ctx %d/%d ", s->ctx_used, s->ctx_size);
        if (cols >= 90)
            add_gauge(out, s->ctx_used, s->ctx_size);
        if (cols >= 60)
            buf_addf(out, " %d%%", percent(s->ctx_used, s->ctx_size));
    }
    if (s->tokens_per_s > 0)
        buf_addf(out, "  %.*f tok/s", s->tokens_per_s < 100 ? 1 : 0,
                 (double)s->tokens_per_s);
    buf_add_text(out, " ");
}

void status_draw_bar(const struct ui *ui, struct canvas *c, int row)
{
    const struct ui_status *s = &ui->status;
    struct buf figures;
    int end = c->cols;
    int col;

    buf_init(&figures, 256);
    add_figures(s, c->cols, &figures);
    end -= termtext_width(buf_text(&figures), figures.len);
    canvas_fill(c, row, 0, c->cols, STYLE_BAR);
    if (end > 0)
        canvas_text(c, row, end, c->cols, STYLE_BAR, buf_text(&figures));
    buf_release(&figures);
    col = canvas_text(c, row, 0, end, STYLE_BAR, c->cols >= 60 ? " hadal  " : " ");
    if (s->model != NULL && end - col > 4)
        col = canvas_text_cut(c, row, col, end - 1, STYLE_BAR, s->model);
    if (s->device != NULL && c->cols >= 70 && end - col > (int)strlen(s->device) + 3)
        col = canvas_text_cut(c, row, col + 2, end - 1, STYLE_BAR, s->device);
    if (ui->title != NULL && end - col > 12)
        canvas_text_cut(c, row, col + 3, end - 2, STYLE_BAR, ui->title);
}

static void add_state(const struct ui *ui, struct buf *out)
{
    const struct ui_status *s = &ui->status;

    switch (s->state) {
    case UI_LOADING:
        buf_add_text(out, " loading model… ");
        break;
    case UI_PREFILL:
        buf_addf(out, " reading prompt %d/%d ", s->done, s->total);
        add_gauge(out, s->done, s->total);
        buf_add_text(out, " · Esc stops ");
        break;
    case UI_ANSWERING:
        if (s->n_tokens > 0)
            buf_addf(out, " answering · %d tokens · Esc stops ", s->n_tokens);
        else
            buf_add_text(out, " answering · Esc stops ");
        break;
    case UI_READY:
        break;
    }
}

void status_draw_rule(const struct ui *ui, struct canvas *c, int row, int col,
                      int col_end, bool more_below)
{
    static const char more[] = " ▼ more below ";
    struct buf state;
    int width = termtext_width(more, sizeof(more) - 1);

    buf_init(&state, 512);
    add_state(ui, &state);
    canvas_rule(c, row, col, col_end, STYLE_RULE, "─");
    if (more_below && col_end - col >= width + 2)
        canvas_text(c, row, col_end - width - 1, col_end, STYLE_NOTICE, more);
    if (state.len > 0)
        canvas_text(c, row, col + 1, more_below ? col_end - width - 1 : col_end,
                    STYLE_DIM, buf_text(&state));
    buf_release(&state);
}
