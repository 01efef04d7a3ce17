/* SPDX-License-Identifier: MIT
 *
 * Markdown lines to styled text: see markdown.h. What is not understood is shown as it
 * was written. Rules of CommonMark where they fit into one line: fences (4.5), ATX
 * headings (4.2), thematic breaks (4.1), list markers (5.2), emphasis flanking (6.2,
 * simplified), code spans (6.1).
 */
#include "config.h"

#include "ui/markdown.h"

#include <string.h>

#include "src/base/termtext.h"

/* A span that does not close within this many bytes is none: keeps hostile lines
 * linear. */
enum { TAB_STOP = 4, CODE_INDENT = 2, MAX_SPAN_BYTES = 600 };

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c & 0x80) != 0;
}

static size_t run_length(const char *p, size_t len, char c)
{
    size_t n = 0;

    while (n < len && p[n] == c)
        n++;
    return n;
}

/* Tabs become blanks up to the next stop, so that widths are known later. */
static void add_expanded(struct styled *out, enum style style, const char *p,
                         size_t len)
{
    int col = 0;
    size_t from = 0;

    for (size_t i = 0; i < len; i++) {
        int n;

        if (p[i] != '\t')
            continue;
        styled_add(out, style, p + from, i - from);
        col += termtext_width(p + from, i - from);
        n = TAB_STOP - col % TAB_STOP;
        styled_add(out, style, "    ", (size_t)n);
        col += n;
        from = i + 1;
    }
    styled_add(out, style, p + from, len - from);
}

/* --- inside a line ---------------------------------------------------------------- */

/* `code`: bytes of the whole span, 0 where the ticks do not close. */
static size_t code_span(const char *p, size_t len, struct styled *out)
{
    size_t ticks = run_length(p, len, '`');

    len = len < MAX_SPAN_BYTES ? len : MAX_SPAN_BYTES;
    for (size_t i = ticks; i < len;) {
        size_t n = run_length(p + i, len - i, '`');

        if (n == ticks) {
            add_expanded(out, STYLE_CODE, p + ticks, i - ticks);
            return i + n;
        }
        i += n > 0 ? n : 1;
    }
    return 0;
}

/* Where a run of exactly `n` marks closes what opened before p; 0: nowhere. */
static size_t find_close(const char *p, size_t len, char mark, size_t n)
{
    len = len < MAX_SPAN_BYTES ? len : MAX_SPAN_BYTES;
    for (size_t i = 1; i < len; i++) {
        const char *next = memchr(p + i, mark, len - i);
        size_t run;

        if (next == NULL)
            return 0;
        i = (size_t)(next - p);
        run = run_length(next, len - i, mark);
        if (run == n && p[i - 1] != ' ' &&
            (mark == '*' || i + run == len || !is_word_byte(p[i + run])))
            return i;
        i += run - 1;
    }
    return 0;
}

/* **strong** or *emphasis*: bytes of the whole span, 0 where it is none. */
static size_t emphasis(const char *line, size_t at, size_t len, struct styled *out,
                       enum style base)
{
    const char *p = line + at;
    size_t left = len - at;
    size_t n = run_length(p, left, *p);
    size_t close;
    enum style style = n == 1 ? STYLE_EMPHASIS : STYLE_STRONG;

    if (n > 3 || n == left || p[n] == ' ' || p[n] == '\t')
        return 0;
    if (*p == '_' && at > 0 && is_word_byte(line[at - 1]))
        return 0;
    close = find_close(p + n, left - n, *p, n);
    if (close == 0)
        return 0;
    add_expanded(out, base == STYLE_TEXT ? style : base, p + n, close);
    return n + close + n;
}

static void add_inline(struct styled *out, enum style base, const char *p, size_t len)
{
    size_t from = 0;

    for (size_t at = 0; at < len;) {
        size_t n = 0;

        if (p[at] == '\\' && at + 1 < len && strchr("\\`*_#", p[at + 1]) != NULL) {
            add_expanded(out, base, p + from, at - from);
            from = at + 1;
            at += 2;
            continue;
        }
        if (p[at] == '`' || p[at] == '*' || p[at] == '_') {
            add_expanded(out, base, p + from, at - from);
            n = p[at] == '`' ? code_span(p + at, len - at, out)
                             : emphasis(p, at, len, out, base);
            from = at + n;
        }
        at += n > 0 ? n : run_length(p + at, len - at, p[at]);
    }
    add_expanded(out, base, p + from, len - from);
}

