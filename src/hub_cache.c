/* SPDX-License-Identifier: MIT
 *
 * The cache, looked after: see hub_cache.h.
 */
#include "config.h"

#include "src/hub_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/text.h"
#include "src/hub.h"

static const char repo_prefix[] = "models--";

void hub_links_release(struct hub_links *links)
{
    for (size_t i = 0; i < links->n; i++) {
        free(links->link[i].path);
        free(links->link[i].blob);
    }
    free(links->link);
    free(links->repo_dir);
    memset(links, 0, sizeof(*links));
}

/* The name of the blob that a link leads to; owned, "" for anything else. */
static char *blob_of(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    const char *name;

    if (n <= 0)
        return mem_dup("");
    target[n] = '\0';
    name = strrchr(target, '/');
    if (target[0] != '.' || name == NULL || name - target < 6 ||
        strncmp(name - 6, "/blobs", 6) != 0 || name[1] == '\0' || name[1] == '.')
        return mem_dup("");
    return mem_dup(name + 1);
}

static void add_link(struct hub_links *out, const char *path)
{
    out->link = mem_grow(out->link, &out->cap, out->n + 1, sizeof(*out->link));
    out->link[out->n++] = (struct hub_link){mem_dup(path), blob_of(path)};
}

/* All files below a folder; links are not followed. */
static void add_all(struct hub_links *out, const char *folder)
{
    char *copy = mem_dup(folder);
    char *const roots[] = {copy, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;

    while (walk != NULL && (entry = fts_read(walk)) != NULL)
        if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE ||
            entry->fts_info == FTS_F)
            add_link(out, entry->fts_path);
    if (walk != NULL)
        fts_close(walk);
    free(copy);
}

/* All parts of the set of "x-00002-of-00003.gguf". */
static void add_set(struct hub_links *out, const char *path)
{
    const char *ending = path + strlen(path) - strlen(".gguf");
    size_t stem = (size_t)(ending - path) - HUB_SPLIT_SUFFIX;
    int n = (int)strtol(ending - 5, NULL, 10);

    for (int i = 1; i <= n; i++) {
        struct buf part;
        struct stat st;

        buf_init(&part, BUF_UNLIMITED);
        buf_addf(&part, "%.*s-%05d-of-%05d%s", (int)stem, path, i, n, ending);
        if (lstat(buf_text(&part), &st) == 0)
            add_link(out, buf_text(&part));
        buf_release(&part);
    }
}

bool hub_links_of(const char *path, struct hub_links *out, struct err *err)
{
    char *cache = path_hub_cache(err);
    size_t len = cache == NULL ? 0 : strlen(cache);
    const char *repo;
    const char *end = NULL;
    struct stat st;

    memset(out, 0, sizeof(*out));
    if (cache == NULL)
        return false;
    repo = path + len + 1;
    if (strncmp(path, cache, len) == 0 && path[len] == '/' &&
        text_starts_with(repo, repo_prefix) && strstr(path, "/../") == NULL)
        end = strchr(repo, '/');
    free(cache);
    if (end == NULL || strncmp(end, "/snapshots/", 11) != 0)
        return err_set(err, ERR_MODEL,
                       "'%s' is not in the Hugging Face cache: it is not hadal's",
                       path);
    out->repo_dir = mem_dup_n(path, (size_t)(end - path));
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        add_all(out, path);
    else if (hub_is_part(path))
        add_set(out, path);
    else
        add_link(out, path);
    return true;
}

/* ---- removing ---- */

static bool is_linked(const struct hub_links *all, const char *blob)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->link[i].blob, blob) == 0)
            return true;
    return false;
}

/* True when nobody fetches this blob now. The lock is given back at once: who begins
 * now finds the blob gone, and makes it anew. */
static bool is_idle(const char *repo_dir, const char *blob)
{
    const char *slash = strrchr(repo_dir, '/');
    struct buf lock;
    int fd;
    bool idle;

    buf_init(&lock, BUF_UNLIMITED);
    buf_addf(&lock, "%.*s/.locks%s/%s.lock", (int)(slash - repo_dir), repo_dir, slash,
             blob);
    fd = open(buf_text(&lock), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    idle = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0)
        close(fd);
    buf_release(&lock);
    return idle;
}

