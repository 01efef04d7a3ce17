/* SPDX-License-Identifier: MIT
 *
 * Stop texts: see stop_text.h.
 */
#include "config.h"

#include "src/stop_text.h"

#include <string.h>

void stop_finder_init(struct stop_finder *f, const char *const *stop, size_t n_stop)
{
    f->stop = stop;
    f->n_stop = n_stop;
    buf_init(&f->held, BUF_UNLIMITED);
}

void stop_finder_release(struct stop_finder *f)
{
    buf_release(&f->held);
}

/* True when held[at..] begins with a stop text; *partial when all of held[at..] is the
 * beginning of one. */
static bool match_at(const struct stop_finder *f, size_t at, bool *partial)
{
    const char *rest = f->held.data + at;
    size_t left = f->held.len - at;

    for (size_t i = 0; i < f->n_stop; i++) {
        size_t len = strlen(f->stop[i]);

        if (left >= len && memcmp(rest, f->stop[i], len) == 0)
            return true;
        if (left < len && memcmp(rest, f->stop[i], left) == 0)
            *partial = true;
    }
    return false;
}

/* Hands out what is before the first place where a stop text is, or (unless the stream
 * is over) may be. */
static bool scan(struct stop_finder *f, bool is_over, struct buf *out)
{
    bool found = false;
    size_t at = 0;

    for (; at < f->held.len; at++) {
        bool partial = false;

        found = match_at(f, at, &partial);
        if (found || (partial && !is_over))
            break;
    }
    if (at > 0) {
        buf_add(out, f->held.data, at);
        buf_drop(&f->held, at);
    }
    if (found)
        buf_clear(&f->held);
    return found;
}

bool stop_finder_add(struct stop_finder *f, const char *text, size_t len,
                     struct buf *out)
{
    if (f->n_stop == 0) {
        buf_add(out, text, len);
        return false;
    }
    buf_add(&f->held, text, len);
    return scan(f, false, out);
}

bool stop_finder_end(struct stop_finder *f, struct buf *out)
{
    return scan(f, true, out);
}
