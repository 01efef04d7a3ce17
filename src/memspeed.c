/* SPDX-License-Identifier: MIT
 *
 * Speed of memory: see memspeed.h.
 */
#include "config.h"

#include "src/memspeed.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/thread.h"

enum { THREADS_MAX = 256 };

struct slice {
    const uint64_t *word; /* borrowed */
    size_t n_words;
    uint64_t sum;     /* so that the reads are not left out */
    double running_s; /* of the thread */
};

static double running_seconds(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Four sums of their own, each in a register: a cache line in a few cycles, else one
 * core cannot read as fast as its memory. */
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
    s->running_s = running_seconds();
    return NULL;
}

/* Bytes a second of n slices read at the same time; 0 where a thread cannot start. */
static double time_slices(struct slice *slice, int n, enum memspeed_time how)
{
    pthread_t thread[THREADS_MAX];
    double start = clock_seconds();
    double bytes = 0;
    double longest_s = 0;
    int n_started = 0;

    while (n_started < n &&
           thread_start(&thread[n_started], 0, read_slice, &slice[n_started]) == 0)
        n_started++;
    for (int i = 0; i < n_started; i++) {
        pthread_join(thread[i], NULL);
        bytes += (double)slice[i].n_words * sizeof(uint64_t);
        if (slice[i].running_s > longest_s)
            longest_s = slice[i].running_s;
    }
    if (how == MEMSPEED_CLOCK)
        longest_s = clock_seconds() - start;
    return n_started < n || longest_s <= 0 ? 0 : bytes / longest_s;
}

double memspeed_measure(int n_threads, size_t n_bytes, int tries,
                        enum memspeed_time how)
{
    struct slice slice[THREADS_MAX];
    int n = n_threads < 1 ? 1 : n_threads < THREADS_MAX ? n_threads : THREADS_MAX;
    uint64_t *memory = malloc(n_bytes);
    size_t words = n_bytes / sizeof(*memory) / (size_t)n;
    double best = 0;

    if (memory == NULL)
        return 0;
    memset(memory, 1, n_bytes);
    for (int i = 0; i < n; i++)
        slice[i] = (struct slice){memory + (size_t)i * words, words, 0, 0};
    while (tries-- > 0) {
        double speed = time_slices(slice, n, how);

        best = speed > best ? speed : best;
    }
    free(memory);
    return best;
}
