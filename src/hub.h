/* SPDX-License-Identifier: MIT
 *
 * The Hugging Face cache on disk: reading only.
 *
 *   CACHE/models--ORG--REPO/refs/main           the name of a snapshot
 *   CACHE/models--ORG--REPO/snapshots/NAME/...  files, links to ../../blobs/
 */
#ifndef HADAL_HUB_H
#define HADAL_HUB_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

/* Bytes of "-00001-of-00002". */
enum { HUB_SPLIT_SUFFIX = 15 };

/* True for what may become a part of a path: [A-Za-z0-9._-]+, not beginning with '.'.
 */
bool hub_is_plain(const char *text, size_t len);

/* True for ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE.gguf. */
bool hub_is_name(const char *name);

/* True when a file's name ends in "-NNNNN-of-NNNNN.gguf": a part of a split set. */
bool hub_is_part(const char *name);

/* True for a later part of a split set, or a projector: nothing to open by itself. name
 * ends with ".gguf". */
bool hub_is_side_file(const char *name);

/* True when `quant` stands in the name between characters that are no part of a
 * quantisation's name. */
bool hub_has_quant(const char *name, const char *quant);

/* The quantisations that are tried in turn where nobody asks for one, Q4_K_M first:
 * what keeps quality in little room. NULL behind the last. */
const char *hub_usual_quant(size_t i);

/* The path of the file (for REPO without GGUF files, of the folder) that name means:
 * the quantisation asked for, else the first of the usual ones, else the first by name.
 * Owned; NULL with ERR_MODEL. */
char *hub_find(const char *name, struct err *err) MUST_USE;

/* The folder of a repository's snapshot, of repo_dir = CACHE/models--ORG--REPO. The
 * revision is a ref or a snapshot's name, no other path; "main" where no ref says so is
 * the last one. Owned; NULL where there is none. */
char *hub_find_snapshot(const char *repo_dir, const char *revision) MUST_USE;

typedef void (*hub_file_fn)(void *ctx, const char *name, const char *path);
/* Every file of a snapshot, by its name relative to it and its path. */
void hub_each_in(const char *snapshot, hub_file_fn fn, void *ctx);

/* Every GGUF file (first parts only), as ORG/REPO/FILE.gguf and path. */
void hub_each_file(hub_file_fn fn, void *ctx);

/* Every repository with config.json and safetensors but no GGUF file, as ORG/REPO and
 * the path of its snapshot. */
void hub_each_folder(hub_file_fn fn, void *ctx);

#endif
