/* SPDX-License-Identifier: MIT
 *
 * Views without a terminal: keys go in, the canvas is looked at.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/termtext.h"
#include "tests/test.h"
#include "ui/ui_priv.h"

static const struct ui_command commands[] = {
    {"/search", "WORDS", "search"},
    {"/sessions", "", "list"},
    {"/quit", "", "leave"},
};

static struct ui *make_ui(void)
{
    struct ui_options opt = {.theme = THEME_MONO, .command = commands, .n_command = 3};
    struct ui *ui = ui_create(&opt);

    ui_set_status(ui, &(struct ui_status){.state = UI_READY, .model = "m"});
    return ui;
}

static void feed(struct ui *ui, const char *bytes)
{
    ui_feed(ui, bytes, strlen(bytes));
}

static void row_is(struct ui *ui, int row, const char *text, int line)
{
    struct buf out;

    buf_init(&out, 65536);
    canvas_row_text(&ui->canvas, row, &out);
    if (strcmp(buf_text(&out), text) != 0)
        test_fail(__FILE__, line, "row %d is '%s', expected '%s'", row, buf_text(&out),
                  text);
    buf_release(&out);
}

#define ROW(ui, row, text) row_is(ui, row, text, __LINE__)

/* The next intent is of this kind and text (NULL: none). */
static void intends(struct ui *ui, enum ui_intent_kind kind, const char *text, int line)
{
    struct ui_intent intent = {.kind = UI_QUIT};

    if (!ui_take_intent(ui, &intent)) {
        test_fail(__FILE__, line, "no intent waits");
        return;
    }
    if (intent.kind != kind || (text == NULL) != (intent.text == NULL) ||
        (text != NULL && strcmp(text, intent.text) != 0))
        test_fail(__FILE__, line, "intent %d '%s', expected %d '%s'", (int)intent.kind,
                  intent.text == NULL ? "" : intent.text, (int)kind,
                  text == NULL ? "" : text);
    ui_intent_release(&intent);
}

#define INTENDS(ui, kind, text) intends(ui, kind, text, __LINE__)

static bool is_idle(struct ui *ui)
{
    struct ui_intent intent;

    if (!ui_take_intent(ui, &intent))
        return true;
    ui_intent_release(&intent);
    return false;
}

static void test_submit(void)
{
    struct ui *ui = make_ui();

    feed(ui, "  \r");
    CHECK(is_idle(ui));
    feed(ui, "\x15one\ntwo\r");
    INTENDS(ui, UI_SUBMIT, "one\ntwo");
    feed(ui, "\033[200~pasted\rline\r\033[201~");
    CHECK(is_idle(ui)); /* pasted newlines do not send */
    feed(ui, "\r");
    INTENDS(ui, UI_SUBMIT, "pasted\nline\n");
    ui_close(ui);
}

static void test_interrupt(void)
{
    struct ui *ui = make_ui();

    feed(ui, "text\x03");
    CHECK(is_idle(ui) && editor_is_empty(&ui->editor));
    feed(ui, "\x03");
    CHECK(is_idle(ui));
    ui_compose(ui, 24, 80);
    ROW(ui, 20, " press ^C again to quit");
    feed(ui, "\x03");
    INTENDS(ui, UI_QUIT, NULL);
    feed(ui, "x\x7f\x03x\x7f\x03"); /* another key between: not twice */
    CHECK(is_idle(ui));
    ui_set_status(ui, &(struct ui_status){.state = UI_ANSWERING});
    feed(ui, "typed\x03");
    INTENDS(ui, UI_STOP, NULL);
    CHECK(!editor_is_empty(&ui->editor));
    feed(ui, "\033[A\033x"); /* ESC, then a letter, in one go */
    INTENDS(ui, UI_STOP, NULL);
    ui_close(ui);
}

static void test_end_of_input(void)
{
    struct ui *ui = make_ui();

    feed(ui, "ab\x01\x04");
    CHECK(is_idle(ui) && strcmp(buf_text(&ui->editor.text), "b") == 0);
    feed(ui, "\x04\x04");
    INTENDS(ui, UI_QUIT, NULL);
    ui_close(ui);
}

