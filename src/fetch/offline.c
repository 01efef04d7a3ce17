/* SPDX-License-Identifier: MIT
 *
 * The cache as a hub: see offline.h.
 */
#include "config.h"

#include "src/fetch/offline.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/hub.h"

bool offline_is_set(void)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    const char *value = getenv("HF_HUB_OFFLINE");

    for (size_t i = 0; value != NULL && i < sizeof(yes) / sizeof(yes[0]); i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

static void add_file(void *ctx, const char *name, const char *path)
{
    struct hub_listing *out = ctx;
    struct hub_entry e = {.size = -1};
    struct stat st;

    if (stat(path, &st) == 0)
        e.size = st.st_size;
    e.name = mem_dup(name);
    out->entry = mem_grow(out->entry, &out->cap, out->n + 1, sizeof(*out->entry));
    out->entry[out->n++] = e;
}

bool offline_list(const char *cache, const char *folder, const char *revision,
                  struct hub_listing *out)
{
    char *repo_dir = path_join(cache, folder);
    char *snapshot = hub_find_snapshot(repo_dir, revision);

    memset(out, 0, sizeof(*out));
    if (snapshot != NULL) {
        out->commit = mem_dup(path_base_name(snapshot));
        hub_each_in(snapshot, add_file, out);
    }
    free(snapshot);
    free(repo_dir);
    if (out->n > 0)
        return true;
    hub_listing_release(out);
    return false;
}
