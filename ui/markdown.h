/* SPDX-License-Identifier: MIT
 *
 * Light Markdown for a terminal: headings, lists, quotes, rules, fenced code, and bold,
 * emphasis and code inside a line. A line is understood alone, given only whether a
 * fence is open, so that an answer can be laid out while it grows: lines that are
 * complete never change again. A newline stays a newline.
 */
#ifndef HADAL_UI_MARKDOWN_H
#define HADAL_UI_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/styled.h"
#include "ui/wrap.h"

/* What later lines need to know of earlier ones. Begins zeroed. */
struct markdown {
    char fence; /* '`' or '~' inside fenced code, else 0 */
    size_t fence_len;
};

/* How a line is laid out. */
struct markdown_line {
    int indent; /* cells before its first row ... */
    int hang;   /* ... and before the rows after */
    enum wrap_mode wrap;
    bool is_rule; /* a line across; out got nothing */
};

/* Adds the styled text of line[0..len) (safe text, without its newline) to out. */
void markdown_line(struct markdown *md, const char *line, size_t len,
                   struct styled *out, struct markdown_line *how);

#endif
