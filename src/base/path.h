/* SPDX-License-Identifier: MIT
 *
 * Where things live: the XDG folders and the Hugging Face cache. A relative value of an
 * XDG variable is ignored, as the specification says.
 */
#ifndef HADAL_BASE_PATH_H
#define HADAL_BASE_PATH_H

#include "src/base/err.h"

/* All return an owned string (free()). NULL with err where HOME is needed and unset. */
char *path_config_file(struct err *err) MUST_USE; /* $XDG_CONFIG_HOME/hadal/config */
char *path_history_db(struct err *err) MUST_USE;  /* $HADAL_DB, else $XDG_DATA_HOME/hadal/history.db */
char *path_cache_dir(struct err *err) MUST_USE;   /* $XDG_CACHE_HOME/hadal */
char *path_hub_cache(struct err *err) MUST_USE;   /* $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub */
char *path_hub_token(struct err *err) MUST_USE;   /* $HF_TOKEN_PATH, $HF_HOME/token, ~/.cache/huggingface/token */
/* $HADAL_MINI, else the file beside the running program's build tree
 * (share/hadal-mini.gguf), else PKGDATADIR/hadal-mini.gguf. */
char *path_embedded_model(struct err *err) MUST_USE;

/* What follows the last slash of path, a part of it; all of it where nothing does. */
const char *path_base_name(const char *path);

/* a + "/" + b. */
char *path_join(const char *a, const char *b) MUST_USE;
/* path + suffix. */
char *path_add_suffix(const char *path, const char *suffix) MUST_USE;

#endif
