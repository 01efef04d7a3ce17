/* SPDX-License-Identifier: MIT
 *
 * Names of models: see catalog.h.
 *
 * A name is tried as: the embedded model, a path that exists, ORG/REPO[:QUANT] or
 * ORG/REPO/FILE.gguf in the cache (hub.h), a name in the list (also of models of other
 * programs, stores.h), an alias, which is a file's name without
 * ".gguf" where no other file has it.
 */
#include "config.h"

#include "src/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history/history.h"
#include "src/base/buf.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/text.h"
#include "src/hub.h"
#include "src/stores.h"

void catalog_model_release(struct catalog_model *model)
{
    free(model->name);
    free(model->path);
    memset(model, 0, sizeof(*model));
}

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* The path from the root, links kept (the cache's names tell more than its blobs). */
static char *absolute(const char *path)
{
    char *here;
    char *joined;

    if (path[0] == '/')
        return mem_dup(path);
    here = getcwd(NULL, 0);
    if (here == NULL)
        return mem_dup(path);
    while (text_starts_with(path, "./"))
        path += 2;
    joined = path_join(strcmp(here, "/") == 0 ? "" : here, path);
    free(here);
    return joined;
}

/* Only what looks like a path: a hub name may not exist and is no path. */
static bool is_path_like(const char *name)
{
    return name[0] == '/' || name[0] == '.' || name[0] == '~' ||
           (text_ends_with_any_case(name, ".gguf") && !hub_is_name(name));
}

static bool find_listed(const struct catalog_list *list, const char *name,
                        struct catalog_model *model)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcasecmp(list->model[i].name, name) == 0) {
            model->name = mem_dup(list->model[i].name);
            model->path = mem_dup(list->model[i].path);
            return true;
        }
    return false;
}

/* list NULL: made for this one question. */
static bool find_alias(const struct catalog_list *list, const char *name,
                       struct catalog_model *model)
{
    struct catalog_list own;
    bool found;

    if (list != NULL)
        return find_listed(list, name, model);
    catalog_list_all(&own);
    found = find_listed(&own, name, model);
    catalog_list_release(&own);
    return found;
}

static bool find_embedded(struct catalog_model *model, struct err *err)
{
    model->path = path_embedded_model(err);
    if (model->path == NULL)
        return false;
    model->name = mem_dup(CATALOG_EMBEDDED);
    return true;
}

bool catalog_find_in(const struct catalog_list *list, const char *name,
                     struct catalog_model *model, struct err *err)
{
    memset(model, 0, sizeof(*model));
    if (name[0] == '\0')
        return err_set(err, ERR_MODEL, "model: the name is empty");
    if (strcmp(name, CATALOG_EMBEDDED) == 0)
        return find_embedded(model, err);
    if (text_starts_with(name, "http://") || text_starts_with(name, "https://"))
        return err_set(err, ERR_MODEL,
                       "%s: endpoints are not available in this version", name);
    if (exists(name)) {
        model->name = absolute(name);
        model->path = mem_dup(name);
        return true;
    }
    if (is_path_like(name))
        return err_set(err, ERR_MODEL,
                       "%s: no such file; 'hadal list' shows the models that are here",
                       name);
    if (hub_is_name(name)) {
        model->path = hub_find(name, err);
        if (model->path == NULL)
            return find_alias(list, name, model); /* of another program's store */
        model->name = mem_dup(name);
        return true;
    }
    if (find_alias(list, name, model))
        return true;
    return err_set(err, ERR_MODEL,
                   "%s: no such model; 'hadal list' shows those that are here", name);
}

bool catalog_find(const char *name, struct catalog_model *model, struct err *err)
{
    return catalog_find_in(NULL, name, model, err);
}

/* The model of the newest message, or NULL. A history that cannot be read has none. */
static char *newest_model(void)
{
    char *path = path_history_db(NULL);
    struct history *h = path == NULL ? NULL : history_open(path, HISTORY_READ, NULL);
    char *model = NULL;

    if (h != NULL && !history_newest_model(h, &model, NULL))
        model = NULL;
    history_close(h);
    free(path);
    return model;
}