static void test_complete(void)
{
    struct ui *ui = make_ui();

    feed(ui, "/se\t");
    CHECK(strcmp(buf_text(&ui->editor.text), "/se") == 0); /* two go on so */
    feed(ui, "a\t");
    CHECK(strcmp(buf_text(&ui->editor.text), "/search ") == 0);
    ui_close(ui);
}

static void say(struct ui *ui, enum role role, const char *text)
{
    transcript_begin(ui_transcript(ui), role, 0, 0);
    transcript_add_text(ui_transcript(ui), text, strlen(text));
}

static void test_screen(void)
{
    struct ui *ui = make_ui();

    say(ui, ROLE_USER, "hi \033[2J");
    say(ui, ROLE_ASSISTANT, "日本語 **strong**");
    feed(ui, "typing");
    ui_compose(ui, 12, 40);
    ROW(ui, 0, " m");
    ROW(ui, 1, " you");
    ROW(ui, 2, "   hi ^[[2J");
    ROW(ui, 3, "");
    ROW(ui, 4, " hadal");
    ROW(ui, 5, "   日本語 strong");
    ROW(ui, 9, "────────────────────────────────────────");
    ROW(ui, 10, "> typing");
    CHECK(ui->canvas.cursor_row == 10 && ui->canvas.cursor_col == 8);
    ui_close(ui);
}

/* CR LF stays one newline wherever the stream is cut. */
static void test_pieces(void)
{
    struct ui *ui = make_ui();

    say(ui, ROLE_ASSISTANT, "a\r");
    transcript_add_text(ui_transcript(ui), "\nb\r", 3);
    transcript_add_text(ui_transcript(ui), "c", 1);
    ui_compose(ui, 12, 40);
    ROW(ui, 2, "   a");
    ROW(ui, 3, "   b^Mc");
    ui_close(ui);
}

static void test_follow(void)
{
    struct ui *ui = make_ui();
    char line[32];

    say(ui, ROLE_ASSISTANT, "");
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "line %d\n", i);
        transcript_add_text(ui_transcript(ui), line, strlen(line));
    }
    ui_compose(ui, 24, 80);
    ROW(ui, 19, "   line 99");
    feed(ui, "\033[5~"); /* PgUp */
    ui_compose(ui, 24, 80);
    ROW(ui, 1, "   line 65");
    CHECK(!transcript_is_following(ui->transcript));
    transcript_add_text(ui_transcript(ui), "more\n", 5);
    ui_compose(ui, 24, 80);
    ROW(ui, 1, "   line 65"); /* stays where it is read */
    ROW(ui, 21,
        "───────────────────────────────────────────────────────────────── ▼ more "
        "below ─");
    ui_compose(ui, 24, 60);
    ROW(ui, 1, "   line 65");
    feed(ui, "\033[6~\033[6~");
    ui_compose(ui, 24, 80);
    CHECK(transcript_is_following(ui->transcript));
    ROW(ui, 19, "   more");
    feed(ui, "\033[H"); /* Home on an empty input */
    ui_compose(ui, 24, 80);
    ROW(ui, 1, " hadal");
    feed(ui, "\033[F");
    ui_compose(ui, 24, 80);
    ROW(ui, 19, "   more");
    ui_close(ui);
}

static void test_thinking(void)
{
    struct ui *ui = make_ui();

    say(ui, ROLE_ASSISTANT, "");
    transcript_add_thinking(ui_transcript(ui), "let me see", 10);
    ui_compose(ui, 24, 80);
    ROW(ui, 2, "   ▸ thinking…");
    transcript_set_thought(ui_transcript(ui), 6.2, 214);
    transcript_add_text(ui_transcript(ui), "42", 2);
    ui_compose(ui, 24, 80);
    ROW(ui, 2, "   ▸ thought for 6.2 s · 214 tokens");
    ROW(ui, 3, "   42");
    feed(ui, "\t");
    ui_compose(ui, 24, 80);
    ROW(ui, 2, "   ▾ thought for 6.2 s · 214 tokens");
    ROW(ui, 3, "   let me see");
    ROW(ui, 5, "   42");
    ui_close(ui);
}

