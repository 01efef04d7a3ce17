/* SPDX-License-Identifier: MIT
 *
 * Excerpts: see excerpt.h.
 */
#include "config.h"

#include "history/excerpt.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "history/words.h"
#include "src/base/termtext.h"
#include "src/base/utf8.h"

#define TITLE_CHARS 60
#define AROUND_CHARS 160 /* of an excerpt */
#define BEFORE_CHARS 60  /* of them before the hit, at most */
#define WORD_CHARS 20    /* how far to look for the beginning of a word */

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* Appends one character as an excerpt shows it. White space becomes one space, and none
 * at the beginning of out. */
static void add_character(struct buf *out, uint32_t c)
{
    char utf8[4];
    size_t n;

    if (is_space(c)) {
        if (out->len > 0 && out->data[out->len - 1] != ' ')
            buf_add_char(out, ' ');
        return;
    }
    n = utf8_encode(c, utf8);
    if (termtext_is_unsafe(c))
        termtext_add_line(out, utf8, n);
    else
        buf_add(out, utf8, n);
}

static void trim_end(struct buf *out)
{
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
}

/* --- titles --------------------------------------------------------------------- */

static void add_title_line(struct buf *out, const char *line, size_t len)
{
    size_t cut = 0; /* where out may be cut: behind a word */
    size_t at = 0;
    uint32_t c;

    for (int n = 0; at < len && n < TITLE_CHARS; n++) {
        at += utf8_decode(line + at, len - at, &c, NULL);
        if (is_space(c) && out->len > 0 && out->data[out->len - 1] != ' ')
            cut = out->len;
        add_character(out, c);
    }
    if (at < len) {
        utf8_decode(line + at, len - at, &c, NULL);
        if (!is_space(c) && cut > out->len / 2) {
            out->len = cut;
            out->data[cut] = '\0';
        }
        trim_end(out);
        buf_add_text(out, "…");
    }
    trim_end(out);
}

void excerpt_title(struct buf *out, const char *text, size_t len)
{
    const size_t far = 4096; /* a title is not worth reading further */

    for (size_t at = 0; at < len && at < far;) {
        const char *line = text + at;
        const char *end = memchr(line, '\n', len - at);
        size_t n = end == NULL ? len - at : (size_t)(end - line);
        size_t seen = n < far ? n : far;

        while (seen > 0 && (line[seen - 1] == '\r' || line[seen - 1] == ' '))
            seen--;
        if (words_of_phrase(line, (int)seen).n_words > 0) {
            add_title_line(out, line, seen);
            return;
        }
        at += n + 1;
    }
}

/* --- hits ----------------------------------------------------------------------- */

/* The beginning of the character before the one at `at` (> 0). */
static size_t step_back(const char *text, size_t at)
{
    size_t back = at - 1;

    while (back > 0 && at - back < 4 && ((unsigned char)text[back] & 0xc0) == 0x80)
        back--;
    return back;
}

/* Where an excerpt begins: some characters before the hit, at a word if one is near. */
static size_t begin_before(const char *text, size_t start)
{
    size_t begin = start;
    size_t word;
    uint32_t c = 0;

    for (int n = 0; n < BEFORE_CHARS && begin > 0; n++)
        begin = step_back(text, begin);
    word = begin;
    if (begin == 0)
        return 0;
    for (int n = 0; n < WORD_CHARS && word < start; n++) {
        word += utf8_decode(text + word, start - word, &c, NULL);
        if (is_space(c))
            return word;
    }
    return begin;
}

void excerpt_around(struct buf *out, const char *text, size_t len, size_t start,
                    size_t end, size_t *mark, size_t *mark_len)
{
    size_t at;

    end = end < len ? end : len;
    start = start < end ? start : end;
    at = begin_before(text, start);
    if (at > 0)
        buf_add_text(out, "…");
    *mark = out->len;
    *mark_len = 0;
    for (int n = 0; at < len && n < AROUND_CHARS; n++) {
        bool inside = at >= start && at < end;
        uint32_t c;

        if (at <= start)
            *mark = out->len;
        at += utf8_decode(text + at, len - at, &c, NULL);
        add_character(out, c);
        if (inside)
            *mark_len = out->len - *mark;
    }
    trim_end(out);
    if (at < len)
        buf_add_text(out, "…");
}
