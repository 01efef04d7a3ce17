/* SPDX-License-Identifier: MIT
 *
 * The health of the history file: see history_check in history.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "history/history.h"
#include "history/room.h"
#include "history/schema.h"

/* Notes the first row of a checking statement that is not "ok". What the check itself
 * fails on is a fault of the file, not of the call. */
static void find_problem(struct db *db, const char *sql, struct history_health *out)
{
    struct stmt q;
    struct err why;
    bool failed;

    if (!out->ok)
        return;
    if (!stmt_open(&q, db, sql, &why)) {
        out->ok = false;
        snprintf(out->problem, sizeof(out->problem), "%s", why.text);
        return;
    }
    if (stmt_row(&q, &failed, &why)) {
        const char *said = (const char *)sqlite3_column_text(q.s, 0);

        out->ok = said != NULL && strcmp(said, "ok") == 0;
        if (!out->ok)
            snprintf(out->problem, sizeof(out->problem), "%s",
                     said == NULL ? "?" : said);
    }
    stmt_close(&q);
    if (failed) {
        out->ok = false;
        snprintf(out->problem, sizeof(out->problem), "%s", why.text);
    }
}

/* The index is compared with the messages; that counts as writing for SQLite, though it
 * changes nothing, and a reader leaves it out. */
static void check_index(struct db *db, struct history_health *out)
{
    int64_t query_only = 1;
    struct err why;

    if (!out->ok || sqlite3_db_readonly(db->conn, "main") == 1 ||
        !db_integer(db, "PRAGMA query_only", &query_only, NULL) || query_only != 0)
        return;
    if (db_exec(db,
                "INSERT INTO messages_fts (messages_fts, rank)"
                " VALUES ('integrity-check', 1)",
                &why))
        return;
    out->ok = false;
    snprintf(out->problem, sizeof(out->problem), "search index: %s", why.text);
}

bool history_check(struct history *h, struct history_health *out, struct err *err)
{
    struct db *db = &h->db;
    struct stat st;

    memset(out, 0, sizeof(*out));
    out->schema_newest = schema_newest();
    out->journal_why = db->journal_why;
    out->sqlite_version = sqlite3_libversion();
    out->size_bytes = stat(db->path, &st) == 0 ? st.st_size : 0;
    if (!schema_version(db, &out->schema_version, err) ||
        !db_journal_mode(db, out->journal_mode, err) ||
        !db_integer(db, "SELECT count(*) FROM sessions WHERE last_message > 0",
                    &out->n_sessions, err) ||
        !db_integer(db, "SELECT count(*) FROM messages", &out->n_messages, err))
        return false;
    /* A rollback mode is the connection's own: a reader tells what a writer would use.
     */
    if (strcmp(out->journal_mode, "wal") != 0)
        snprintf(out->journal_mode, sizeof(out->journal_mode), "%s", db->journal_mode);
    out->ok = true;
    find_problem(db, "PRAGMA quick_check(1)", out);
    find_problem(db,
                 "SELECT 'a row of ' || \"table\" || ' belongs to no session'"
                 " FROM pragma_foreign_key_check",
                 out);
    check_index(db, out);
    return true;
}