static void test_sessions(void)
{
    struct ui *ui = make_ui();
    int64_t now = clock_utc_ms();
    struct ui_session rows[] = {
        {.id = "aa", .title = "Curl resume", .updated_ms = now, .is_current = true},
        {.id = "bb", .title = "evil \033[2J", .updated_ms = now - 7200000},
        {.id = "cc", .title = NULL, .updated_ms = now - 3 * 86400000LL},
    };

    feed(ui, "\033OQ"); /* F2 */
    INTENDS(ui, UI_LIST_SESSIONS, NULL);
    ui_set_sessions(ui, rows, 3);
    ui_compose(ui, 12, 40);
    ROW(ui, 1, " sessions:");
    ROW(ui, 2, "  3 sessions");
    ROW(ui, 3, "▌ Curl resume                       now");
    ROW(ui, 4, "  evil ^[[2J                        2 h");
    ROW(ui, 5, "  (no title)                        3 d");
    feed(ui, "\033d"); /* Alt-d asks; another key spares it */
    ui_compose(ui, 12, 40);
    ROW(ui, 2, "  Alt-d again deletes it for good");
    feed(ui, "\033[B\033[A\033d");
    CHECK(is_idle(ui));
    feed(ui, "\033d");
    INTENDS(ui, UI_DELETE_SESSION, "aa");
    feed(ui, "\033[200~EVIL\nmore\033[201~"); /* of pasted text the first line */
    ui_compose(ui, 12, 40);
    ROW(ui, 2, "  1 of 3 sessions");
    feed(ui, "\r");
    INTENDS(ui, UI_OPEN_SESSION, "bb");
    CHECK(ui->view == &chat_view);
    feed(ui, "\033OQ\033[B\033r"); /* Alt-r: the command that renames */
    INTENDS(ui, UI_LIST_SESSIONS, NULL);
    INTENDS(ui, UI_OPEN_SESSION, "bb");
    CHECK(strcmp(buf_text(&ui->editor.text), "/title evil ^[[2J") == 0);
    feed(ui, "\x15\033OQ\033OQ"); /* opens and closes */
    CHECK(ui->view == &chat_view);
    feed(ui, "\033OQ");
    ui_compose(ui, 30, 120);
    ROW(ui, 28, "                                 │>");
    ui_close(ui);
}

static void test_search(void)
{
    struct ui *ui = make_ui();
    struct ui_hit hit = {.session = "aa",
                         .title = "Title",
                         .message = 7,
                         .time_ms = clock_utc_ms(),
                         .role = ROLE_USER,
                         .snippet =
                             "a \033 very long snippet before the word found here",
                         .mark = 38,
                         .mark_len = 5};
    struct ui_intent intent;

    feed(ui, "\033OR"); /* F3 */
    INTENDS(ui, UI_SEARCH, "");
    feed(ui, "f");
    INTENDS(ui, UI_SEARCH, "f");
    ui_set_hits(ui, &hit, 1);
    ui_compose(ui, 12, 40);
    ROW(ui, 1, " search: f");
    ROW(ui, 2, "  1 hit");
    ROW(ui, 3, "  Title                        you  now");
    ROW(ui, 4, "    …ong snippet before the word found");
    feed(ui, "\r");
    CHECK(ui_take_intent(ui, &intent));
    CHECK(intent.kind == UI_OPEN_SESSION && intent.message == 7);
    CHECK(strcmp(intent.text, "aa") == 0);
    ui_intent_release(&intent);
    ui_close(ui);
}

static void test_show(void)
{
    struct ui *ui = make_ui();

    for (int i = 1; i <= 50; i++) {
        transcript_begin(ui_transcript(ui), ROLE_USER, 0, i);
        transcript_add_text(ui_transcript(ui), i == 25 ? "the Needle" : "hay",
                            i == 25 ? 10 : 3);
    }
    ui_compose(ui, 24, 80);
    CHECK(transcript_show(ui_transcript(ui), 25, "needle"));
    ui_compose(ui, 24, 80);
    ROW(ui, 2, "   the Needle");
    CHECK(!transcript_show(ui_transcript(ui), 99, NULL));
    ui_close(ui);
}

