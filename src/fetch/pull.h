/* SPDX-License-Identifier: MIT
 *
 * Pulling a model: from a name to files in the cache.
 *
 * The hub is asked what there is, files are picked, room is checked, then each file
 * comes under its lock (two pulls of one file share one transfer), gets its blob's name
 * and is linked into the snapshot; the ref follows last. What happens is told through
 * struct pull_watcher, to a progress bar or as JSON.
 */
#ifndef HADAL_FETCH_PULL_H
#define HADAL_FETCH_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct pull_file {
    char *name;
    int64_t size; /* -1: not said */
    bool is_here; /* already in the cache */
};

/* What will be done. */
struct pull_plan {
    const char *name;   /* org/repo, or the address */
    const char *commit; /* NULL: an address */
    const char *why;    /* why these files */
    struct pull_file *file;
    size_t n;
    int64_t bytes;       /* of all files */
    int64_t fetch_bytes; /* of those still to come */
    int64_t free_bytes;  /* on the disk; -1: unknown */
    bool fits_disk;      /* else pull_run fails after it has told the plan */
    uint64_t memory_need, memory_free;
    double read_share; /* of the weights for each token; 1: all, or not asked for */
    const char *cache;
    bool is_offline; /* $HF_HUB_OFFLINE: all of it is here, and the hub was not asked */
};

struct pull_progress {
    const struct pull_plan *plan;
    size_t file; /* which one */
    int64_t file_done;
    int64_t all_done;    /* of plan->bytes */
    int64_t fetched;     /* over the network, in this run */
    const char *trouble; /* what is being waited out, or NULL */
};

/* path: where a file is for the user; owned by the caller. */
struct pull_watcher {
    void *ctx;
    bool (*plan)(void *ctx, const struct pull_plan *plan, struct err *err);
    void (*progress)(void *ctx, const struct pull_progress *now);
    void (*waiting)(void *ctx, const char *name); /* another pull fetches this one */
    bool (*done)(void *ctx, const struct pull_plan *plan, size_t file, const char *path,
                 struct err *err);
};

struct pull_options {
    const char *name;
    const char *revision; /* NULL: main */
    const char *include;  /* or NULL */
    bool dry_run;
    bool allow_http;
    bool wants_share; /* find out plan->read_share: costs 64 KiB of a GGUF file */
    int64_t rate;     /* bytes a second; 0: no limit */
    bool (*may_go_on)(void *ctx, struct err *err);
    void *ctx;   /* of may_go_on */
    int wake_fd; /* readable when may_go_on may have changed its mind */
};

/* *path: what to open, owned; NULL after a dry run. ERR_NET with the parts kept,
 * ERR_MODEL, ERR_IO, ERR_USAGE. */
bool pull_run(const struct pull_options *opt, const struct pull_watcher *watcher,
              char **path, struct err *err) MUST_USE;

#endif
