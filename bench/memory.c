/* SPDX-License-Identifier: MIT
 *
 * How fast this machine reads memory, in GB/s: the limit of decoding. The best of a
 * number of short measurements, for each number of
 * threads that is given.
 *
 *   bench_memory THREADS...
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/memspeed.h"

enum { TRIES = 12 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        double best = 0;

        for (int try = 0; try < TRIES; try++) {
            double speed = memspeed_measure((int)strtol(argv[i], NULL, 10));

            best = speed > best ? speed : best;
        }
        printf("%s%.2f", i > 1 ? " " : "", best / 1e9);
    }
    putchar('\n');
    return 0;
}
