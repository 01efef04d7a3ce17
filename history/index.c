/* SPDX-License-Identifier: MIT
 *
 * Keeping the full-text index in step: see index.h.
 */
#include "config.h"

#include "history/index.h"

bool index_put(struct db *db, int64_t message, struct err *err)
{
    struct stmt q;

    if (!stmt_open(&q, db,
                   "INSERT INTO messages_fts (rowid, text, thinking)"
                   " SELECT id, text, thinking FROM messages WHERE id = ?1",
                   err))
        return false;
    stmt_bind_int(&q, message);
    return stmt_run(&q, err);
}

#define TAKE                                                                           \
    "INSERT INTO messages_fts (messages_fts, rowid, text, thinking)"                   \
    " SELECT 'delete', id, text, thinking FROM messages "

bool index_take(struct db *db, int64_t message, struct err *err)
{
    struct stmt q;

    if (!stmt_open(&q, db, TAKE "WHERE id = ?1", err))
        return false;
    stmt_bind_int(&q, message);
    return stmt_run(&q, err);
}

bool index_take_session(struct db *db, const char *name, struct err *err)
{
    struct stmt q;

    if (!stmt_open(&q, db,
                   TAKE "WHERE session = (SELECT id FROM sessions WHERE name = ?1)",
                   err))
        return false;
    stmt_bind_text(&q, name);
    return stmt_run(&q, err);
}

bool index_purge(struct db *db, struct err *err)
{
    return db_exec(db, "INSERT INTO messages_fts (messages_fts) VALUES ('optimize')",
                   err);
}
