/* SPDX-License-Identifier: MIT
 *
 * Control groups: see cgroup.h.
 */
#include "config.h"

#include "src/base/cgroup.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, VERSION_2 = 2 };

static const char mount_point[] = "/sys/fs/cgroup";

bool cgroup_read(const char *folder, const char *name, int64_t *out, int n)
{
    char path[PATH_BYTES];
    bool found = true;
    FILE *f;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return false;
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    for (int i = 0; i < n && found; i++)
        found = fscanf(f, "%" SCNd64, &out[i]) == 1;
    fclose(f);
    return found;
}

/* The group at `path` below the root, and all groups above it. */
static void walk_up(int version, const char *root, const char *path, cgroup_fn fn,
                    void *ctx)
{
    char folder[PATH_BYTES];

    if (snprintf(folder, sizeof(folder), "%s%s", root, path) >= (int)sizeof(folder))
        return;
    for (;;) {
        char *slash;

        fn(ctx, version, folder);
        slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < strlen(root))
            return;
        *slash = '\0';
    }
}

/* Whether `word` stands in a list with commas. */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (*list != '\0') {
        size_t n = strcspn(list, ",");

        if (n == len && memcmp(list, word, n) == 0)
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

/* Lines of /proc/self/cgroup: "0::/path" for version 2, "5:cpu,cpuacct:/path" for 1. */
void cgroup_each(const char *controller, cgroup_fn fn, void *ctx)
{
    char line[PATH_BYTES];
    char root[64];
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (f == NULL)
        return;
    snprintf(root, sizeof(root), "%s/%.32s", mount_point, controller);
    while (fgets(line, sizeof(line), f) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');

        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (controllers[1] == '\0')
            walk_up(VERSION_2, mount_point, path, fn, ctx);
        else if (has_word(controllers + 1, controller))
            walk_up(1, root, path, fn, ctx);
    }
    fclose(f);
}
