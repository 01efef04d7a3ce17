/* SPDX-License-Identifier: MIT
 *
 * Who uses the models of a list: when hadal last answered with each, as the history
 * says, and which other programs see the same file.
 */
#ifndef HADAL_MODEL_USE_H
#define HADAL_MODEL_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/catalog.h"

struct model_use {
    int64_t last_ms; /* UTC of the newest message; 0: never, or not known */
    bool seen_from[CATALOG_STORES]; /* in whose store the same file lies too */
};

/* One for each model of the list; owned, free(). */
struct model_use *model_use_find(const struct catalog_list *list) MUST_USE;

/* "huggingface", "ollama", "lmstudio"; NULL for CATALOG_OWN. */
const char *model_use_store_name(enum catalog_store store);

#endif
