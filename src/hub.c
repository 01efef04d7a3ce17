/* SPDX-License-Identifier: MIT
 *
 * The Hugging Face cache: see hub.h. Names from the disk and from the user become parts
 * of paths only when they are plain: no "..", no empty component.
 */
#include "config.h"

#include "src/hub.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "src/base/buf.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/text.h"

enum {
    MAX_DEPTH = 3,    /* folders below a snapshot */
    MAX_FILES = 4096, /* files looked at in one snapshot */
    NAME_MAX_BYTES = 1024,
};

static const char default_revision[] = "main";

/* Files of a snapshot, relative to it, sorted. */
struct files {
    char **name;
    size_t n, cap;
};

static void files_release(struct files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->name[i]);
    free(f->name);
}

/* ---- names ---- */

bool hub_is_plain(const char *text, size_t len)
{
    if (len == 0 || text[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("._-", text[i]) == NULL)
            return false;
    return true;
}

/* A name in pieces that point into it. */
struct hub_name {
    size_t org_len;
    const char *repo;
    size_t repo_len;
    const char *quant; /* or NULL */
    const char *file;  /* or NULL */
};

static bool split_name(const char *name, struct hub_name *out)
{
    const char *slash = strchr(name, '/');

    memset(out, 0, sizeof(*out));
    if (slash == NULL || strlen(name) > NAME_MAX_BYTES)
        return false;
    out->org_len = (size_t)(slash - name);
    out->repo = slash + 1;
    out->repo_len = strcspn(out->repo, ":/");
    if (out->repo[out->repo_len] == ':')
        out->quant = out->repo + out->repo_len + 1;
    else if (out->repo[out->repo_len] == '/')
        out->file = out->repo + out->repo_len + 1;
    return hub_is_plain(name, out->org_len) && hub_is_plain(out->repo, out->repo_len);
}

static bool is_plain_path(const char *path)
{
    while (*path != '\0') {
        size_t len = strcspn(path, "/");

        if (len == 0 || path[0] == '.')
            return false;
        path += len + (path[len] == '/');
    }
    return true;
}

bool hub_is_name(const char *name)
{
    struct hub_name h;

    if (!split_name(name, &h) || (h.quant != NULL && strchr(h.quant, '/') != NULL))
        return false;
    return h.file == NULL ||
           (is_plain_path(h.file) && text_ends_with_any_case(h.file, ".gguf"));
}

bool hub_is_part(const char *name)
{
    size_t len = strlen(name);
    const char *suffix;

    if (len <= HUB_SPLIT_SUFFIX + 5 || !text_ends_with_any_case(name, ".gguf"))
        return false;
    suffix = name + len - 5 - HUB_SPLIT_SUFFIX;
    return suffix[0] == '-' && strspn(suffix + 1, "0123456789") == 5 &&
           strncmp(suffix + 6, "-of-", 4) == 0 &&
           strspn(suffix + 10, "0123456789") == 5;
}

bool hub_is_side_file(const char *name)
{
    if (strncasecmp(path_base_name(name), "mmproj", 6) == 0)
        return true;
    return hub_is_part(name) &&
           strncmp(name + strlen(name) - 5 - HUB_SPLIT_SUFFIX, "-00001-", 7) != 0;
}

/* ---- folders ---- */

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

static void add_name(struct files *f, const char *name)
{
    f->name = mem_grow(f->name, &f->cap, f->n + 1, sizeof(*f->name));
    f->name[f->n++] = mem_dup(name);
}

/* The names in a folder, but hidden ones; sorted. */
static void list_dir(const char *path, struct files *out)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir != NULL && out->n < MAX_FILES && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            add_name(out, entry->d_name);
    if (dir != NULL)
        closedir(dir);
    if (out->n > 0)
        qsort(out->name, out->n, sizeof(*out->name), by_text);
}

/* What can be opened by itself. */
static bool is_gguf(const char *name)
{
    return text_ends_with_any_case(name, ".gguf") && !hub_is_side_file(name);
}

/* Walks the snapshot in levels: `todo` holds folders relative to it, grown while read.
 * wants NULL: every file. */
static void find_files(const char *snapshot, bool (*wants)(const char *name),
                       struct files *out)
{
    struct files todo = {0};

