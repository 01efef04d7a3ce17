/* SPDX-License-Identifier: MIT
 *
 * Editing: what keys do to the text and the cursor.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/test.h"
#include "ui/editor.h"

static void check_text(const struct editor *e, const char *text, size_t cursor,
                       int line)
{
    if (strcmp(buf_text(&e->text), text) != 0 || e->cursor != cursor)
        test_fail(__FILE__, line, "'%s' at %zu, expected '%s' at %zu",
                  buf_text(&e->text), e->cursor, text, cursor);
}

#define IS(e, text, cursor) check_text(e, text, cursor, __LINE__)

static void test_clusters(void)
{
    struct editor e;

    editor_init(&e);
    editor_set(&e, "a👩‍💻é");
    CHECK(e.cursor == e.text.len);
    editor_move(&e, EDITOR_LEFT);
    IS(&e, "a👩‍💻é", 12);
    editor_delete(&e, EDITOR_LEFT);
    IS(&e, "aé", 1);
    editor_delete(&e, EDITOR_RIGHT);
    IS(&e, "a", 1);
    editor_delete(&e, EDITOR_RIGHT);
    IS(&e, "a", 1);
    editor_move(&e, EDITOR_LEFT);
    editor_move(&e, EDITOR_LEFT);
    editor_delete(&e, EDITOR_LEFT);
    IS(&e, "a", 0);
    editor_release(&e);
}

static void test_lines_and_words(void)
{
    struct editor e;

    editor_init(&e);
    editor_set(&e, "one two\nthree four");
    editor_move(&e, EDITOR_WORD_LEFT);
    CHECK(e.cursor == 14);
    editor_move(&e, EDITOR_LINE_START);
    CHECK(e.cursor == 8);
    editor_move(&e, EDITOR_LEFT);
    CHECK(e.cursor == 7);
    editor_delete(&e, EDITOR_LINE_END); /* the newline */
    IS(&e, "one twothree four", 7);
    editor_delete(&e, EDITOR_WORD_LEFT);
    IS(&e, "one three four", 4);
    editor_yank(&e);
    IS(&e, "one twothree four", 7);
    editor_delete(&e, EDITOR_LINE_END);
    IS(&e, "one two", 7);
    editor_delete(&e, EDITOR_LINE_START);
    IS(&e, "", 0);
    editor_yank(&e);
    IS(&e, "one two", 7);
    editor_move(&e, EDITOR_LINE_START);
    editor_move(&e, EDITOR_WORD_RIGHT);
    CHECK(e.cursor == 3);
    editor_release(&e);
}

static void test_insert(void)
{
    static const char pasted[] = "x\r\ny\rz\033[31m\0\t";
    struct editor e;

    editor_init(&e);
    editor_insert(&e, pasted, sizeof(pasted) - 1);
    IS(&e, "x\ny\nz^[[31m^@\t", 14);
    editor_set(&e, "");
    editor_insert(&e, "ac", 2);
    editor_move(&e, EDITOR_LEFT);
    editor_insert(&e, "b", 1);
    IS(&e, "abc", 2);
    editor_release(&e);
}

static void test_recall(void)
{
    struct editor e;

    editor_init(&e);
    CHECK(!editor_recall(&e, -1));
    editor_set(&e, "first");
    free(editor_take(&e));
    editor_set(&e, "second");
    free(editor_take(&e));
    editor_set(&e, "second"); /* the same again is remembered once */
    free(editor_take(&e));
    editor_set(&e, "draft");
    CHECK(editor_recall(&e, -1));
    IS(&e, "second", 6);
    CHECK(editor_recall(&e, -1));
    IS(&e, "first", 5);
    CHECK(!editor_recall(&e, -1));
    CHECK(editor_recall(&e, 1));
    CHECK(editor_recall(&e, 1));
    IS(&e, "draft", 5);
    CHECK(!editor_recall(&e, 1));
    editor_release(&e);
}

static void test_rows(void)
{
    struct editor e;
    size_t n;
    int row;
    int col;

    editor_init(&e);
    editor_rows(&e, 10, &n);
    CHECK(n == 1);
    editor_set(&e, "hello brave new world\n\n日本語の文字列");
    editor_rows(&e, 10, &n);
    CHECK(n == 6); /* "hello ", "brave new ", "world", "", 5 wide, 2 wide */
    editor_cursor(&e, 10, &row, &col);
    CHECK(row == 5 && col == 4);
    CHECK(editor_move_row(&e, 10, -1));
    editor_cursor(&e, 10, &row, &col);
    CHECK(row == 4 && col == 4);
    CHECK(editor_move_row(&e, 10, -1));
    CHECK(editor_move_row(&e, 10, -1));
    editor_cursor(&e, 10, &row, &col);
    CHECK(row == 2 && col == 4); /* the goal outlives the empty row */
    CHECK(editor_move_row(&e, 10, -1));
    CHECK(editor_move_row(&e, 10, -1));
    CHECK(!editor_move_row(&e, 10, -1));
    editor_cursor(&e, 10, &row, &col);
    CHECK(row == 0 && col == 4);
    editor_release(&e);
}

/* At every width every position has a place within the rows. */
static void test_every_width(void)
{
    struct editor e;
    size_t n;

    editor_init(&e);
    editor_set(&e, "ab  cd   efg 日本 x\n\n👩‍💻 end  ");
    for (int width = 1; width < 40; width++) {
        const struct editor_row *rows = editor_rows(&e, width, &n);
        size_t covered = 0;

        for (size_t i = 0; i < n; i++) {
            CHECK(rows[i].start <= rows[i].shown && rows[i].shown <= rows[i].end);
            CHECK(rows[i].start >= covered && rows[i].start <= covered + 1);
            covered = rows[i].end;
        }
        CHECK(covered == e.text.len);
        for (e.cursor = 0; e.cursor < e.text.len; editor_move(&e, EDITOR_RIGHT)) {
            int row;
            int col;

            editor_cursor(&e, width, &row, &col);
            CHECK(row >= 0 && (size_t)row < n && col >= 0 && col < width);
        }
    }
    editor_release(&e);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"clusters", test_clusters}, {"lines_and_words", test_lines_and_words},
        {"insert", test_insert},     {"recall", test_recall},
        {"rows", test_rows},         {"every_width", test_every_width},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
