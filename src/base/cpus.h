/* SPDX-License-Identifier: MIT
 *
 * How many CPUs this process may keep busy.
 */
#ifndef HADAL_BASE_CPUS_H
#define HADAL_BASE_CPUS_H

/* The smallest quota of its control groups (v1 or v2), in CPUs: 0.5 is half of one's
 * time. HUGE_VAL: none. */
double cpus_quota(void);

/* The threads that are worth while: the CPUs that the process may run on, or the quota
 * rounded up where that is less. */
int cpus_threads(void);

#endif
