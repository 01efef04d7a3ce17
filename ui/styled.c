/* SPDX-License-Identifier: MIT
 *
 * Text with styles: see styled.h.
 */
#include "config.h"

#include "ui/styled.h"

#include <string.h>

enum { MAX_STYLED_BYTES = 256 << 20 };

void styled_init(struct styled *s)
{
    buf_init(&s->text, MAX_STYLED_BYTES);
    buf_init(&s->style, MAX_STYLED_BYTES);
}

void styled_release(struct styled *s)
{
    buf_release(&s->text);
    buf_release(&s->style);
}

void styled_cut(struct styled *s, size_t len)
{
    if (len >= s->text.len)
        return;
    s->text.len = len;
    s->text.data[len] = '\0';
    s->style.len = len;
    s->style.data[len] = '\0';
}

void styled_add(struct styled *s, enum style style, const char *text, size_t len)
{
    size_t at = s->style.len;

    if (!buf_add(&s->text, text, len))
        return;
    if (!buf_add(&s->style, text, len)) {
        styled_cut(s, at);
        return;
    }
    if (len > 0)
        memset(s->style.data + at, (int)style, len);
}

void styled_add_text(struct styled *s, enum style style, const char *text)
{
    styled_add(s, style, text, strlen(text));
}

int styled_draw(const struct styled *s, size_t at, size_t len, struct canvas *c,
                int row, int col, int col_end)
{
    size_t end = at + len;

    while (at < end) {
        char style = s->style.data[at];
        size_t n = 1;

        while (at + n < end && s->style.data[at + n] == style)
            n++;
        col = canvas_put(c, row, col, col_end, (enum style)style, s->text.data + at, n);
        at += n;
    }
    return col;
}
