/* SPDX-License-Identifier: MIT
 *
 * Layout of text: where lines break, and what light Markdown becomes.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/termtext.h"
#include "tests/test.h"
#include "ui/markdown.h"
#include "ui/wrap.h"

/* The rows of a line, each in front of a bar. */
static void wrap_all(const char *text, int width, enum wrap_mode mode, struct buf *out)
{
    size_t len = strlen(text);

    while (len > 0) {
        size_t shown = 0;
        size_t n = wrap_row(text, len, width, mode, &shown);

        CHECK(n >= 1 && n <= len && shown <= n);
        CHECK(termtext_width(text, shown) <= (width < 2 ? 2 : width));
        buf_add(out, text, shown);
        buf_add_text(out, "|");
        text += n;
        len -= n;
    }
}

struct wrapped {
    int width;
    enum wrap_mode mode;
    const char *text, *rows;
};

static const struct wrapped wrapped[] = {
    {10, WRAP_WORDS, "hello brave new world", "hello|brave new|world|"},
    {11, WRAP_WORDS, "hello brave new world", "hello brave|new world|"},
    {5, WRAP_WORDS, "hello", "hello|"},
    {5, WRAP_WORDS, "hello   ", "hello|"},
    {5, WRAP_WORDS, "abcdefghijkl mn", "abcde|fghij|kl mn|"},
    {4, WRAP_CELLS, "ab cd ef", "ab c|d ef|"},
    {6, WRAP_WORDS, "日本語の文字", "日本語|の文字|"},
    {7, WRAP_WORDS, "日本語の文字", "日本語|の文字|"},
    {6, WRAP_WORDS, "日本語。文字", "日本|語。文|字|"},
    {6, WRAP_WORDS, "日本「語」文", "日本|「語」|文|"},
    {8, WRAP_WORDS, "see 日本語 ok", "see 日本|語 ok|"},
    {4, WRAP_WORDS, "a 👩‍💻👩‍💻 b", "a 👩‍💻|👩‍💻 b|"},
    {3, WRAP_WORDS, "e\xCC\x81 e\xCC\x81 e\xCC\x81", "e\xCC\x81 e\xCC\x81|e\xCC\x81|"},
    {1, WRAP_WORDS, "日a", "日|a|"},
};

static void test_wrap(void)
{
    for (size_t i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); i++) {
        struct buf rows;

        buf_init(&rows, 4096);
        wrap_all(wrapped[i].text, wrapped[i].width, wrapped[i].mode, &rows);
        if (strcmp(buf_text(&rows), wrapped[i].rows) != 0)
            FAIL("'%s' at %d: '%s', expected '%s'", wrapped[i].text, wrapped[i].width,
                 buf_text(&rows), wrapped[i].rows);
        buf_release(&rows);
    }
}

/* The styled text, with a letter for the style wherever it changes. */
static void show_styles(const struct styled *s, struct buf *out)
{
    static const char letters[STYLE_N + 1] = "tdsech-ym-------m";
    char before = 't';

    for (size_t i = 0; i < s->text.len; i++) {
        char letter = letters[(unsigned char)s->style.data[i]];

        if (s->style.data[i] == STYLE_RULE)
            letter = 'r';
        if (letter != before)
            buf_addf(out, "{%c}", letter);
        before = letter;
        buf_add_char(out, s->text.data[i]);
    }
}

struct marked {
    const char *line, *shown;
    int indent, hang;
};

static const struct marked marked[] = {
    {"plain", "plain", 0, 0},
    {"a **strong** word", "a {s}strong{t} word", 0, 0},
    {"an *emphasis* and _one_", "an {e}emphasis{t} and {e}one", 0, 0},
    {"2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name", 0, 0},
    {"**open", "**open", 0, 0},
    {"`code` and ``a ` b``", "{c}code{t} and {c}a ` b", 0, 0},
    {"`**not strong**`", "{c}**not strong**", 0, 0},
    {"not \\*emphasis\\*", "not *emphasis*", 0, 0},
    {"# Title `x`", "{h}Title {c}x", 0, 0},
    {"#notitle", "#notitle", 0, 0},
    {"- item", "• item", 0, 2},
    {"  * inner **x**", "• inner {s}x", 2, 4},
    {"12. twelve", "12. twelve", 0, 4},
    {"> quoted", "{r}│ {e}quoted", 0, 2},
    {"a\tb", "a   b", 0, 0},
    {"***both***", "{s}both", 0, 0},
};

static void test_markdown(void)
{
    for (size_t i = 0; i < sizeof(marked) / sizeof(marked[0]); i++) {
        struct markdown md = {0};
        struct markdown_line how;
        struct styled out;
        struct buf shown;

        styled_init(&out);
        buf_init(&shown, 4096);
        markdown_line(&md, marked[i].line, strlen(marked[i].line), &out, &how);
        show_styles(&out, &shown);
        if (strcmp(buf_text(&shown), marked[i].shown) != 0)
            FAIL("'%s': '%s', expected '%s'", marked[i].line, buf_text(&shown),
                 marked[i].shown);
        CHECK(how.indent == marked[i].indent && how.hang == marked[i].hang);
        buf_release(&shown);
        styled_release(&out);
    }
}

static void feed_line(struct markdown *md, const char *line, struct styled *out,
                      struct markdown_line *how)
{
    styled_cut(out, 0);
    markdown_line(md, line, strlen(line), out, how);
}

static void test_fences(void)
{
    struct markdown md = {0};
    struct markdown_line how;
    struct styled out;

    styled_init(&out);
    feed_line(&md, "---", &out, &how);
    CHECK(how.is_rule);
    feed_line(&md, "````py", &out, &how);
    CHECK(md.fence == '`' && strcmp(buf_text(&out.text), "┌ py") == 0);
    feed_line(&md, "```", &out, &how); /* shorter: code */
    CHECK(md.fence == '`' && how.wrap == WRAP_CELLS);
    feed_line(&md, "# **not** a\ttitle", &out, &how);
    CHECK(strcmp(buf_text(&out.text), "# **not** a title") == 0);
    CHECK(out.style.data[0] == STYLE_CODE);
    feed_line(&md, "````", &out, &how);
    CHECK(md.fence == 0);
    feed_line(&md, "```a`b", &out, &how); /* a code span, no fence */
    CHECK(md.fence == 0);
    styled_release(&out);
}

/* Hostile lines take linear time: these would take hours if they did not. */
static void test_long_lines(void)
{
    static const char *const patterns[] = {"*a ", "`", "**", "_a", "` ``", "[", "a*"};
    enum { BYTES = 1 << 20 };

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct markdown md = {0};
        struct markdown_line how;
        struct styled out;
        struct buf line;

        styled_init(&out);
        buf_init(&line, BYTES + 8);
        while (line.len < BYTES)
            buf_add_text(&line, patterns[i]);
        markdown_line(&md, "x", 1, &out, &how);
        markdown_line(&md, line.data, line.len, &out, &how);
        CHECK(out.text.len > 0 && out.text.len == out.style.len);
        buf_release(&line);
        styled_release(&out);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"wrap", test_wrap},
        {"markdown", test_markdown},
        {"fences", test_fences},
        {"long_lines", test_long_lines},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
