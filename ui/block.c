/* SPDX-License-Identifier: MIT
 *
 * Blocks of text: see block.h.
 */
#include "config.h"

#include "ui/block.h"

#include <stdbool.h>
#include <string.h>

#include "ui/wrap.h"

/* Moves *at over the next row, of which the first *shown bytes are drawn; false at the
 * end of the text. */
static bool take_row(const char **at, int cols, size_t *shown)
{
    size_t len = strcspn(*at, "\n");
    size_t n = 0;

    if (**at == '\0')
        return false;
    *shown = 0;
    if (len > 0)
        n = wrap_row(*at, len, cols, WRAP_WORDS, shown);
    *at += n;
    if (n == len && **at == '\n')
        ++*at;
    return true;
}

int block_rows(const char *text, int cols)
{
    size_t shown;
    int rows = 0;

    while (take_row(&text, cols, &shown))
        rows++;
    return rows;
}

int block_draw(struct canvas *c, struct rect area, enum style style, const char *text)
{
    const char *start = text;
    size_t shown;
    int row = 0;

    for (; row < area.rows && take_row(&text, area.cols, &shown); row++) {
        canvas_put(c, area.row + row, area.col, area.col + area.cols, style, start,
                   shown);
        start = text;
    }
    return row;
}
