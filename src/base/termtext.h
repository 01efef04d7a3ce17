/* SPDX-License-Identifier: MIT
 *
 * The one sink for text that reaches a terminal: what a model, a file, a server or the
 * database says is shown, never obeyed.
 *
 * Control characters appear in caret notation (ESC as ^[, as git and less do), C1
 * controls, bidirectional overrides and tag characters as <U+202E>, ill-formed UTF-8 as
 * U+FFFD. Newline and tab pass. CR before LF is dropped.
 */
#ifndef HADAL_BASE_TERMTEXT_H
#define HADAL_BASE_TERMTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"

/* Appends text made safe. The result is valid UTF-8 if the input ends on a character
 * boundary. False when out's maximum is reached. */
bool termtext_add(struct buf *out, const char *text, size_t len);

/* The same on one line: newline and tab are shown as ^J, ^I too. For titles, names and
 * error lines. */
bool termtext_add_line(struct buf *out, const char *text, size_t len);

/* True for characters that termtext shows in another form. */
bool termtext_is_unsafe(uint32_t code_point);

/* Width of one character in terminal cells: 0, 1 or 2. */
int termtext_char_width(uint32_t code_point);

/* Length in bytes (>= 1) of the grapheme cluster at text[0..len), len > 0, valid UTF-8,
 * and its width in terminal cells: 0, 1 or 2 (emoji sequences and CJK are 2). Tab has
 * width 1 here: the caller expands it. Unicode: utf8proc. */
size_t termtext_cluster(const char *text, size_t len, int *width);

/* Sum of the widths of the clusters. */
int termtext_width(const char *text, size_t len);

#endif
