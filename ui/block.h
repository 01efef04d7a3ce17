/* SPDX-License-Identifier: MIT
 *
 * A block of text in one style: lines, wrapped between words. The text is safe to show.
 */
#ifndef HADAL_UI_BLOCK_H
#define HADAL_UI_BLOCK_H

#include "ui/canvas.h"

/* How many rows the text takes at this width (>= 1). */
int block_rows(const char *text, int cols);
/* Draws it into the area, cut where its rows end; returns how many it took. */
int block_draw(struct canvas *c, struct rect area, enum style style, const char *text);

#endif
