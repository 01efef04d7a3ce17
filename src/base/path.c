/* SPDX-License-Identifier: MIT
 *
 * Paths: see path.h.
 */
#include "config.h"

#include "src/base/path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/mem.h"

enum { PATH_MAX_BYTES = 1 << 16 };

#define EMBEDDED_NAME "hadal-mini.gguf"

char *path_join(const char *a, const char *b)
{
    struct buf path;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/%s", a, b);
    return buf_take(&path, NULL);
}

char *path_add_suffix(const char *path, const char *suffix)
{
    struct buf longer;

    buf_init(&longer, BUF_UNLIMITED);
    buf_addf(&longer, "%s%s", path, suffix);
    return buf_take(&longer, NULL);
}

const char *path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

/* $variable if it is an absolute path, else $HOME/fallback. */
static char *base_dir(const char *variable, const char *fallback, struct err *err)
{
    const char *dir = getenv(variable);
    const char *home = getenv("HOME");

    if (dir != NULL && dir[0] == '/')
        return mem_dup(dir);
    if (home == NULL || home[0] == '\0') {
        err_set(err, ERR_IO, "neither HOME nor %s is set", variable);
        return NULL;
    }
    return path_join(home, fallback);
}

static char *below(char *dir, const char *name)
{
    char *path;

    if (dir == NULL)
        return NULL;
    path = path_join(dir, name);
    free(dir);
    return path;
}

char *path_config_file(struct err *err)
{
    return below(base_dir("XDG_CONFIG_HOME", ".config", err), "hadal/config");
}

char *path_history_db(struct err *err)
{
    const char *db = getenv("HADAL_DB");

    if (db != NULL && db[0] != '\0')
        return mem_dup(db);
    return below(base_dir("XDG_DATA_HOME", ".local/share", err), "hadal/history.db");
}

char *path_cache_dir(struct err *err)
{
    return below(base_dir("XDG_CACHE_HOME", ".cache", err), "hadal");
}

char *path_hub_cache(struct err *err)
{
    const char *cache = getenv("HF_HUB_CACHE");
    const char *home = getenv("HF_HOME");

    if (cache != NULL && cache[0] != '\0')
        return mem_dup(cache);
    if (home != NULL && home[0] != '\0')
        return path_join(home, "hub");
    return below(base_dir("XDG_CACHE_HOME", ".cache", err), "huggingface/hub");
}

char *path_hub_token(struct err *err)
{
    const char *path = getenv("HF_TOKEN_PATH");
    const char *home = getenv("HF_HOME");

    if (path != NULL && path[0] != '\0')
        return mem_dup(path);
    if (home != NULL && home[0] != '\0')
        return path_join(home, "token");
    return below(base_dir("XDG_CACHE_HOME", ".cache", err), "huggingface/token");
}

/* The folder of the running program, or NULL. */
static char *program_dir(void)
{
    char *path = mem_alloc(PATH_MAX_BYTES);
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX_BYTES - 1);
    char *slash;

    if (n > 0) {
        path[n] = '\0';
        slash = strrchr(path, '/');
        if (slash != NULL) {
            *slash = '\0';
            return path;
        }
    }
    free(path);
    return NULL;
}

/* Frees path and returns NULL where it cannot be read. */
static char *if_readable(char *path)
{
    if (path != NULL && access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *path_embedded_model(struct err *err)
{
    static const char *const beside[] = {"share/" EMBEDDED_NAME,
                                         "../share/" EMBEDDED_NAME,
                                         "../share/hadal/" EMBEDDED_NAME};
    const char *given = getenv("HADAL_MINI");
    char *dir = NULL;
    char *path = NULL;

    if (given != NULL && given[0] != '\0')
        return mem_dup(given);
    dir = program_dir();
    for (size_t i = 0; dir != NULL && path == NULL && i < 3; i++)
        path = if_readable(path_join(dir, beside[i]));
    free(dir);
    if (path == NULL)
        path = if_readable(path_join(PKGDATADIR, EMBEDDED_NAME));
    if (path == NULL)
        path = if_readable(path_join(BUILD_SHARE, EMBEDDED_NAME));
    if (path == NULL)
        err_set(err, ERR_MODEL,
                "the embedded model 'hadal-mini' is missing (looked for '%s'); give a "
                "model with -m",
                PKGDATADIR "/" EMBEDDED_NAME);
    return path;
}
