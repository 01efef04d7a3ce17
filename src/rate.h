/* SPDX-License-Identifier: MIT
 *
 * How fast bytes come: the rate of the last seconds, from a ring of moments.
 */
#ifndef HADAL_RATE_H
#define HADAL_RATE_H

#include <stdint.h>

enum { RATE_MOMENTS = 32 };

/* Begins zeroed. */
struct rate {
    struct {
        double at; /* clock_seconds() */
        int64_t bytes;
    } moment[RATE_MOMENTS];
    int n_moments;
};

/* So many bytes came until now. Returns bytes a second; 0: not known yet. */
double rate_note(struct rate *r, double now, int64_t bytes);

#endif