bool catalog_resolve(const struct options *opt, struct catalog_model *model,
                     struct err *err)
{
    const char *name = opt->model;
    char *newest = NULL;
    bool ok;

    if (name == NULL)
        name = getenv("HADAL_MODEL");
    if (name == NULL || (name[0] == '\0' && opt->model == NULL))
        name = opt->model_default;
    if (name == NULL)
        name = newest = newest_model();
    ok = catalog_find(name != NULL ? name : CATALOG_EMBEDDED, model, err);
    if (!ok && newest != NULL)
        err_wrap(err, "the model of the newest message is gone (give one with -m: "
                      "hadal-mini is always here)");
    free(newest);
    if (!ok)
        catalog_model_release(model);
    return ok;
}

/* ---- the list ---- */

struct adding {
    struct catalog_list *list;
    enum catalog_store store;
};

static void add_model(void *ctx, const char *name, const char *path)
{
    const struct adding *to = ctx;
    struct catalog_list *list = to->list;

    list->model = mem_grow(list->model, &list->cap, list->n + 1, sizeof(*list->model));
    list->model[list->n++] =
        (struct catalog_model){mem_dup(name), mem_dup(path), to->store};
}

/* The file's name without folders, ".gguf" and "-00001-of-00002"; free(). */
static char *short_name(const char *name)
{
    const char *base = path_base_name(name);
    size_t len = strlen(base);

    if (hub_is_part(base))
        len -= HUB_SPLIT_SUFFIX + strlen(".gguf");
    else if (text_ends_with_any_case(base, ".gguf"))
        len -= strlen(".gguf");
    return mem_dup_n(base, len);
}

static bool is_taken(char *const *stem, size_t n, size_t but)
{
    for (size_t i = 0; i < n; i++)
        if (i != but && strcasecmp(stem[i], stem[but]) == 0)
            return true;
    return false;
}

/* Puts the short name in place of the long one where nothing else has it. */
static void shorten_names(struct catalog_list *list)
{
    char **stem = mem_array(list->n + 1, sizeof(*stem));

    for (size_t i = 0; i < list->n; i++)
        stem[i] = short_name(list->model[i].name);
    for (size_t i = 0; i < list->n; i++) {
        if (is_taken(stem, list->n, i) || exists(stem[i]))
            continue;
        free(list->model[i].name);
        list->model[i].name = mem_dup(stem[i]);
    }
    for (size_t i = 0; i < list->n; i++)
        free(stem[i]);
    free(stem);
}

static int by_name(const void *a, const void *b)
{
    const struct catalog_model *x = a;
    const struct catalog_model *y = b;

    return strcasecmp(x->name, y->name);
}

void catalog_list_all(struct catalog_list *list)
{
    struct catalog_model embedded = {0};
    struct adding to = {list, CATALOG_OWN};

    memset(list, 0, sizeof(*list));
    if (find_embedded(&embedded, NULL))
        add_model(&to, embedded.name, embedded.path);
    catalog_model_release(&embedded);
    to.store = CATALOG_HUB;
    hub_each_file(add_model, &to);
    to.store = CATALOG_OLLAMA;
    stores_each_of_ollama(add_model, &to);
    to.store = CATALOG_LM_STUDIO;
    stores_each_of_lm_studio(add_model, &to);
    shorten_names(list);
    if (list->n > 0)
        qsort(list->model, list->n, sizeof(*list->model), by_name);
}

void catalog_list_folders(struct catalog_list *list)
{
    struct adding to = {list, CATALOG_HUB};

    hub_each_folder(add_model, &to);
    if (list->n > 0)
        qsort(list->model, list->n, sizeof(*list->model), by_name);
}

void catalog_list_release(struct catalog_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        catalog_model_release(&list->model[i]);
    free(list->model);
    memset(list, 0, sizeof(*list));
}
