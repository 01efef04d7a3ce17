/* SPDX-License-Identifier: MIT
 *
 * The tables of the history: see schema.h.
 *
 * A file carries two numbers in its header: application_id says that it is ours,
 * user_version how many of the steps below it has had. A step that was released is
 * never edited: a change is a new step.
 *
 * sessions: one row a conversation. n_messages, last_message, updated_ms and model
 * follow from its messages by trigger, so that a list of sessions reads one small table.
 *
 * messages: one row a message, ids never used twice. Small columns first, since what
 * follows a long text lies at the end of a chain of pages.
 *
 * messages_fts: the full-text index, which holds no copy of the text; index.h keeps it
 * in step, words.h says what a word is.
 */
#include "config.h"

#include "history/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history/words.h"
#include "src/base/buf.h"

#define APPLICATION_ID 0x6861646c /* "hadl" */

static const char *const steps[] = {
    /* 1: the tables */
    "CREATE TABLE sessions ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE," /* what users and scripts call it */
    "  title TEXT,"
    "  model TEXT,"
    "  created_ms INTEGER NOT NULL,"
    "  updated_ms INTEGER NOT NULL,"
    "  n_messages INTEGER NOT NULL DEFAULT 0,"
    "  last_message INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX sessions_by_age ON sessions (last_message);"
    "CREATE TABLE messages ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,"
    "  role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),"
    "  created_ms INTEGER NOT NULL,"
    "  model TEXT,"
    "  stop_reason TEXT,"
    "  seed INTEGER," /* 64 bits, read as unsigned */
    "  settings TEXT,"
    "  text TEXT NOT NULL,"
    "  thinking TEXT,"
    "  tokens BLOB"
    ") STRICT;"
    "CREATE INDEX messages_by_session ON messages (session);"
    "CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN"
    "  UPDATE sessions SET n_messages = n_messages + 1, last_message = new.id,"
    "    updated_ms = new.created_ms, model = coalesce(new.model, model)"
    "    WHERE id = new.session;"
    " END;",
    /* 2: the search index */
    "CREATE VIRTUAL TABLE messages_fts USING fts5 (text, thinking,"
    "  content = 'messages', content_rowid = 'id',"
    "  tokenize = '" WORDS_TOKENIZER "', prefix = '1 2 3');"
    "INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');",
};

int schema_newest(void)
{
    return (int)(sizeof(steps) / sizeof(steps[0]));
}

/* The three numbers of one moment: another process may be making the file. */
static bool read_marks(struct db *db, int64_t *app, int64_t *user, int64_t *n_tables,
                       struct err *err)
{
    if (!db_begin_read(db, err))
        return false;
    if (db_integer(db, "SELECT count(*) FROM sqlite_schema", n_tables, err) &&
        db_integer(db, "PRAGMA application_id", app, err) &&
        db_integer(db, "PRAGMA user_version", user, err))
        return db_commit(db, err);
    db_rollback(db);
    return false;
}

bool schema_version(struct db *db, int *version, struct err *err)
{
    int64_t app, user, n_tables;

    if (!read_marks(db, &app, &user, &n_tables, err))
        return false;
    if (app == 0 && user == 0 && n_tables == 0) {
        *version = 0;
        return true;
    }
    if (app != APPLICATION_ID || user < 1)
        return err_set(err, ERR_DB,
                       "history '%s': a database of another program; set HADAL_DB to"
                       " another path",
                       db->path);
    if (user > schema_newest())
        return err_set(err, ERR_DB,
                       "history '%s': written by a newer hadal (schema %lld, this one"
                       " knows %d); use that one, or set HADAL_DB to another path",
                       db->path, (long long)user, schema_newest());
    *version = (int)user;
    return true;
}

bool schema_copy(struct db *to, struct db *from, struct err *err)
{
    sqlite3_backup *copy = sqlite3_backup_init(to->conn, "main", from->conn, "main");
    int rc;

    if (copy == NULL)
        return db_fail(to, sqlite3_errcode(to->conn), err);
    rc = sqlite3_backup_step(copy, -1);
    sqlite3_backup_finish(copy);
    return rc == SQLITE_DONE || db_fail(rc == SQLITE_CORRUPT ? from : to, rc, err);
}

/* Writes PATH.vN.bak: under another name first, so that a copy under this name is
 * whole. */
static bool keep_copy(struct db *db, int version, struct err *err)
{
    struct buf name, part;
    struct db copy = {0};
    bool ok = false;

    buf_init(&name, 8192);
    buf_init(&part, 8192);
    if (!buf_addf(&name, "%s.v%d.bak", db->path, version) ||
        !buf_addf(&part, "%s.%ld", name.data, (long)getpid())) {
        err_set(err, ERR_DB, "history '%s': the path is too long", db->path);
        goto done;
    }
    unlink(part.data);
    if (!db_open(&copy, part.data, DB_READ_WRITE, err) ||
        !schema_copy(&copy, db, err) ||
        !db_exec(&copy, "PRAGMA journal_mode=DELETE", err))
        goto done;
    ok = rename(part.data, name.data) == 0 ||
         err_set(err, ERR_DB, "history '%s': cannot keep a copy as '%s'", db->path,
                 name.data);
done:
    db_close(&copy);
    buf_release(&part);
    buf_release(&name);
    return ok;
}

static bool run_steps(struct db *db, int from, int target, struct err *err)
{
    char sql[96];

    for (int i = from; i < target; i++)
        if (!db_exec(db, steps[i], err))
            return err_wrap(err, "cannot bring the schema to version %d", i + 1);
    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d",
             APPLICATION_ID, target);
    return db_exec(db, sql, err);
}

bool schema_migrate(struct db *db, int target, struct err *err)
{
    int version = 0;
    const char *file = sqlite3_db_filename(db->conn, "main");
    bool in_memory = file == NULL || file[0] == '\0';

    if (!schema_version(db, &version, err))
        return false;
    if (version >= target)
        return true;
    if (version > 0 && !in_memory && !keep_copy(db, version, err))
        return false;
    if (!db_begin(db, err))
        return false;
    /* Another process may have been first: the lock is ours only now. */
    if (!schema_version(db, &version, err) || !run_steps(db, version, target, err)) {
        db_rollback(db);
        return false;
    }
    return db_commit(db, err);
}