/* --- whole lines -------------------------------------------------------------------
 */

static bool fence_line(struct markdown *md, const char *p, size_t len,
                       struct styled *out)
{
    size_t n = len > 0 && (*p == '`' || *p == '~') ? run_length(p, len, *p) : 0;

    if (n < 3)
        return false;
    if (md->fence == 0) {
        if (*p == '`' && memchr(p + n, '`', len - n) != NULL)
            return false;
        md->fence = *p;
        md->fence_len = n;
        while (n < len && p[n] == ' ')
            n++;
        styled_add_text(out, STYLE_RULE, n < len ? "┌ " : "┌");
        add_expanded(out, STYLE_DIM, p + n, len - n);
        return true;
    }
    if (*p != md->fence || n < md->fence_len)
        return false;
    for (; n < len; n++)
        if (p[n] != ' ')
            return false;
    md->fence = 0;
    styled_add_text(out, STYLE_RULE, "└");
    return true;
}

static bool is_rule(const char *p, size_t len)
{
    size_t n = 0;

    if (len == 0 || strchr("-*_", *p) == NULL)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == *p)
            n++;
        else if (p[i] != ' ')
            return false;
    }
    return n >= 3;
}

/* Bytes of a heading's marks and the blank after, 0 where it is none. */
static size_t heading_mark(const char *p, size_t len)
{
    size_t n = run_length(p, len, '#');

    return n >= 1 && n <= 6 && n < len && p[n] == ' ' ? n + 1 : 0;
}

/* Bytes of a list marker with the blank after it: "- ", "12. "; 0: none. */
static size_t list_mark(const char *p, size_t len)
{
    size_t n = 0;

    if (len >= 2 && strchr("-*+", *p) != NULL && p[1] == ' ')
        return 2;
    while (n < len && n < 9 && p[n] >= '0' && p[n] <= '9')
        n++;
    if (n > 0 && n + 1 < len && (p[n] == '.' || p[n] == ')') && p[n + 1] == ' ')
        return n + 2;
    return 0;
}

static void text_line(const char *p, size_t len, struct styled *out,
                      struct markdown_line *how)
{
    size_t mark = list_mark(p, len);

    if (mark > 0) {
        if (mark == 2)
            styled_add_text(out, STYLE_TEXT, "• ");
        else
            styled_add(out, STYLE_TEXT, p, mark);
        how->hang = how->indent + (int)mark;
        add_inline(out, STYLE_TEXT, p + mark, len - mark);
    } else if (len > 0 && *p == '>') {
        mark = len > 1 && p[1] == ' ' ? 2 : 1;
        styled_add_text(out, STYLE_RULE, "│ ");
        how->hang = how->indent + 2;
        add_inline(out, STYLE_EMPHASIS, p + mark, len - mark);
    } else {
        add_inline(out, STYLE_TEXT, p, len);
    }
}

void markdown_line(struct markdown *md, const char *line, size_t len,
                   struct styled *out, struct markdown_line *how)
{
    size_t blank = run_length(line, len, ' ');
    const char *p = line + blank;
    size_t left = len - blank;
    size_t mark;

    *how = (struct markdown_line){.wrap = WRAP_WORDS};
    if (fence_line(md, p, left, out))
        return;
    if (md->fence != 0) {
        how->indent = CODE_INDENT;
        how->hang = CODE_INDENT;
        how->wrap = WRAP_CELLS;
        add_expanded(out, STYLE_CODE, line, len);
        return;
    }
    if (is_rule(p, left)) {
        how->is_rule = true;
        return;
    }
    mark = heading_mark(p, left);
    if (mark > 0) {
        add_inline(out, STYLE_HEADING, p + mark, left - mark);
        return;
    }
    how->indent = blank > 24 ? 24 : (int)blank;
    how->hang = how->indent;
    text_line(p, left, out, how);
}
