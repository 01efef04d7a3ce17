/* SPDX-License-Identifier: MIT
 *
 * History: opening, and sessions. See history.h.
 *
 * A reader never writes. Where the file is missing, empty or of an older schema, it
 * gets a database in memory instead: empty, or a copy brought to the newest schema. The
 * one exception is a journal that a killed process left behind: until it is rolled back
 * nobody can read the file, so a reader does that too, as SQLite itself would.
 */
#include "config.h"

#include "history/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "history/hits.h"
#include "history/room.h"
#include "history/schema.h"
#include "history/words.h"
#include "src/base/file.h"
#include "src/base/mem.h"

/* Files up to this size are checked whole at every open: it takes milliseconds. */
#define CHECK_AT_OPEN_BYTES (4 << 20)

/* --- what the room shares ------------------------------------------------------- */

enum role room_role(const char *name)
{
    enum role role = ROLE_USER;

    (void)role_find(name, &role);
    return role;
}

const char *room_bytes(struct stmt *q, int column, struct arena **arena, size_t *len)
{
    const void *data;

    *len = 0;
    if (sqlite3_column_type(q->s, column) == SQLITE_NULL)
        return NULL;
    data = sqlite3_column_blob(q->s, column);
    *len = (size_t)sqlite3_column_bytes(q->s, column);
    return arena_copy(arena, data, *len);
}

const char *room_text(struct stmt *q, int column, struct arena **arena)
{
    size_t len;

    return room_bytes(q, column, arena, &len);
}

bool room_no_session(const char *id, struct err *err)
{
    return err_set(err, ERR_SESSION, "%s: no such session; see 'hadal log'", id);
}

/* --- opening -------------------------------------------------------------------- */

/* The FTS5 module of this connection, which hands out its face through SQL. */
static bool find_fts5(struct db *db, fts5_api **fts5, struct err *err)
{
    struct stmt q;
    bool failed = false;
    bool row = false;

    *fts5 = NULL;
    if (!stmt_open(&q, db, "SELECT fts5(?1)", err))
        return false;
    if (sqlite3_bind_pointer(q.s, 1, fts5, "fts5_api_ptr", NULL) == SQLITE_OK)
        row = stmt_row(&q, &failed, NULL);
    stmt_close(&q);
    return (row && *fts5 != NULL) ||
           err_set(err, ERR_DB, "history '%s': this SQLite (%s) has no FTS5", db->path,
                   sqlite3_libversion());
}

static bool register_search(struct db *db, struct err *err)
{
    fts5_api *fts5;

    return find_fts5(db, &fts5, err) && words_register(db, fts5, err) &&
           hits_register(db, fts5, err);
}

/* A damaged file is found before anything is written to it. */
static bool check_small(struct db *db, int64_t size, struct err *err)
{
    struct stmt q;
    const char *verdict;
    bool ok = true;
    bool failed;

    if (size == 0 || size > CHECK_AT_OPEN_BYTES)
        return true;
    if (!stmt_open(&q, db, "PRAGMA quick_check(1)", err))
        return false;
    if (stmt_row(&q, &failed, err)) {
        verdict = (const char *)sqlite3_column_text(q.s, 0);
        ok = verdict != NULL && strcmp(verdict, "ok") == 0;
    }
    stmt_close(&q);
    return !failed && (ok || db_fail(db, SQLITE_CORRUPT, err));
}

static bool make_folder_of(const char *path, struct err *err)
{
    char *folder = mem_dup(path);
    char *slash = strrchr(folder, '/');
    bool ok = true;

    if (slash != NULL && slash != folder) {
        *slash = '\0';
        ok = file_make_dirs(folder, err);
        if (!ok && err != NULL)
            err->kind = ERR_DB;
    }
    free(folder);
    return ok;
}

/* st_size 0 where the file is missing. */
static bool look_at(const char *path, struct stat *st, struct err *err)
{
    memset(st, 0, sizeof(*st));
    if (stat(path, st) != 0)
        return errno == ENOENT || err_set_errno(err, ERR_DB, errno,
                                                "history '%s': cannot be opened", path);
    if (!S_ISREG(st->st_mode))
        return err_set(err, ERR_DB, "history '%s': not a regular file", path);
    /* SQLite takes one byte for an empty database, and would write over it. */
    return st->st_size != 1 ||
           err_set(err, ERR_DB, "history '%s': not a database; move it away", path);
}

static bool open_to_write(struct db *db, const char *path, struct err *err)
{
    struct stat st;
    int version;

    if (!make_folder_of(path, err) || !look_at(path, &st, err))
        return false;
    if ((st.st_mode & 077) != 0)
        (void)chmod(path, 0600); /* not ours: then it is for its owner to say */
    if (!db_open(db, path, DB_READ_WRITE, err))
        return false;
    if (schema_version(db, &version, err) && check_small(db, st.st_size, err) &&
        register_search(db, err) && schema_migrate(db, schema_newest(), err))
        return true;
    db_close(db);
    return false;
}

static bool open_in_memory(struct db *db, const char *path, struct db *old,
                           struct err *err)
{
    if (!db_open(db, path, DB_MEMORY, err))
        return false;
    if (register_search(db, err) && (old == NULL || schema_copy(db, old, err)) &&
        schema_migrate(db, schema_newest(), err) &&
        db_exec(db, "PRAGMA query_only=ON", err))
        return true;
    db_close(db);
    return false;
}

/* Opens the file for reading and tells its version. */
static bool open_file_to_read(struct db *db, const char *path, int *version,
                              struct err *err)
{
    static const enum db_open_mode ways[] = {DB_READ_ONLY, DB_RECOVER};
    struct err why = {ERR_NONE, 0, ""};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (db_open(db, path, ways[i], &why)) {
            if (schema_version(db, version, &why))
                return true;
            db_close(db);
        }
        if ((why.code & 0xff) != SQLITE_READONLY &&
            (why.code & 0xff) != SQLITE_CANTOPEN)
            break;
    }
    if (err != NULL)
        *err = why;
    return false;
}

static bool open_to_read(struct db *db, const char *path, struct err *err)
{
    struct stat st;
    struct db file;
    int version = 0;
    bool ok;

    if (!look_at(path, &st, err))
        return false;
    if (st.st_size == 0)
        return open_in_memory(db, path, NULL, err);
    if (!open_file_to_read(&file, path, &version, err))
        return false;
    ok = check_small(&file, st.st_size, err);
    if (ok && version == schema_newest()) {
        ok = register_search(&file, err);
        if (ok) {
            *db = file;
            return true;
        }
    } else if (ok) {
        ok = open_in_memory(db, path, version == 0 ? NULL : &file, err);
    }
    db_close(&file);
    return ok;
}

struct history *history_open(const char *path, enum history_mode mode, struct err *err)
{
    struct history *h = mem_zalloc(sizeof(*h));
    bool ok = mode == HISTORY_WRITE ? open_to_write(&h->db, path, err)
                                    : open_to_read(&h->db, path, err);

    if (ok)
        return h;
    free(h);
    return NULL;
}

void history_close(struct history *h)
{
    if (h == NULL)
        return;
    db_close(&h->db);
    free(h);
}

bool history_begin(struct history *h, struct err *err)
{
    return db_begin(&h->db, err);
}

bool history_commit(struct history *h, struct err *err)
{
    return db_commit(&h->db, err);
}

void history_rollback(struct history *h)
{
    db_rollback(&h->db);
}
