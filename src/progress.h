/* SPDX-License-Identifier: MIT
 *
 * The progress bar of a download, on standard error: one line that is drawn over, for
 * the file that comes and for all of them.
 */
#ifndef HADAL_PROGRESS_H
#define HADAL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/rate.h"

struct progress {
    bool on;    /* standard error is a terminal, and it was not asked to be quiet */
    bool drawn; /* the line is there */
    double drawn_at;
    struct rate rate;
};

void progress_init(struct progress *p, bool quiet);

/* Draws, at most some times a second. name: the file; trouble: NULL, or what is being
 * waited out. fetched: bytes over the network so far. */
void progress_draw(struct progress *p, const char *name, int64_t file_done,
                   int64_t file_size, int64_t all_done, int64_t all_size,
                   int64_t fetched, const char *trouble);

/* Takes the line away, so that another may be written. */
void progress_clear(struct progress *p);

#endif
