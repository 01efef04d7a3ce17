/* SPDX-License-Identifier: MIT
 *
 * Which model a name means, and which models are on this machine.
 *
 * Weights are looked for in the Hugging Face cache (models--ORG--REPO/snapshots/...),
 * so that what another tool has downloaded is found.
 */
#ifndef HADAL_CATALOG_H
#define HADAL_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "src/options.h"

#define CATALOG_EMBEDDED "hadal-mini"

/* Whose folder a listed model lies in. */
enum catalog_store {
    CATALOG_OWN, /* comes with hadal, or was given by path */
    CATALOG_HUB,
    CATALOG_OLLAMA,
    CATALOG_LM_STUDIO,
    CATALOG_STORES,
};

struct catalog_model {
    char *name; /* resolves to the same model again, from any folder; owned */
    char *path; /* a .gguf file or a folder; owned */
    enum catalog_store store;
};
void catalog_model_release(struct catalog_model *model); /* accepts zeroed storage */

/* The model of -m, else of $HADAL_MODEL, the configuration, the newest message of the
 * history, else the embedded one. ERR_MODEL naming it, and the way out. */
bool catalog_resolve(const struct options *opt, struct catalog_model *model,
                     struct err *err) MUST_USE;

/* The same for one given name. */
bool catalog_find(const char *name, struct catalog_model *model,
                  struct err *err) MUST_USE;

/* The embedded model, all GGUF files in the cache and in the stores of other programs,
 * sorted by name; owned. */
struct catalog_list {
    struct catalog_model *model;
    size_t n, cap;
};
void catalog_list_all(struct catalog_list *list);
/* Adds the repositories in the cache that hold safetensors alone. */
void catalog_list_folders(struct catalog_list *list);
void catalog_list_release(struct catalog_list *list);

/* catalog_find for who has the list: the stores are not walked again for an alias. */
bool catalog_find_in(const struct catalog_list *list, const char *name,
                     struct catalog_model *model, struct err *err) MUST_USE;

#endif