static void test_models(void)
{
    struct ui *ui = make_ui();
    const struct ui_model rows[] = {
        {.name = "Big", .note = "98.1 MB"},
        {.name = "evil \033[2J", .note = NULL},
        {.name = "模型🙂", .note = "31.5 MB", .is_current = true},
    };

    feed(ui, "\033OS"); /* F4 */
    INTENDS(ui, UI_LIST_MODELS, NULL);
    ui_set_models(ui, rows, 3);
    ui_compose(ui, 12, 40);
    ROW(ui, 1, " models:");
    ROW(ui, 2, "  3 models · /pull ORG/REPO fetches ano…");
    ROW(ui, 3, "  Big                           98.1 MB");
    ROW(ui, 4, "  evil ^[[2J");
    ROW(ui, 5, "▌ 模型🙂                        31.5 MB");
    feed(ui, "EVIL");
    ui_compose(ui, 12, 40);
    ROW(ui, 2, "  1 of 3 models");
    feed(ui, "\r");
    INTENDS(ui, UI_USE_MODEL, "evil \033[2J"); /* the name itself */
    CHECK(ui->view == &chat_view);
    feed(ui, "\033OS"); /* the selection is at the one that answers */
    INTENDS(ui, UI_LIST_MODELS, NULL);
    ui_set_models(ui, rows, 3);
    feed(ui, "\r");
    INTENDS(ui, UI_USE_MODEL, "模型🙂");
    feed(ui, "\033OSnone\r");
    INTENDS(ui, UI_LIST_MODELS, NULL);
    CHECK(is_idle(ui) && ui->view == &chat_view);
    ui_close(ui);
}

static const struct ui_panel running = {
    .title = "download: org/repo",
    .text = "日本語🙂\033[2J.gguf, file 2 of 3",
    .done = 50,
    .total = 100,
    .figures = "50%  0:42 left  1.2 MB/s  46.1 MB of 98.1 MB",
    .keys = "^X stops",
};

static void test_panel(void)
{
    struct ui *ui = make_ui();

    ui_set_panel(ui, &running);
    ui_compose(ui, 24, 80);
    ROW(ui, 17,
        "── download: org/repo ──────────────────────────────────────────"
        "────────────────");
    ROW(ui, 18, " 日本語🙂^[[2J.gguf, file 2 of 3");
    ROW(ui, 19, " ▰▰▰▰▰▰▰▰▰▰▱▱▱▱▱▱▱▱▱▱ 50%  0:42 left  1.2 MB/s  46.1 MB of 98.1 MB");
    ROW(ui, 20, " ^X stops");
    ui_compose(ui, 8, 40); /* the text goes first, then the title */
    ROW(ui, 3, " ▰▰▰▰▰▱▱▱▱▱ 50%  0:42 left  1.2 MB/s  …");
    ROW(ui, 4, " ^X stops");
    ui_compose(ui, 5, 20);
    ROW(ui, 2, " ▰▰▰▰▱▱▱▱ 50%  0:4…");
    feed(ui, "\r\x18");
    INTENDS(ui, UI_STOP_DOWNLOAD, NULL); /* Enter is not about it */
    CHECK(is_idle(ui));
    ui_set_panel(ui, NULL);
    ui_compose(ui, 24, 80);
    ROW(ui, 19, "");
    ui_close(ui);
}

static void test_question(void)
{
    struct ui *ui = make_ui();
    struct ui_panel panel = running;

    panel.total = 0;
    panel.text = "first\nsecond line, which is too long for a row of this screen";
    panel.keys = "Enter fetches it";
    panel.asks = true;
    ui_set_panel(ui, &panel);
    ui_compose(ui, 12, 40);
    ROW(ui, 4, "── download: org/repo ──────────────────");
    ROW(ui, 5, " first");
    ROW(ui, 6, " second line, which is too long for a");
    ROW(ui, 7, " row of this screen");
    ROW(ui, 8, " Enter fetches it");
    feed(ui, "a message\r"); /* what is typed meanwhile is no answer */
    INTENDS(ui, UI_SUBMIT, "a message");
    CHECK(is_idle(ui));
    feed(ui, "\r");
    INTENDS(ui, UI_ACCEPT, NULL);
    ui_set_status(ui, &(struct ui_status){.state = UI_ANSWERING});
    feed(ui, "\033\033"); /* Esc stops the answer first */
    INTENDS(ui, UI_STOP, NULL);
    ui_set_status(ui, &(struct ui_status){.state = UI_READY});
    feed(ui, "\033x");
    INTENDS(ui, UI_DECLINE, NULL);
    ui_close(ui);
}

