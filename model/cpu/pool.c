/* SPDX-License-Identifier: MIT
 *
 * The thread pool: see pool.h.
 *
 * An operation is a door: the caller writes what is to be done, opens the door, works
 * itself, closes the door when no unit is left, and waits until those who came in are
 * out again. A thread that the system has not scheduled in time finds the door closed
 * and is not waited for: on a busy machine the others do its share.
 *
 * Units are divided into ranges, one a thread (several threads share one where there
 * are many), so that a thread goes through memory in one stream; one whose range is
 * done takes from the others'.
 *
 * Shared: `door` (bit 30 = open, below it the number of threads inside), `range`,
 * `turn` (operations so far). fn, ctx and the ranges' ends are written only while the
 * door is closed and nobody is inside. `lock` and `wake` are for sleeping only.
 */
#include "config.h"

#include "model/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "src/base/cpus.h"
#include "src/base/mem.h"
#include "src/base/thread.h"

enum {
    DOOR_OPEN = 1 << 30,
    SPINS = 4000, /* about 60 to 150 us: longer than what lies between two operations */
    MAX_THREADS = 512,
    MAX_RANGES = 16,
};

/* Units next .. end - 1 are to be done. */
struct range {
    _Alignas(64) atomic_int next;
    int end;
};

struct pool {
    _Alignas(64) atomic_int door;
    struct range range[MAX_RANGES];
    _Alignas(64) atomic_uint turn;
    _Alignas(64) atomic_int n_asleep;
    atomic_bool quit;
    atomic_int n_named; /* hands out thread numbers */
    pool_fn fn;
    void *ctx;
    int n_ranges;
    int n_threads; /* with the caller */
    int n_started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread[];
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int pool_default_threads(void)
{
    int n = cpus_threads();

    return n > MAX_THREADS ? MAX_THREADS : n;
}

static void work(struct pool *pool, int thread)
{
    for (int i = 0; i < pool->n_ranges; i++) {
        struct range *r = &pool->range[(thread + i) % pool->n_ranges];
        int unit;

        while ((unit = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed)) <
               r->end)
            pool->fn(pool->ctx, unit, thread);
    }
}

static void divide(struct pool *pool, int n_units)
{
    for (int i = 0; i < pool->n_ranges; i++) {
        int64_t first = (int64_t)n_units * i / pool->n_ranges;
        int64_t end = (int64_t)n_units * (i + 1) / pool->n_ranges;

        pool->range[i].end = (int)end;
        atomic_store_explicit(&pool->range[i].next, (int)first, memory_order_relaxed);
    }
}

/* Waits until there has been another operation than the `seen`-th. */
static unsigned wait_turn(struct pool *pool, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        unsigned turn = atomic_load_explicit(&pool->turn, memory_order_acquire);
        if (turn != seen)
            return turn;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->n_asleep, 1);
    while (atomic_load(&pool->turn) == seen)
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->n_asleep, 1);
    pthread_mutex_unlock(&pool->lock);
    return atomic_load(&pool->turn);
}

static void *thread_main(void *arg)
{
    struct pool *pool = arg;
    int thread = atomic_fetch_add(&pool->n_named, 1) + 1;
    unsigned seen = 0;

    for (;;) {
        seen = wait_turn(pool, seen);
        if (atomic_load(&pool->quit))
            return NULL;
        if (atomic_fetch_add(&pool->door, 1) & DOOR_OPEN)
            work(pool, thread);
        atomic_fetch_sub(&pool->door, 1);
    }
}

/* Lets the threads look: a new operation, or the end. */
static void next_turn(struct pool *pool)
{
    atomic_fetch_add(&pool->turn, 1);
    if (atomic_load(&pool->n_asleep) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void wait_empty(struct pool *pool)
{
    int spins = 0;

    while (atomic_load_explicit(&pool->door, memory_order_acquire) != 0) {
        if (++spins < SPINS)
            relax();
        else
            sched_yield();
    }
}

void pool_run(struct pool *pool, pool_fn fn, void *ctx, int n_units)
{
    if (pool->n_started == 0 || n_units <= 1) {
        for (int unit = 0; unit < n_units; unit++)
            fn(ctx, unit, 0);
        return;
    }
    wait_empty(pool); /* one who came late to the last operation may still be leaving */
    pool->fn = fn;
    pool->ctx = ctx;
    divide(pool, n_units);
    atomic_fetch_or(&pool->door, DOOR_OPEN);
    next_turn(pool);
    work(pool, 0);
    atomic_fetch_and(&pool->door, ~DOOR_OPEN);
    wait_empty(pool);
}

int pool_n_threads(const struct pool *pool)
{
    return pool->n_threads;
}

static bool start_threads(struct pool *pool)
{
    while (pool->n_started < pool->n_threads - 1 &&
           thread_start(&pool->thread[pool->n_started], 0, thread_main, pool) == 0)
        pool->n_started++;
    return pool->n_started == pool->n_threads - 1;
}

struct pool *pool_open(int n_threads, struct err *err)
{
    struct pool *pool;

    if (n_threads <= 0)
        n_threads = pool_default_threads();
    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;
    pool = mem_try(1, sizeof(*pool) + (size_t)n_threads * sizeof(pool->thread[0]),
                   "thread pool", err);
    if (pool == NULL)
        return NULL;
    pool->n_threads = n_threads;
    pool->n_ranges = n_threads < MAX_RANGES ? n_threads : MAX_RANGES;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    if (!start_threads(pool)) {
        err_set(err, ERR_MEMORY, /* their stacks' room, mostly */
                "cannot start %d threads: the system allows no more; "
                "try fewer with --threads",
                n_threads);
        pool_close(pool);
        return NULL;
    }
    return pool;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->quit, true);
    next_turn(pool);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
