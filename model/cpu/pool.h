/* SPDX-License-Identifier: MIT
 *
 * A pool of threads that run the units of one operation after another.
 *
 * n - 1 threads and the caller. Each takes the units of a range of its own in order,
 * and then what is left of the others'; a unit is computed whole by one thread, so that
 * results do not depend on the number of threads. Threads spin a short while after an
 * operation, since inside a token the next one follows at once, and sleep after that.
 */
#ifndef HADAL_MODEL_CPU_POOL_H
#define HADAL_MODEL_CPU_POOL_H

#include "src/base/err.h"

struct pool;

/* Computes unit `unit`; `thread` (0: the caller) picks scratch memory. */
typedef void (*pool_fn)(void *ctx, int unit, int thread);

/* How many threads this process may use: affinity and the control group's quota. */
int pool_default_threads(void);

/* n_threads 0: pool_default_threads(). ERR_MEMORY when one of them cannot start. */
struct pool *pool_open(int n_threads, struct err *err) MUST_USE;
int pool_n_threads(const struct pool *pool);
/* Runs fn for the units 0..n_units-1 and returns when all are done. */
void pool_run(struct pool *pool, pool_fn fn, void *ctx, int n_units);
void pool_close(struct pool *pool); /* accepts NULL */

#endif
