/* SPDX-License-Identifier: MIT
 *
 * The Hugging Face cache on disk, looked after: the files of a model and the blobs that
 * they lead to; removing them; what nothing refers to.
 *
 * A blob goes only when no snapshot of its repository links to it any more and nobody
 * holds its lock. Nothing outside the cache is touched, and no link is followed out of
 * it.
 */
#ifndef HADAL_HUB_CACHE_H
#define HADAL_HUB_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

/* A file of a snapshot. */
struct hub_link {
    char *path; /* owned */
    char *blob; /* the name of its blob; "" where the file is no link to one; owned */
};

struct hub_links {
    char *repo_dir; /* CACHE/models--ORG--REPO; owned */
    struct hub_link *link;
    size_t n, cap;
};
void hub_links_release(struct hub_links *links); /* accepts zeroed storage */

/* The files of the model at path, which catalog_find gave: one file, all parts of its
 * split set, or all of a snapshot. ERR_MODEL where path is not in the cache. */
bool hub_links_of(const char *path, struct hub_links *out, struct err *err) MUST_USE;

struct hub_freed {
    size_t n_files; /* links, blobs or parts */
    int64_t bytes;
};

/* Removes these files, then the blobs that nothing else links to, then folders that are
 * empty. ERR_IO. */
bool hub_remove(const struct hub_links *links, struct hub_freed *freed,
                struct err *err) MUST_USE;

/* Removes parts that nobody goes on with and blobs without a link, in all repositories.
 * dry: only counts. */
bool hub_collect(bool dry, struct hub_freed *freed, struct err *err) MUST_USE;

#endif
