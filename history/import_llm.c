/* SPDX-License-Identifier: MIT
 *
 * Import of the logs.db of Simon Willison's llm: one row of "responses" is a question
 * and its answer, grouped by "conversations".
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/import.h"
#include "history/room.h"

/* "2023-08-17T20:53:58.618522+00:00" and the like; 0 where it is none. */
static int64_t time_of(const char *text)
{
    char second[32];
    int64_t ms;

    if (text == NULL || strlen(text) < 19)
        return 0;
    snprintf(second, sizeof(second), "%.19sZ", text);
    return history_parse_since(second, 0, &ms, NULL) ? ms : 0;
}

/* One side of a response; nothing where the column is null or empty. */
static bool take_side(struct import *im, const char *id, struct stmt *q, int column,
                      enum role role, struct err *err)
{
    struct history_message m = {
        .role = role,
        .text = (const char *)sqlite3_column_text(q->s, column),
        .len = (size_t)sqlite3_column_bytes(q->s, column),
        .model = (const char *)sqlite3_column_text(q->s, 4),
        .time_ms = time_of((const char *)sqlite3_column_text(q->s, 5)),
    };

    return m.text == NULL || m.len == 0 || import_message(im, id, &m, err);
}

/* Begins the session of a response unless the one before was of it too. */
static bool begin_session(struct import *im, struct stmt *q, char theirs[64],
                          char id[HISTORY_ID_CAP], bool *known, struct err *err)
{
    const char *name = (const char *)sqlite3_column_text(q->s, 0);
    struct history_session session = {
        .id = name,
        .title = (const char *)sqlite3_column_text(q->s, 6),
        .model = (const char *)sqlite3_column_text(q->s, 4),
        .created_ms = time_of((const char *)sqlite3_column_text(q->s, 5)),
    };

    if (name != NULL && strcmp(name, theirs) == 0)
        return true;
    snprintf(theirs, 64, "%s", name == NULL ? "" : name);
    return import_session(im, &session, id, known, err);
}

static bool take_rows(struct import *im, struct stmt *q, struct err *err)
{
    char theirs[64] = "";
    char id[HISTORY_ID_CAP] = "";
    bool known = false;
    bool failed = false;
    bool ok = true;

    while (ok && stmt_row(q, &failed, err)) {
        bool first = theirs[0] == '\0' ||
                     strcmp((const char *)sqlite3_column_text(q->s, 0), theirs) != 0;

        ok = begin_session(im, q, theirs, id, &known, err);
        if (!ok || known)
            continue;
        ok = (!first || take_side(im, id, q, 1, ROLE_SYSTEM, err)) &&
             take_side(im, id, q, 2, ROLE_USER, err) &&
             take_side(im, id, q, 3, ROLE_ASSISTANT, err);
    }
    if (failed && err != NULL)
        err->kind = ERR_IO; /* their file, not ours */
    return ok && !failed;
}

/* A response without a conversation is one by itself. */
static const char rows_sql[] =
    "SELECT coalesce(r.conversation_id, r.id) AS c, r.system, r.prompt, r.response,"
    " r.model, r.datetime_utc, v.name FROM responses r"
    " LEFT JOIN conversations v ON v.id = r.conversation_id"
    " ORDER BY min(r.rowid) OVER (PARTITION BY coalesce(r.conversation_id, r.id)), "
    "r.rowid";

bool import_llm(struct import *im, struct err *err)
{
    struct db theirs;
    struct stmt q;
    bool ok;

    if (!db_open(&theirs, im->path, DB_READ_ONLY, err)) {
        if (err != NULL)
            err->kind = ERR_IO;
        return false;
    }
    ok = stmt_open(&q, &theirs, rows_sql, NULL);
    if (!ok)
        err_set(err, ERR_USAGE, "'%s': a database, but not the logs of llm", im->path);
    ok = ok && take_rows(im, &q, err);
    stmt_close(&q);
    db_close(&theirs);
    return ok;
}
