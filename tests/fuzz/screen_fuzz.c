/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: what a model says and what a terminal sends, up to the picture of the
 * screen. Whatever comes, no cell holds a control byte or half a character; an answer
 * that grows piece by piece looks as if it had come at once.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/termtext.h"
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "ui/ui_priv.h"

static struct ui *make_ui(void)
{
    static const struct ui_command commands[] = {{"/search", "", ""},
                                                 {"/quit", "", ""}};
    struct ui_options opt = {.command = commands, .n_command = 2};
    struct ui *ui = ui_create(&opt);

    ui_set_status(ui, &(struct ui_status){.state = UI_ANSWERING, .model = "m"});
    transcript_begin(ui_transcript(ui), ROLE_ASSISTANT, 0, 1);
    return ui;
}

static void check_cells(const struct canvas *c)
{
    for (int i = 0; i < c->rows * c->cols; i++) {
        const struct cell *cell = &c->cell[i];
        size_t len = strlen(cell->text);

        if (len >= CELL_TEXT_BYTES || !utf8_is_valid(cell->text, len) ||
            (cell->width > 0) != (len > 0) || cell->style >= STYLE_N)
            abort();
        for (size_t at = 0; at < len;) {
            uint32_t ch;

            at += utf8_decode(cell->text + at, len - at, &ch, NULL);
            if (ch == '\n' || ch == '\t' || termtext_is_unsafe(ch))
                abort();
        }
    }
    if (c->cursor_row >= c->rows ||
        (c->cursor_row >= 0 && (c->cursor_col < 0 || c->cursor_col >= c->cols)))
        abort();
}

/* In pieces of `step` bytes, each whole characters, looked at after each. */
static void say_in_pieces(struct ui *ui, const char *text, size_t len, size_t step,
                          int rows, int cols)
{
    struct utf8_stream stream = {0};
    struct buf whole;

    buf_init(&whole, 1 << 20);
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;

        buf_clear(&whole);
        utf8_stream_add(&stream, text + at, n, &whole);
        transcript_add_text(ui_transcript(ui), buf_text(&whole), whole.len);
        ui_compose(ui, rows, cols);
    }
    buf_clear(&whole);
    utf8_stream_end(&stream, &whole);
    transcript_add_text(ui_transcript(ui), buf_text(&whole), whole.len);
    buf_release(&whole);
    ui_compose(ui, rows, cols);
}

static void check_text(const char *text, size_t len, size_t step, int rows, int cols)
{
    struct ui *pieces = make_ui();
    struct ui *once = make_ui();

    say_in_pieces(pieces, text, len, step, rows, cols);
    check_cells(&pieces->canvas);
    say_in_pieces(once, text, len, len + 1, rows, cols);
    if (memcmp(pieces->canvas.cell, once->canvas.cell,
               (size_t)(rows * cols) * sizeof(struct cell)) != 0)
        abort();
    ui_close(pieces);
    ui_close(once);
}

/* Names and errors come from a server, models' names from file systems. */
static void check_panel(const char *text, int rows, int cols)
{
    struct ui *ui = make_ui();
    const struct ui_panel panel = {.title = text,
                                   .text = text,
                                   .figures = text,
                                   .keys = text,
                                   .done = cols,
                                   .total = rows % 4 * 100,
                                   .asks = cols % 2 == 0};

    ui_set_panel(ui, &panel);
    ui_set_models(ui, &(struct ui_model){.name = text, .note = text}, 1);
    ui_compose(ui, rows, cols);
    check_cells(&ui->canvas);
    ui_go(ui, UI_PLACE_MODELS, NULL);
    ui_compose(ui, rows, cols);
    check_cells(&ui->canvas);
    ui_close(ui);
}

static void check_keys(const char *bytes, size_t len, int rows, int cols)
{
    struct ui *ui = make_ui();
    struct ui_intent intent;

    for (size_t at = 0; at < len; at += 64) {
        ui_feed(ui, bytes + at, len - at < 64 ? len - at : 64);
        ui_compose(ui, rows, cols);
        check_cells(&ui->canvas);
        while (ui_take_intent(ui, &intent))
            ui_intent_release(&intent);
    }
    ui_close(ui);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;
    int rows;
    int cols;

    if (size < 3)
        return 0;
    rows = data[1] % 40 + 1;
    cols = data[2] % 100 + 1;
    text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (data[0] < 96)
        check_text(text + 3, size - 3, data[0] % 16u + 1, rows, cols);
    else if (data[0] < 128)
        check_panel(text + 3, rows, cols);
    else
        check_keys(text + 3, size - 3, rows, cols);
    free(text);
    return 0;
}
