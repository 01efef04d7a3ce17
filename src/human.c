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

void human_count(int64_t count, char out[32])
{
    static const char *const unit[] = {"", "K", "M", "B", "T"};

    scale((double)count, unit, 5, out);
}
