/* SPDX-License-Identifier: MIT
 *
 * How much memory this process may still use, asked before it is used: the kernel
 * overcommits, and says no with a SIGKILL.
 */
#ifndef HADAL_BASE_MEMINFO_H
#define HADAL_BASE_MEMINFO_H

#include <stdint.h>

struct meminfo {
    uint64_t total_bytes;     /* of the machine; 0: unknown */
    uint64_t available_bytes; /* the smallest of the limits; UINT64_MAX: none known */
    const char *limit; /* whose: "free memory", "memory cgroup", "address space" */
};

/* Reads /proc/meminfo (MemAvailable), the memory cgroups of this process (v1 and v2,
 * with page cache that can be given back counted as free) and RLIMIT_AS. What cannot be
 * read limits nothing. */
void meminfo_read(struct meminfo *info);

#endif
