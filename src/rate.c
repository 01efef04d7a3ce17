/* SPDX-License-Identifier: MIT
 *
 * The rate: see rate.h.
 */
#include "config.h"

#include "src/rate.h"

#include <string.h>

static const double window_s = 5;
static const double least_s = 0.1; /* less says nothing */

static void add_moment(struct rate *r, double now, int64_t bytes)
{
    while (r->n_moments == RATE_MOMENTS ||
           (r->n_moments > 1 && now - r->moment[0].at > window_s))
        memmove(r->moment, r->moment + 1,
                (size_t)--r->n_moments * sizeof(r->moment[0]));
    r->moment[r->n_moments].at = now;
    r->moment[r->n_moments++].bytes = bytes;
}

double rate_note(struct rate *r, double now, int64_t bytes)
{
    if (r->n_moments == 0 ||
        now - r->moment[r->n_moments - 1].at >= window_s / RATE_MOMENTS)
        add_moment(r, now, bytes);
    if (now - r->moment[0].at < least_s)
        return 0;
    return (double)(bytes - r->moment[0].bytes) / (now - r->moment[0].at);
}
