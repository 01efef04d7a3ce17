/* SPDX-License-Identifier: MIT
 *
 * Where a line of text breaks into rows of the screen, by display width: between words,
 * between CJK characters (but not before a closing or after an opening sign), and
 * inside a word only when it is longer than a row.
 */
#ifndef HADAL_UI_WRAP_H
#define HADAL_UI_WRAP_H

#include <stddef.h>

enum wrap_mode { WRAP_WORDS, WRAP_CELLS };

/* How many bytes (>= 1) of text[0..len), len > 0, valid UTF-8 without a newline, belong
 * to a row of `width` cells. *shown: how many of them to draw; blanks at a break are
 * taken but not shown. */
size_t wrap_row(const char *text, size_t len, int width, enum wrap_mode mode,
                size_t *shown);

#endif