static void test_help(void)
{
    struct ui *ui = make_ui();

    feed(ui, "\033OP");
    ui_compose(ui, 24, 80);
    ROW(ui, 1, " Chat");
    ROW(ui, 2,
        "  Enter                 send the message; while an answer comes, queue it");
    feed(ui, "\033[6~\033[6~\033[6~\033[6~\033[6~");
    ui_compose(ui, 24, 80);
    ROW(ui, 22, "  /quit                 leave");
    feed(ui, "\033\033"); /* the first of two is a key at once */
    CHECK(ui->view == &chat_view);
    ui_close(ui);
}

/* Every view at every small size, with text that is wide: nothing is drawn outside, and
 * the cursor is on the screen. The canvas asserts nothing: sanitizers do. */
static void test_sizes(void)
{
    static const char *const keys[] = {"", "\033OP", "\033OQ", "\033OR", "\033OS"};
    struct ui *ui = make_ui();

    say(ui, ROLE_ASSISTANT,
        "日本語の**文字**列 `code` 👩‍💻\n```\ncode\n```\n- list");
    ui_notice(ui, UI_ERROR, 0, "something went wrong: 日本語の文字列 and more text");
    ui_set_queue(ui, 2, "日本語の文字列");
    ui_set_panel(ui, &running);
    ui_set_models(ui, &(struct ui_model){.name = "模型🙂", .note = "31.5 MB"}, 1);
    feed(ui, "日本語の文字列\nsecond line");
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        feed(ui, keys[k]);
        while (!is_idle(ui))
            ;
        for (int rows = 1; rows < 16; rows++) {
            for (int cols = 1; cols < 50; cols++) {
                ui_compose(ui, rows, cols);
                if (ui->canvas.cursor_row >= rows ||
                    (ui->canvas.cursor_row >= 0 && ui->canvas.cursor_col >= cols))
                    FAIL("%s at %dx%d: cursor at row %d, column %d", keys[k], cols,
                         rows, ui->canvas.cursor_row, ui->canvas.cursor_col);
            }
        }
        ui_compose(ui, 40, 200);
    }
    ui_close(ui);
}

/* A session of 500 turns and 1 MB: all of it is laid out. */
static void test_large(void)
{
    struct ui *ui = make_ui();
    char text[2048];

    memset(text, 'x', sizeof(text));
    for (size_t i = 7; i < sizeof(text); i += 8)
        text[i] = i % 64 == 63 ? '\n' : ' ';
    for (int i = 0; i < 500; i++) {
        transcript_begin(ui_transcript(ui), i % 2 ? ROLE_ASSISTANT : ROLE_USER, 0, i);
        transcript_add_text(ui_transcript(ui), text, sizeof(text));
    }
    ui_compose(ui, 24, 80);
    feed(ui, "\033[H");
    ui_compose(ui, 24, 80);
    ROW(ui, 1, " you");
    feed(ui, "\033[F");
    ui_compose(ui, 24, 80);
    CHECK(transcript_is_following(ui->transcript));
    ui_close(ui);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"submit", test_submit},     {"interrupt", test_interrupt},
        {"eof", test_end_of_input},  {"complete", test_complete},
        {"screen", test_screen},     {"pieces", test_pieces},
        {"follow", test_follow},     {"thinking", test_thinking},
        {"sessions", test_sessions}, {"search", test_search},
        {"models", test_models},     {"panel", test_panel},
        {"question", test_question}, {"show", test_show},
        {"help", test_help},         {"sizes", test_sizes},
        {"large", test_large},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
