/* SPDX-License-Identifier: MIT
 *
 * How fast this machine reads memory, in GB/s: the limit of decoding. The best of a
 * number of short measurements, for each number of threads that is given.
 *
 *   bench_memory THREADS...
 *
 * (src/memspeed.c serves an estimate for people and reads in plainer code, which one
 * core cannot make as fast as its memory.)
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/thread.h"

enum { TRIES = 12, MAX_THREADS = 256 };

static const size_t all_bytes = (size_t)512 << 20; /* far more than caches hold */

struct slice {
    const uint64_t *word; /* borrowed */
    size_t n_words;
    uint64_t sum; /* so that the reads are not left out */
};

/* Four sums of their own, each in a register: a cache line in a few cycles. */
static void *read_slice(void *ctx)
{
    struct slice *s = ctx;
    const uint64_t *w = s->word;
    uint64_t a = 0, b = 0, c = 0, d = 0;

    for (size_t i = 0; i + 8 <= s->n_words; i += 8) {
        a ^= w[i] ^ w[i + 4];
        b ^= w[i + 1] ^ w[i + 5];
        c ^= w[i + 2] ^ w[i + 6];
        d ^= w[i + 3] ^ w[i + 7];
    }
    s->sum = a ^ b ^ c ^ d;
    return NULL;
}

/* GB/s of n threads, each over its part; 0 where one cannot be started. */
static double measure(const uint64_t *memory, int n)
{
    static struct slice slice[MAX_THREADS];
    static pthread_t thread[MAX_THREADS];
    size_t words = all_bytes / sizeof(*memory) / (size_t)n;
    double began = clock_seconds();
    int started = 0;

    for (; started < n; started++) {
        slice[started] = (struct slice){memory + (size_t)started * words, words, 0};
        if (thread_start(&thread[started], 0, read_slice, &slice[started]) != 0)
            break;
    }
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    return started < n ? 0 : (double)all_bytes / (clock_seconds() - began) / 1e9;
}

int main(int argc, char **argv)
{
    uint64_t *memory = mem_alloc(all_bytes);

    memset(memory, 1, all_bytes);
    for (int i = 1; i < argc; i++) {
        long n = strtol(argv[i], NULL, 10);
        double best = 0;

        for (int try = 0; try < TRIES && n > 0 && n <= MAX_THREADS; try++) {
            double speed = measure(memory, (int)n);

            best = speed > best ? speed : best;
        }
        printf("%s%.2f", i > 1 ? " " : "", best);
    }
    putchar('\n');
    free(memory);
    return 0;
}
