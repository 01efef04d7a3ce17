/* SPDX-License-Identifier: MIT
 *
 * Numbers for people: see human.h.
 */
#include "config.h"

#include "src/human.h"

#include <stdio.h>

/* Three significant digits and one of the units, each 1000 times the one before. */
static void scale(double value, const char *const *unit, int n_units, char out[32])
{
    int i = 0;

    while (value >= 999.5 && i < n_units - 1) {
        value /= 1000;
        i++;
    }
    snprintf(out, 32, "%.*f %s",
             i == 0 || value >= 99.95 ? 0
             : value >= 9.995         ? 1
                                      : 2,
             value, unit[i]);
}

void human_bytes(size_t bytes, char out[32])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};

    scale((double)bytes, unit, 5, out);
}

bool human_time_left(double rate, int64_t bytes, char out[32])
{
    long s = rate > 0 && (double)bytes / rate < 1e6 ? (long)((double)bytes / rate) : -1;

    if (s < 0 || s > 99L * 3600)
        return false;
    if (s >= 3600)
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    return true;
}

void human_count(int64_t count, char out[32])
{
    static const char *const unit[] = {"", "K", "M", "B", "T"};

    scale((double)count, unit, 5, out);
}
