/* SPDX-License-Identifier: MIT
 *
 * Text made safe for a terminal, and its width in cells: see termtext.h.
 *
 * Widths follow Unicode, not the C library: the library's tables are years behind the
 * emoji that models write, and know no grapheme clusters.
 */
#include "config.h"

#include "src/base/termtext.h"

#include <utf8proc.h>

#include "src/base/utf8.h"

enum { EMOJI_PRESENTATION = 0xFE0F };

struct range {
    uint32_t first, last;
};

/* Beside the C0 and C1 controls: what reorders text, hides it, or ends a line for some
 * programs only. Joiners and marks that scripts and emoji need are not here. Sorted. */
static const struct range unsafe[] = {
    {0x180E, 0x180E},   /* Mongolian vowel separator: invisible */
    {0x2028, 0x202E},   /* line and paragraph separators, embeddings, overrides */
    {0x2060, 0x206F},   /* invisible operators, isolates, deprecated formatting */
    {0xFEFF, 0xFEFF},   /* byte order mark inside text */
    {0xFFF9, 0xFFFB},   /* interlinear annotation */
    {0xE0000, 0xE007F}, /* tags: text that no one sees */
};

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

bool termtext_is_unsafe(uint32_t code_point)
{
    if (is_control(code_point))
        return code_point != '\n' && code_point != '\t';
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
        if (code_point >= unsafe[i].first && code_point <= unsafe[i].last)
            return true;
    return false;
}

static bool add_visible(struct buf *out, uint32_t c)
{
    if (c < 0x20 || c == 0x7F)
        return buf_addf(out, "^%c", (int)(c ^ 0x40));
    return buf_addf(out, "<U+%04X>", (unsigned)c);
}

enum line_mode { MANY_LINES, ONE_LINE };

static bool add(struct buf *out, const char *text, size_t len, enum line_mode mode)
{
    size_t at = 0;

    while (at < len) {
        uint32_t c;
        bool valid;
        size_t n = utf8_decode(text + at, len - at, &c, &valid);
        bool ok;

        if (c == '\r' && mode == MANY_LINES && at + 1 < len && text[at + 1] == '\n')
            ok = true;
        else if (termtext_is_unsafe(c) || (mode == ONE_LINE && is_control(c)))
            ok = add_visible(out, c);
        else if (!valid)
            ok = buf_add(out, "\xEF\xBF\xBD", 3);
        else
            ok = buf_add(out, text + at, n);
        if (!ok)
            return false;
        at += n;
    }
    return true;
}

bool termtext_add(struct buf *out, const char *text, size_t len)
{
    return add(out, text, len, MANY_LINES);
}

bool termtext_add_line(struct buf *out, const char *text, size_t len)
{
    return add(out, text, len, ONE_LINE);
}

int termtext_char_width(uint32_t code_point)
{
    if (code_point == '\t')
        return 1;
    if (is_control(code_point))
        return 0;
    /* Soft hyphens are drawn by no terminal in a cell of their own; vowels and finals
     * of decomposed Hangul join the consonant before them. */
    if (code_point == 0xAD || (code_point >= 0x1160 && code_point <= 0x11FF))
        return 0;
    /* Spacing marks (the vowels of Indic scripts) take a cell of their own in most
     * terminals, as in the C library. */
    if (utf8proc_category((utf8proc_int32_t)code_point) == UTF8PROC_CATEGORY_MC)
        return 1;
    return utf8proc_charwidth((utf8proc_int32_t)code_point);
}

/* Printable ASCII, followed by the same or by a line's end: most of all text. */
static bool is_plain_pair(const char *text, size_t len)
{
    unsigned char a = (unsigned char)text[0];

    return a >= 0x20 && a < 0x7F && (len == 1 || (unsigned char)text[1] < 0x7F);
}

size_t termtext_cluster(const char *text, size_t len, int *width)
{
    utf8proc_int32_t state = 0;
    uint32_t c;
    uint32_t next;
    size_t at;
    int sum;

    if (is_plain_pair(text, len)) {
        *width = 1;
        return 1;
    }
    at = utf8_decode(text, len, &c, NULL);
    sum = termtext_char_width(c);
    while (at < len) {
        size_t n = utf8_decode(text + at, len - at, &next, NULL);

        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c,
                                             (utf8proc_int32_t)next, &state))
            break;
        /* A character asked to look like an emoji is as wide as one. */
        sum += next == EMOJI_PRESENTATION && sum == 1 ? 1 : termtext_char_width(next);
        c = next;
        at += n;
    }
    *width = sum > 2 ? 2 : sum;
    return at;
}

int termtext_width(const char *text, size_t len)
{
    int sum = 0;

    for (size_t at = 0; at < len;) {
        int width;

        at += termtext_cluster(text + at, len - at, &width);
        sum += width;
    }
    return sum;
}