static bool remove_file(const char *path, bool dry, struct hub_freed *freed,
                        struct err *err)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return true;
    if (!dry && unlink(path) != 0)
        return err_set_errno(err, ERR_IO, errno, "cannot remove '%s'", path);
    freed->n_files++;
    if (S_ISREG(st.st_mode))
        freed->bytes += (int64_t)st.st_blocks * 512;
    return true;
}

/* A part or journal of ours, or a blob; what huggingface_hub has begun is its own. The
 * name of the blob is cut out of *name. */
static bool is_ours(char *name, bool parts_too)
{
    static const char *const endings[] = {".part", ".journal"};

    if (name[0] == '.')
        return false;
    for (size_t i = 0; i < 2; i++)
        if (text_ends_with(name, endings[i])) {
            name[strlen(name) - strlen(endings[i])] = '\0';
            return parts_too;
        }
    return strchr(name, '.') == NULL;
}

/* Removes blobs that no snapshot links to: all, or those of `only`. */
static bool sweep_blobs(const char *repo_dir, const struct hub_links *only, bool dry,
                        struct hub_freed *freed, struct err *err)
{
    char *snapshots = path_join(repo_dir, "snapshots");
    char *blobs = path_join(repo_dir, "blobs");
    struct hub_links linked = {0};
    DIR *dir = opendir(blobs);
    struct dirent *entry;
    bool ok = true;

    add_all(&linked, snapshots);
    while (ok && dir != NULL && (entry = readdir(dir)) != NULL) {
        char *path = path_join(blobs, entry->d_name);
        char *blob = mem_dup(entry->d_name);

        if (is_ours(blob, only == NULL) && !is_linked(&linked, entry->d_name) &&
            (only == NULL || is_linked(only, blob)) && is_idle(repo_dir, blob))
            ok = remove_file(path, dry, freed, err);
        free(blob);
        free(path);
    }
    if (dir != NULL)
        closedir(dir);
    hub_links_release(&linked);
    free(blobs);
    free(snapshots);
    return ok;
}

/* Folders that are empty go, the deepest first; refs go when no snapshot is left. */
static void remove_empty(const char *repo_dir)
{
    char *copy = path_join(repo_dir, "snapshots");
    char *refs = path_join(repo_dir, "refs");
    char *roots[] = {copy, NULL};

    for (int round = 0; round < 2; round++) {
        FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *entry;

        while (walk != NULL && (entry = fts_read(walk)) != NULL) {
            if (entry->fts_info == FTS_DP)
                (void)rmdir(entry->fts_accpath);
            else if (round == 1 && entry->fts_info == FTS_F)
                (void)unlink(entry->fts_accpath);
        }
        if (walk != NULL)
            fts_close(walk);
        if (access(copy, F_OK) == 0)
            break;
        roots[0] = refs;
    }
    free(refs);
    free(copy);
    copy = path_join(repo_dir, "blobs");
    (void)rmdir(copy);
    (void)rmdir(repo_dir);
    free(copy);
}

bool hub_remove(const struct hub_links *links, struct hub_freed *freed, struct err *err)
{
    memset(freed, 0, sizeof(*freed));
    for (size_t i = 0; i < links->n; i++)
        if (!remove_file(links->link[i].path, false, freed, err))
            return false;
    if (!sweep_blobs(links->repo_dir, links, false, freed, err))
        return false;
    freed->n_files = links->n;
    remove_empty(links->repo_dir);
    return true;
}

bool hub_collect(bool dry, struct hub_freed *freed, struct err *err)
{
    char *cache = path_hub_cache(err);
    DIR *dir = cache == NULL ? NULL : opendir(cache);
    struct dirent *entry;
    bool ok = cache != NULL;

    memset(freed, 0, sizeof(*freed));
    while (ok && dir != NULL && (entry = readdir(dir)) != NULL) {
        char *repo = path_join(cache, entry->d_name);

        if (text_starts_with(entry->d_name, repo_prefix)) {
            ok = sweep_blobs(repo, NULL, dry, freed, err);
            if (ok && !dry)
                remove_empty(repo);
        }
        free(repo);
    }
    if (dir != NULL)
        closedir(dir);
    free(cache);
    return ok;
}
