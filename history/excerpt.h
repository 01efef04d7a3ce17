/* SPDX-License-Identifier: MIT
 *
 * Excerpts: one line made from a stretch of a message, for titles and search hits.
 * White space of any kind is one space; what could act on a terminal is shown as
 * termtext shows it; the result is valid UTF-8.
 */
#ifndef HADAL_HISTORY_EXCERPT_H
#define HADAL_HISTORY_EXCERPT_H

#include <stddef.h>

#include "src/base/buf.h"

/* The first line that says something, cut at a word; nothing where no line does. */
void excerpt_title(struct buf *out, const char *text, size_t len);

/* About 160 characters around the bytes start..end of text; *mark and *mark_len are
 * where those are in out. */
void excerpt_around(struct buf *out, const char *text, size_t len, size_t start,
                    size_t end, size_t *mark, size_t *mark_len);

#endif
