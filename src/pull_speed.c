/* SPDX-License-Identifier: MIT
 *
 * The estimate of a model's speed: see pull_speed.h.
 */
#include "config.h"

#include "src/pull_speed.h"

#include <stdint.h>

#include "src/base/cpus.h"
#include "src/memspeed.h"

enum { MEASURED_BYTES = 256 << 20, TRIES = 4 };

double pull_speed_estimate(const struct pull_plan *plan, int threads)
{
    double quota = cpus_quota();
    double speed;

    /* A download needs little memory: it is not to die of this estimate. */
    if (plan->bytes <= 0 || plan->memory_free < 2 * (uint64_t)MEASURED_BYTES)
        return 0;
    if (threads <= 0 || threads > cpus_threads())
        threads = cpus_threads();
    speed = memspeed_measure(threads, MEASURED_BYTES, TRIES, MEMSPEED_RUNNING);
    if (threads > quota)
        speed *= quota / threads;
    return speed / ((double)plan->bytes * plan->read_share);
}
