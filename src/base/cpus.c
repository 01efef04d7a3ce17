/* SPDX-License-Identifier: MIT
 *
 * CPUs: see cpus.h. Quotas: sched-bwc.rst and cgroup-v2.rst of Linux.
 */
#include "config.h"

#include "src/base/cpus.h"

#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "src/base/cgroup.h"

/* Microseconds of all CPUs together in each period; none (version 2: the word "max",
 * version 1: -1) limits nothing. */
static void read_quota(void *ctx, int version, const char *folder)
{
    double *least = ctx;
    int64_t number[2]; /* quota, period */
    bool found = version == 1
                     ? cgroup_read(folder, "cpu.cfs_quota_us", &number[0], 1) &&
                           cgroup_read(folder, "cpu.cfs_period_us", &number[1], 1)
                     : cgroup_read(folder, "cpu.max", number, 2);

    if (found && number[0] > 0 && number[1] > 0)
        *least = fmin(*least, (double)number[0] / (double)number[1]);
}

double cpus_quota(void)
{
    double least = HUGE_VAL;

    cgroup_each("cpu", read_quota, &least);
    return least;
}

int cpus_threads(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0
                ? CPU_COUNT(&set)
                : (int)sysconf(_SC_NPROCESSORS_ONLN);
    double quota = ceil(cpus_quota());

    if (quota < n)
        n = (int)quota;
    return n < 1 ? 1 : n;
}
