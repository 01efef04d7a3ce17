/* SPDX-License-Identifier: MIT
 *
 * Speed of memory: see memspeed.h.
 */
#include "config.h"

#include "src/memspeed.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/thread.h"

enum {
    THREADS_MAX = 64,
    BYTES_ALL = 256 * 1024 * 1024, /* far more than caches hold */
    ROUNDS = 2,
};

struct slice {
    const uint64_t *word;
    size_t n_words;
    uint64_t sum; /* so that the reads are not left out */
};

static void *read_slice(void *ctx)
{
    struct slice *s = ctx;
    uint64_t sum[8] = {0};

    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i + 8 <= s->n_words; i += 8)
            for (size_t k = 0; k < 8; k++)
                sum[k] += s->word[i + k];
    for (size_t k = 0; k < 8; k++)
        s->sum += sum[k];
    return NULL;
}

/* Bytes a second of n slices read at the same time. */
static double time_slices(struct slice *slice, int n)
{
    pthread_t thread[THREADS_MAX];
    double start = clock_seconds();
    double seconds;
    double bytes = 0;
    int n_started = 0;

    while (n_started < n &&
           thread_start(&thread[n_started], 0, read_slice, &slice[n_started]) == 0)
        n_started++;
    for (int i = 0; i < n_started; i++) {
        pthread_join(thread[i], NULL);
        bytes += (double)slice[i].n_words * sizeof(uint64_t) * ROUNDS;
    }
    seconds = clock_seconds() - start;
    return seconds > 0 ? bytes / seconds : 0;
}

double memspeed_measure(int n_threads)
{
    struct slice slice[THREADS_MAX] = {{0}};
    int n = n_threads < 1 ? 1 : n_threads < THREADS_MAX ? n_threads : THREADS_MAX;
    uint64_t *memory = malloc(BYTES_ALL);
    size_t words = BYTES_ALL / sizeof(uint64_t) / (size_t)n;
    double speed;

    if (memory == NULL)
        return 0;
    memset(memory, 1, BYTES_ALL);
    for (int i = 0; i < n; i++)
        slice[i] = (struct slice){.word = memory + (size_t)i * words, .n_words = words};
    speed = time_slices(slice, n);
    free(memory);
    return speed;
}