    add_name(&todo, "");
    for (size_t i = 0; i < todo.n && todo.n < MAX_FILES; i++) {
        char *folder = path_join(snapshot, todo.name[i]);
        struct files here = {0};

        list_dir(folder, &here);
        for (size_t k = 0; k < here.n; k++) {
            const char *base = todo.name[i];
            char *relative =
                *base == '\0' ? mem_dup(here.name[k]) : path_join(base, here.name[k]);
            char *path = path_join(snapshot, relative);
            int depth = 0;

            for (const char *c = relative; *c != '\0'; c++)
                depth += *c == '/';
            if (depth < MAX_DEPTH && is_dir(path))
                add_name(&todo, relative);
            else if ((wants == NULL || wants(relative)) && is_file(path))
                add_name(out, relative);
            free(path);
            free(relative);
        }
        files_release(&here);
        free(folder);
    }
    files_release(&todo);
    if (out->n > 0)
        qsort(out->name, out->n, sizeof(*out->name), by_text);
}

/* The name that a ref holds, as a path of its snapshot; NULL: there is no such ref. */
static char *follow_ref(const char *repo_dir, const char *snapshots,
                        const char *revision)
{
    char *refs = path_join(repo_dir, "refs");
    char *ref = path_join(refs, revision);
    char *found = NULL;
    struct buf text;

    buf_init(&text, NAME_MAX_BYTES);
    if (file_read_regular(ref, ERR_IO, &text, NULL)) {
        size_t len = strcspn(buf_text(&text), "\r\n \t");

        if (hub_is_plain(buf_text(&text), len)) {
            text.data[len] = '\0';
            found = path_join(snapshots, text.data);
        }
    }
    buf_release(&text);
    free(ref);
    free(refs);
    return found;
}

char *hub_find_snapshot(const char *repo_dir, const char *revision)
{
    char *snapshots = path_join(repo_dir, "snapshots");
    char *found = follow_ref(repo_dir, snapshots, revision);
    struct files names = {0};

    if (found == NULL && hub_is_plain(revision, strlen(revision)))
        found = path_join(snapshots, revision);
    if (found == NULL || !is_dir(found)) {
        free(found);
        found = NULL;
        if (strcmp(revision, default_revision) == 0)
            list_dir(snapshots, &names);
        if (names.n > 0)
            found = path_join(snapshots, names.name[names.n - 1]);
    }
    files_release(&names);
    free(snapshots);
    return found;
}

void hub_each_in(const char *snapshot, hub_file_fn fn, void *ctx)
{
    struct files files = {0};

    find_files(snapshot, NULL, &files);
    for (size_t i = 0; i < files.n; i++) {
        char *path = path_join(snapshot, files.name[i]);

        fn(ctx, files.name[i], path);
        free(path);
    }
    files_release(&files);
}

/* ---- finding ---- */

bool hub_has_quant(const char *name, const char *quant)
{
    size_t len = strlen(quant);

    for (const char *at = name; *at != '\0'; at++) {
        bool begins = at == name || !isalnum((unsigned char)at[-1]);

        if (begins && strncasecmp(at, quant, len) == 0 &&
            !isalnum((unsigned char)at[len]) && at[len] != '_')
            return true;
    }
    return false;
}

const char *hub_usual_quant(size_t i)
{
    static const char *const usual[] = {
        "Q4_K_M", "Q5_K_M", "Q4_K_S", "Q5_K_S", "Q6_K",   "Q8_0",   "Q4_K_L", "Q4_0",
        "Q4_1",   "Q5_0",   "Q5_1",   "IQ4_XS", "IQ4_NL", "Q3_K_L", "Q3_K_M", "Q3_K_S",
        "IQ3_M",  "Q2_K",   "IQ2_M",  "F16",    "BF16",   "F32",
    };

    return i < sizeof(usual) / sizeof(usual[0]) ? usual[i] : NULL;
}

static const char *find_quant(const struct files *f, const char *quant)
{
    for (size_t i = 0; i < f->n; i++)
        if (hub_has_quant(f->name[i], quant))
            return f->name[i];
    return NULL;
}

/* As pull chooses, so that what it has fetched is what the name means. */
static const char *choose(const struct files *f, const char *quant)
{
    const char *found = NULL;
    const char *usual;

    if (quant != NULL)
        return find_quant(f, quant);
    for (size_t i = 0; found == NULL && (usual = hub_usual_quant(i)) != NULL; i++)
        found = find_quant(f, usual);
    return found == NULL && f->n > 0 ? f->name[0] : found;
}

static char *find_in(const char *snapshot, const struct hub_name *h, const char *name,
                     struct err *err)
{
    struct files files = {0};
    const char *chosen = NULL;
    char *path = NULL;
    char *config;

