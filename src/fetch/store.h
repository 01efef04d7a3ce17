/* SPDX-License-Identifier: MIT
 *
 * The Hugging Face cache, written: blobs, snapshots and refs of one repository.
 *
 *   CACHE/models--ORG--REPO/blobs/DIGEST            the bytes
 *   CACHE/models--ORG--REPO/snapshots/COMMIT/FILE   a relative link to its blob
 *   CACHE/models--ORG--REPO/refs/REVISION           a commit
 *   CACHE/.locks/models--ORG--REPO/DIGEST.lock      held (flock) while a blob is made
 *
 * The same names and locks as huggingface_hub's. Everything is opened below the cache's
 * descriptor, one component at a time and never through a link, so that neither a name
 * from a server nor a link planted in the cache leads elsewhere. Links and refs appear
 * by rename. Folders are 0700, files 0600.
 */
#ifndef HADAL_FETCH_STORE_H
#define HADAL_FETCH_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"

/* STORE_LOOK makes no folder, and finds nothing in those that are missing. */
enum store_use { STORE_LOOK, STORE_WRITE };

struct store {
    enum store_use use;
    int repo_fd, blobs_fd, locks_fd; /* -1: STORE_LOOK, and it is not there */
    char *path;                      /* of the repository's folder; owned */
    char *blobs_path;                /* owned */
};

/* cache: its path; folder: "models--ORG--REPO". ERR_IO. */
bool store_open(struct store *s, const char *cache, const char *folder,
                enum store_use use, struct err *err) MUST_USE;
void store_close(struct store *s); /* folders that stayed empty go; accepts zeroes */

/* True when the blob is a plain file of this size (-1: of any). */
bool store_has_blob(const struct store *s, const char *blob, int64_t size);

/* Locks a blob: 1 locked (*fd), 0 somebody else has it, -1 failed. Closing unlocks. */
int store_try_lock(const struct store *s, const char *blob, int *fd, struct err *err);

/* Makes snapshots/COMMIT/NAME lead to the blob. */
bool store_link(const struct store *s, const char *commit, const char *name,
                const char *blob, struct err *err) MUST_USE;
/* Makes refs/REVISION name the commit. */
bool store_set_ref(const struct store *s, const char *revision, const char *commit,
                   struct err *err) MUST_USE;

/* CACHE/.../snapshots/COMMIT/NAME; owned. */
char *store_path(const struct store *s, const char *commit, const char *name) MUST_USE;

/* Free bytes on the cache's file system for this user; -1: unknown. */
int64_t store_free_bytes(const struct store *s);

#endif
