/* SPDX-License-Identifier: MIT
 *
 * What the commands that print the history share: opening it, and a page of text in
 * which only our own colours are escape codes.
 *
 * To a terminal every text of the history goes through termtext; to a file or pipe it
 * goes as it is.
 */
#ifndef HADAL_LISTING_H
#define HADAL_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/history.h"
#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/options.h"

/* The history at its place, for reading. */
struct history *listing_open_history(struct err *err) MUST_USE;

struct listing {
    struct buf out;
    bool is_terminal;
    bool color;
};

void listing_begin(struct listing *l, const struct options *opt);
void listing_color(struct listing *l, const char *sgr); /* "1", "2", "33"; "0" ends */
void listing_line(struct listing *l, const char *text); /* text of one line; NULL: "" */
/* Text of any lines; a newline is added where it does not end with one. */
void listing_block(struct listing *l, const char *text, size_t len);
void listing_time(struct listing *l, int64_t utc_ms);
/* Writes the page and frees it. */
bool listing_end(struct listing *l, struct err *err) MUST_USE;

#endif
