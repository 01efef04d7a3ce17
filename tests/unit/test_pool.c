/* SPDX-License-Identifier: MIT
 *
 * The thread pool: every unit once, many operations in a row, sleepers woken.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "model/cpu/pool.h"
#include "tests/test.h"

enum { UNITS = 1000 };

struct counts {
    atomic_int n[UNITS];
    int n_threads;
    atomic_int bad_thread;
};

static void count(void *ctx, int unit, int thread)
{
    struct counts *c = ctx;

    atomic_fetch_add_explicit(&c->n[unit], 1, memory_order_relaxed);
    if (thread < 0 || thread >= c->n_threads)
        atomic_fetch_add(&c->bad_thread, 1);
}

static void nap(void)
{
    struct timespec t = {0, 3000000};

    nanosleep(&t, NULL);
}

static void run_with(int n_threads)
{
    struct err err;
    struct pool *pool = pool_open(n_threads, &err);
    struct counts *c = calloc(1, sizeof(*c));
    int runs = 0;

    if (!CHECK(pool != NULL && c != NULL))
        return;
    c->n_threads = n_threads;
    CHECK(pool_n_threads(pool) == n_threads);
    for (int i = 0; i < 2000; i++) {
        int n = i % 7 == 0 ? UNITS : i % 5;
        pool_run(pool, count, c, n);
        runs += n == UNITS;
        if (i % 500 == 0)
            nap(); /* long enough for them to fall asleep */
    }
    CHECK(c->n[UNITS - 1] == runs && c->n[5] == runs);
    CHECK(c->n[0] > runs && c->bad_thread == 0);
    free(c);
    pool_close(pool);
}

static void test_units(void)
{
    for (int n = 1; n <= 5; n++)
        run_with(n);
}

static void test_default(void)
{
    CHECK(pool_default_threads() >= 1);
    pool_close(NULL);
}

/* A plain write by one operation is seen by the next, whichever threads take part. */
static void square(void *ctx, int unit, int thread)
{
    long *x = ctx;

    (void)thread;
    x[unit] = x[unit] + unit;
}

static void test_visible(void)
{
    struct err err;
    struct pool *pool = pool_open(3, &err);
    long x[64] = {0};

    if (!CHECK(pool != NULL))
        return;
    for (int i = 0; i < 1000; i++)
        pool_run(pool, square, x, 64);
    for (int i = 0; i < 64; i++)
        CHECK(x[i] == 1000L * i);
    pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"units", test_units},
        {"visible", test_visible},
        {"default", test_default},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
