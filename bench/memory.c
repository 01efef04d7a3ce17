/* SPDX-License-Identifier: MIT
 *
 * How fast this machine reads memory, in GB/s: the limit of decoding. The best of a
 * number of short measurements, for each number of threads that is given.
 *
 *   bench_memory THREADS...
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/memspeed.h"

enum { TRIES = 12, ALL_BYTES = 512 << 20 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int n = (int)strtol(argv[i], NULL, 10);

        printf("%s%.2f", i > 1 ? " " : "",
               memspeed_measure(n, ALL_BYTES, TRIES, MEMSPEED_CLOCK) / 1e9);
    }
    putchar('\n');
    return 0;
}
