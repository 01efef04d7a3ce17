/* SPDX-License-Identifier: MIT
 *
 * Memory that is left: see meminfo.h.
 *
 * The files read here are the kernel's, small and line by line; a line that is not
 * understood is passed over. Sources: proc(5), cgroup-v2.rst and cgroup-v1/memory.rst
 * of Linux.
 */
#include "config.h"

#include "src/base/meminfo.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/cgroup.h"

/* What the two versions of control groups call their numbers. */
struct group_names {
    const char *limit;
    const char *usage;
    const char *reclaimable; /* in memory.stat */
};

static const struct group_names names_of[] = {
    [1] = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
    [2] = {"memory.max", "memory.current", "inactive_file"},
};

enum { PATH_BYTES = 4096, LINE_BYTES = 512 };

static void lower(struct meminfo *info, uint64_t bytes, const char *limit)
{
    if (bytes >= info->available_bytes)
        return;
    info->available_bytes = bytes;
    info->limit = limit;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* The number after "key" and blanks in a file of such lines. */
static bool read_field(const char *path, const char *key, uint64_t *out)
{
    char line[LINE_BYTES];
    size_t len = strlen(key);
    bool found = false;
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), f) != NULL)
        found = strncmp(line, key, len) == 0 && strchr(" :\t", line[len]) != NULL &&
                sscanf(line + len, "%*[: \t]%" SCNu64, out) == 1;
    fclose(f);
    return found;
}

static void read_machine(struct meminfo *info)
{
    uint64_t kib;

    if (read_field("/proc/meminfo", "MemTotal", &kib))
        info->total_bytes = kib * 1024;
    if (read_field("/proc/meminfo", "MemAvailable", &kib))
        lower(info, kib * 1024, "free memory");
}

/* The limit of one group. */
static void read_group(void *ctx, int version, const char *folder)
{
    const struct group_names *name = &names_of[version];
    struct meminfo *info = ctx;
    char stat[PATH_BYTES];
    int64_t limit;
    int64_t usage;
    uint64_t reclaimable = 0;

    if (!cgroup_read(folder, name->limit, &limit, 1) ||
        !cgroup_read(folder, name->usage, &usage, 1) || limit < 0 || usage < 0)
        return;
    if (snprintf(stat, sizeof(stat), "%s/memory.stat", folder) >= (int)sizeof(stat) ||
        !read_field(stat, name->reclaimable, &reclaimable))
        reclaimable = 0;
    lower(info, minus((uint64_t)limit, minus((uint64_t)usage, reclaimable)),
          "memory cgroup");
}

static void read_address_space(struct meminfo *info)
{
    struct rlimit limit;
    uint64_t pages = 0;
    FILE *f;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        if (fscanf(f, "%" SCNu64, &pages) != 1)
            pages = 0;
        fclose(f);
    }
    lower(info, minus(limit.rlim_cur, pages * (uint64_t)sysconf(_SC_PAGESIZE)),
          "address space (ulimit -v)");
}

void meminfo_read(struct meminfo *info)
{
    *info = (struct meminfo){.available_bytes = UINT64_MAX, .limit = "no limit"};
    read_machine(info);
    cgroup_each("memory", read_group, info);
    read_address_space(info);
}
