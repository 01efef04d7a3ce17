/* SPDX-License-Identifier: MIT
 *
 * Stop texts: finds the first of them in a stream of text, and holds back what may be
 * the beginning of one.
 */
#ifndef HADAL_STOP_TEXT_H
#define HADAL_STOP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"

struct stop_finder {
    const char *const *stop; /* borrowed; none empty */
    size_t n_stop;
    struct buf held; /* came, but was not handed out yet */
};

void stop_finder_init(struct stop_finder *f, const char *const *stop, size_t n_stop);
void stop_finder_release(struct stop_finder *f);

/* Appends to out what is surely before any stop text. True when one was met: out then
 * ends right before it. */
bool stop_finder_add(struct stop_finder *f, const char *text, size_t len,
                     struct buf *out);
/* The stream is over: the same for what was held back. */
bool stop_finder_end(struct stop_finder *f, struct buf *out);

#endif
