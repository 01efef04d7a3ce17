/* SPDX-License-Identifier: MIT
 *
 * Text with a style for each byte.
 */
#ifndef HADAL_UI_STYLED_H
#define HADAL_UI_STYLED_H

#include <stddef.h>

#include "src/base/buf.h"
#include "ui/canvas.h"
#include "ui/theme.h"

struct styled {
    struct buf text;
    struct buf style; /* one enum style for each byte of text */
};

void styled_init(struct styled *s);
void styled_release(struct styled *s);
void styled_cut(struct styled *s, size_t len); /* back to its first len bytes */

void styled_add(struct styled *s, enum style style, const char *text, size_t len);
void styled_add_text(struct styled *s, enum style style, const char *text);

/* Draws the bytes [at, at + len); returns the column after. */
int styled_draw(const struct styled *s, size_t at, size_t len, struct canvas *c,
                int row, int col, int col_end);

#endif
