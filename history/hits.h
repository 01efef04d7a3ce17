/* SPDX-License-Identifier: MIT
 *
 * What the search index is asked about each hit, as two SQL functions of the FTS5
 * table:
 *
 *   hadal_rank(messages_fts)   relevance; higher is better
 *   hadal_place(messages_fts)  where the query is met first: blob of struct hit_place
 */
#ifndef HADAL_HISTORY_HITS_H
#define HADAL_HISTORY_HITS_H

#include <sqlite3.h>
#include <stdbool.h>

#include "history/db.h"
#include "src/base/err.h"

struct hit_place {
    int column;     /* of the index: 0 text, 1 thinking */
    int start, end; /* bytes of the column's text */
};

bool hits_register(struct db *db, fts5_api *fts5, struct err *err) MUST_USE;

#endif