    if (h->file != NULL) {
        path = path_join(snapshot, h->file);
    } else {
        find_files(snapshot, is_gguf, &files);
        chosen = choose(&files, h->quant);
        if (chosen != NULL)
            path = path_join(snapshot, chosen);
    }
    config = path_join(snapshot, "config.json");
    if (path == NULL && h->quant == NULL && is_file(config))
        path = mem_dup(snapshot);
    free(config);
    files_release(&files);
    if (path != NULL && (is_file(path) || is_dir(path)))
        return path;
    free(path);
    err_set(err, ERR_MODEL, "%s: the repository is in the cache, but not this file",
            name);
    return NULL;
}

char *hub_find(const char *name, struct err *err)
{
    char *cache = path_hub_cache(err);
    struct hub_name h;
    struct buf folder;
    char *snapshot = NULL;
    char *path = NULL;

    if (cache == NULL)
        return NULL;
    buf_init(&folder, BUF_UNLIMITED);
    if (split_name(name, &h)) {
        buf_addf(&folder, "%s/models--%.*s--%.*s", cache, (int)h.org_len, name,
                 (int)h.repo_len, h.repo);
        snapshot = hub_find_snapshot(folder.data, default_revision);
    }
    if (snapshot == NULL)
        err_set(err, ERR_MODEL,
                "%s: not in the cache ('%s'); 'hadal pull %s' fetches it, 'hadal list' "
                "shows "
                "the models that are here",
                name, cache, name);
    else
        path = find_in(snapshot, &h, name, err);
    free(snapshot);
    buf_release(&folder);
    free(cache);
    return path;
}

/* "models--ORG--REPO" to "ORG/REPO". False where the folder is named otherwise. */
static bool repo_of_folder(const char *folder, struct buf *out)
{
    static const char prefix[] = "models--";
    const char *org = folder + strlen(prefix);
    const char *gap;

    if (strncmp(folder, prefix, strlen(prefix)) != 0)
        return false;
    gap = strstr(org, "--");
    return gap != NULL && hub_is_plain(org, (size_t)(gap - org)) &&
           hub_is_plain(gap + 2, strlen(gap + 2)) &&
           buf_addf(out, "%.*s/%s", (int)(gap - org), org, gap + 2);
}

/* A repository's snapshot, its GGUF files and its name; false where it is none. */
static bool look_into(const char *cache, const char *folder, char **snapshot,
                      struct files *files, struct buf *repo)
{
    char *repo_dir = path_join(cache, folder);

    *snapshot = hub_find_snapshot(repo_dir, default_revision);
    free(repo_dir);
    if (*snapshot == NULL || !repo_of_folder(folder, repo))
        return false;
    find_files(*snapshot, is_gguf, files);
    return true;
}

static bool has_safetensors(const char *snapshot)
{
    struct files here = {0};
    bool config = false;
    bool weights = false;

    list_dir(snapshot, &here);
    for (size_t i = 0; i < here.n; i++) {
        config = config || strcmp(here.name[i], "config.json") == 0;
        weights = weights || text_ends_with_any_case(here.name[i], ".safetensors");
    }
    files_release(&here);
    return config && weights;
}

/* Calls fn for what is wanted of one repository of the cache. */
static void each_of(const char *cache, const char *folder, bool folders, hub_file_fn fn,
                    void *ctx)
{
    char *snapshot = NULL;
    struct files files = {0};
    struct buf repo;

    buf_init(&repo, BUF_UNLIMITED);
    if (look_into(cache, folder, &snapshot, &files, &repo) && folders && files.n == 0 &&
        has_safetensors(snapshot))
        fn(ctx, repo.data, snapshot);
    for (size_t i = 0; i < files.n && !folders; i++) {
        char *name = path_join(repo.data, files.name[i]);
        char *path = path_join(snapshot, files.name[i]);

        fn(ctx, name, path);
        free(name);
        free(path);
    }
    buf_release(&repo);
    files_release(&files);
    free(snapshot);
}

static void each_repo(bool folders, hub_file_fn fn, void *ctx)
{
    char *cache = path_hub_cache(NULL);
    struct files repos = {0};

    if (cache == NULL)
        return;
    list_dir(cache, &repos);
    for (size_t i = 0; i < repos.n; i++)
        each_of(cache, repos.name[i], folders, fn, ctx);
    files_release(&repos);
    free(cache);
}

void hub_each_file(hub_file_fn fn, void *ctx)
{
    each_repo(false, fn, ctx);
}

void hub_each_folder(hub_file_fn fn, void *ctx)
{
    each_repo(true, fn, ctx);
}
