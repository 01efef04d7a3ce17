/* SPDX-License-Identifier: MIT
 *
 * Who uses the models of a list: see model_use.h. The history knows models by the names
 * they were asked for, which may be no names of the list: they are resolved to paths.
 */
#include "config.h"

#include "src/model_use.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/mem.h"
#include "src/listing.h"

const char *model_use_store_name(enum catalog_store store)
{
    static const char *const name[CATALOG_STORES] = {
        [CATALOG_HUB] = "huggingface",
        [CATALOG_OLLAMA] = "ollama",
        [CATALOG_LM_STUDIO] = "lmstudio",
    };

    return name[store];
}

static void note_path(const struct catalog_list *list, struct model_use *use,
                      const char *path, int64_t ms)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->model[i].path, path) == 0 && use[i].last_ms < ms)
            use[i].last_ms = ms;
}

static void note_name(const struct catalog_list *list, struct model_use *use,
                      const char *name, int64_t ms)
{
    struct catalog_model model;

    if (catalog_find_in(list, name, &model, NULL))
        note_path(list, use, model.path, ms);
    catalog_model_release(&model);
}

/* True where an earlier (newer) session names the same model. */
static bool is_known(const struct history_sessions *s, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (s->row[i].model != NULL && strcmp(s->row[i].model, s->row[at].model) == 0)
            return true;
    return false;
}

static void find_last(const struct catalog_list *list, struct model_use *use)
{
    enum { NEWEST_SESSIONS = 1000 };
    struct err none; /* without a history nothing was used */
    struct history *h = listing_open_history(&none);
    struct history_sessions sessions = {0};

    if (h != NULL && history_list_sessions(h, 0, NEWEST_SESSIONS, &sessions, NULL))
        for (size_t i = 0; i < sessions.n; i++)
            if (sessions.row[i].model != NULL && !is_known(&sessions, i))
                note_name(list, use, sessions.row[i].model, sessions.row[i].updated_ms);
    history_sessions_release(&sessions);
    history_close(h);
}

/* Two names of one file, by hard link or by a link in one store to the other. */
static void find_sharers(const struct catalog_list *list, struct model_use *use)
{
    struct stat *st = mem_array(list->n + 1, sizeof(*st));

    for (size_t i = 0; i < list->n; i++)
        if (stat(list->model[i].path, &st[i]) != 0)
            st[i].st_ino = 0;
    for (size_t i = 0; i < list->n; i++) {
        use[i].seen_from[list->model[i].store] = true;
        for (size_t k = 0; k < list->n; k++)
            if (st[i].st_ino != 0 && st[i].st_ino == st[k].st_ino &&
                st[i].st_dev == st[k].st_dev)
                use[i].seen_from[list->model[k].store] = true;
    }
    free(st);
}

struct model_use *model_use_find(const struct catalog_list *list)
{
    struct model_use *use = mem_array(list->n + 1, sizeof(*use));

    find_last(list, use);
    find_sharers(list, use);
    return use;
}
