/* SPDX-License-Identifier: MIT
 *
 * What the cache holds of a repository, as if a hub had listed it: for pulls while
 * $HF_HUB_OFFLINE is set.
 */
#ifndef HADAL_FETCH_OFFLINE_H
#define HADAL_FETCH_OFFLINE_H

#include <stdbool.h>

#include "src/base/err.h"
#include "src/fetch/hub_api.h"

/* $HF_HUB_OFFLINE, as huggingface_hub reads it. */
bool offline_is_set(void);

/* The files of a snapshot in CACHE/FOLDER, with their sizes and no digests. False
 * where none is there. */
bool offline_list(const char *cache, const char *folder, const char *revision,
                  struct hub_listing *out) MUST_USE;

#endif
