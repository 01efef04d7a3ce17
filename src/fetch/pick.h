/* SPDX-License-Identifier: MIT
 *
 * Which files of a repository are fetched, and why. Pure: names and sizes in, a choice
 * out.
 */
#ifndef HADAL_FETCH_PICK_H
#define HADAL_FETCH_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/fetch/hub_api.h"

struct pick_wish {
    const char *repo;      /* for messages */
    const char *quant;     /* of org/repo:QUANT, or NULL */
    const char *file;      /* of org/repo/FILE, or NULL */
    const char *include;   /* a glob over names, or NULL */
    uint64_t memory_bytes; /* that may be used; UINT64_MAX: not known */
};

struct pick {
    size_t *index; /* into the listing, in its order; owned */
    size_t n;
    int64_t bytes; /* of all that say their size */
    char why[256]; /* one line */
};

/* What err->code says of files that could run code when opened. */
enum { PICK_REFUSED = 1101 };

/* ERR_MODEL where nothing fits the wish, naming what there is. */
bool pick_files(const struct hub_listing *listing, const struct pick_wish *wish,
                struct pick *out, struct err *err) MUST_USE;
void pick_release(struct pick *pick);

/* What a model of so many bytes takes in memory, with room for its cache. */
uint64_t pick_memory_need(int64_t bytes);

#endif
