/* SPDX-License-Identifier: MIT
 *
 * Memory that is left: see meminfo.h.
 *
 * The files read here are the kernel's, small and line by line; a line that is not
 * understood is passed over. Sources: proc(5), cgroups(7), admin-guide/cgroup-v2.rst
 * and cgroup-v1/memory.rst of Linux.
 */
#include "config.h"

#include "src/base/meminfo.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Where the two versions keep their numbers, and what these are called. */
struct cgroup_version {
    const char *root;
    const char *limit;
    const char *usage;
    const char *reclaimable; /* in memory.stat */
};

static const struct cgroup_version cgroup_v1 = {
    "/sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
};
static const struct cgroup_version cgroup_v2 = {
    "/sys/fs/cgroup",
    "memory.max",
    "memory.current",
    "inactive_file",
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

/* False also for v2's word "max". */
static bool read_number(const char *folder, const char *name, uint64_t *out)
{
    char path[PATH_BYTES];
    bool found;
    FILE *f;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return false;
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    found = fscanf(f, "%" SCNu64, out) == 1;
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
static void read_group(struct meminfo *info, const struct cgroup_version *v,
                       const char *folder)
{
    char stat[PATH_BYTES];
    uint64_t limit;
    uint64_t usage;
    uint64_t reclaimable = 0;

    if (!read_number(folder, v->limit, &limit) ||
        !read_number(folder, v->usage, &usage))
        return;
    if (snprintf(stat, sizeof(stat), "%s/memory.stat", folder) >= (int)sizeof(stat) ||
        !read_field(stat, v->reclaimable, &reclaimable))
        reclaimable = 0;
    lower(info, minus(limit, minus(usage, reclaimable)), "memory cgroup");
}

/* The group at `path` below the root, and all groups above it. In a container the path
 * may be another namespace's and not exist here: then the root's own files count. */
static void read_groups(struct meminfo *info, const struct cgroup_version *v,
                        const char *path)
{
    char folder[PATH_BYTES];
    size_t root_len = strlen(v->root);

    if (snprintf(folder, sizeof(folder), "%s%s", v->root, path) >= (int)sizeof(folder))
        return;
    for (;;) {
        char *slash;

        read_group(info, v, folder);
        slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < root_len)
            return;
        *slash = '\0';
    }
}

/* Lines of /proc/self/cgroup: "0::/path" for v2, "5:memory:/path" for v1. */
static void read_cgroups(struct meminfo *info)
{
    char line[PATH_BYTES];
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (f == NULL)
        return;
    while (fgets(line, sizeof(line), f) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');

        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strcmp(controllers, ":") == 0)
            read_groups(info, &cgroup_v2, path);
        else if (strstr(controllers, "memory") != NULL)
            read_groups(info, &cgroup_v1, path);
    }
    fclose(f);
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
    read_cgroups(info);
    read_address_space(info);
}
