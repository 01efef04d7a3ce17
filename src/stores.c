/* SPDX-License-Identifier: MIT
 *
 * Models of other programs: see stores.h. What their files say becomes part of a path
 * only as 64 hexadecimal digits.
 */
#include "config.h"

#include "src/stores.h"

#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/buf.h"
#include "src/base/digest.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/text.h"

enum { MANIFEST_MAX_BYTES = 1 << 20, FILES_MAX = 4096, DEPTH_MAX = 5 };

static const char model_layer[] = "application/vnd.ollama.image.model";

/* Called with the path of a file below a root, and the path from the root on. */
typedef void (*found_fn)(const char *root, const char *path, const char *relative,
                         hub_file_fn fn, void *ctx);

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void walk(const char *root, const char *below, found_fn found, hub_file_fn fn,
                 void *ctx)
{
    char *top = path_join(root, below);
    char *const roots[] = {top, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;
    int n = 0;

    while (tree != NULL && n < FILES_MAX && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_D && entry->fts_level > DEPTH_MAX)
            fts_set(tree, entry, FTS_SKIP);
        if (entry->fts_info != FTS_F)
            continue;
        n++;
        found(root, entry->fts_path, entry->fts_path + strlen(top) + 1, fn, ctx);
    }
    if (tree != NULL)
        fts_close(tree);
    free(top);
}

/* ---- ollama ---- */

/* The digits of the model's layer, or NULL. */
static const char *layer_digits(const cJSON *manifest)
{
    const cJSON *layer;

    cJSON_ArrayForEach(layer, json_get(manifest, "layers"))
    {
        const cJSON *type = json_get(layer, "mediaType");
        const cJSON *digest = json_get(layer, "digest");

        if (cJSON_IsString(type) && cJSON_IsString(digest) &&
            strcmp(type->valuestring, model_layer) == 0 &&
            strncmp(digest->valuestring, "sha256:", 7) == 0 &&
            digest_kind_of_hex(digest->valuestring + 7) == DIGEST_SHA256)
            return digest->valuestring + 7;
    }
    return NULL;
}

/* relative: HOST/NAMESPACE/NAME/TAG. The name is "ollama/NAME:TAG". */
static void found_manifest(const char *root, const char *path, const char *relative,
                           hub_file_fn fn, void *ctx)
{
    const char *tag = strrchr(relative, '/');
    const char *name = tag;
    struct buf text, out, blob;
    const char *digits;
    struct stat st;
    cJSON *json;

    while (name != NULL && name > relative && name[-1] != '/')
        name--;
    if (name == NULL || name == relative)
        return;
    buf_init(&text, MANIFEST_MAX_BYTES);
    buf_init(&out, BUF_UNLIMITED);
    buf_init(&blob, BUF_UNLIMITED);
    json = file_read_regular(path, ERR_IO, &text, NULL)
               ? json_parse(buf_text(&text), text.len, path, ERR_MODEL, NULL)
               : NULL;
    digits = layer_digits(json);
    if (digits != NULL) {
        buf_addf(&blob, "%s/blobs/sha256-%s", root, digits);
        buf_addf(&out, "ollama/%.*s:%s", (int)(tag - name), name, tag + 1);
        if (stat(buf_text(&blob), &st) == 0 && S_ISREG(st.st_mode))
            fn(ctx, buf_text(&out), buf_text(&blob));
    }
    cJSON_Delete(json);
    buf_release(&blob);
    buf_release(&out);
    buf_release(&text);
}

void stores_each_of_ollama(hub_file_fn fn, void *ctx)
{
    const char *home = getenv("HOME");
    const char *given = getenv("OLLAMA_MODELS");
    char *path;

    if (given != NULL && given[0] == '/') {
        walk(given, "manifests", found_manifest, fn, ctx);
        return;
    }
    if (home != NULL && home[0] == '/') {
        path = path_join(home, ".ollama/models");
        walk(path, "manifests", found_manifest, fn, ctx);
        free(path);
    }
    walk("/usr/share/ollama/.ollama/models", "manifests", found_manifest, fn, ctx);
}

/* ---- LM Studio ---- */

static void found_file(const char *root, const char *path, const char *relative,
                       hub_file_fn fn, void *ctx)
{
    (void)root;
    if (text_ends_with_any_case(relative, ".gguf") && strchr(relative, '/') != NULL &&
        !hub_is_side_file(relative))
        fn(ctx, relative, path);
}

void stores_each_of_lm_studio(hub_file_fn fn, void *ctx)
{
    static const char *const folders[] = {".lmstudio/models",
                                          ".cache/lm-studio/models"};
    const char *home = getenv("HOME");

    if (home == NULL || home[0] != '/')
        return;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        walk(home, folders[i], found_file, fn, ctx);
}

const char *stores_digest_of(const char *path)
{
    const char *name = path_base_name(path);

    return strncmp(name, "sha256-", 7) == 0 &&
                   digest_kind_of_hex(name + 7) == DIGEST_SHA256
               ? name + 7
               : "";
}
