/* SPDX-License-Identifier: MIT
 *
 * What can be read of a damaged history: see history_repair in history.h.
 *
 * The damaged file is never opened by SQLite, which might write to it: a copy of its
 * bytes is (with its journal, so that what a killed process left is rolled back).
 * Tables are read by row number, upwards to the first page that cannot be read,
 * downwards to the last, and between them row by row. Everything goes into a new file
 * that gets its name when it is complete.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history/history.h"
#include "history/room.h"
#include "history/schema.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/path.h"

enum {
    COPY_BYTES = 1 << 16,
    PROBES_MAX = 100000, /* row by row costs time, and finds little */
};

static const char *const side_files[] = {"", "-journal", "-wal", "-shm"};

enum { N_SIDE_FILES = sizeof(side_files) / sizeof(side_files[0]) };

/* Every column, the number first. */
struct table {
    const char *name, *columns, *values;
};

static const struct table sessions = {
    "sessions", "id, name, title, model, created_ms, updated_ms", "?1,?2,?3,?4,?5,?6"};
static const struct table messages = {
    "messages",
    "id, session, role, created_ms, model, stop_reason, seed, settings, text, thinking,"
    " tokens",
    "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11"};

struct repair {
    struct db from; /* the copy of the damaged file */
    struct db *to;
    const struct table *table;
    struct stmt insert, adopt;
    int64_t n_rows, n_lost;
};

/* ---- files ---- */

/* Removes a database of our own making, with its side files. */
static void remove_database(const char *path)
{
    for (size_t i = 0; i < N_SIDE_FILES; i++) {
        char *name = path_add_suffix(path, side_files[i]);

        unlink(name);
        free(name);
    }
}

static bool copy_bytes(int from, int to, const char *what, struct err *err)
{
    char *chunk = mem_alloc(COPY_BYTES);
    ssize_t n;
    bool ok = true;

    while (ok && (n = read(from, chunk, COPY_BYTES)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        ok = n > 0 ? file_write_fd(to, what, chunk, (size_t)n, err)
                   : err_set_errno(err, ERR_DB, errno, "cannot read a part of it");
    }
    free(chunk);
    return ok;
}

/* Copies a file to a new one, 0600; true where there is none. */
static bool copy_file(const char *from, const char *to, struct err *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int out;
    bool ok;

    if (in < 0)
        return errno == ENOENT || err_set_errno(err, ERR_DB, errno,
                                                "history '%s': cannot be opened", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ok = out >= 0 ? copy_bytes(in, out, to, err)
                  : err_set_errno(err, ERR_IO, errno, "cannot make '%s'", to);
    close(in);
    if (out >= 0)
        close(out);
    return ok;
}

/* With the journal, but not the shared memory, which is made anew. */
static bool copy_database(const char *from, const char *to, struct err *err)
{
    bool ok = true;

    for (size_t i = 0; ok && i < N_SIDE_FILES - 1; i++) {
        char *source = path_add_suffix(from, side_files[i]);
        char *target = path_add_suffix(to, side_files[i]);

        ok = copy_file(source, target, err);
        free(source);
        free(target);
    }
    return ok;
}

/* ---- rows ---- */

/* A message whose session cannot be read gets one. */
static bool adopt(struct repair *r, sqlite3_stmt *row, struct err *err)
{
    bool failed;

    sqlite3_bind_value(r->adopt.s, 1, sqlite3_column_value(row, 1));
    sqlite3_bind_value(r->adopt.s, 2, sqlite3_column_value(row, 3));
    (void)!stmt_row(&r->adopt, &failed, err);
    sqlite3_reset(r->adopt.s);
    return !failed || (sqlite3_errcode(r->to->conn) & 0xff) == SQLITE_CONSTRAINT;
}

/* Copies the row; what the schema does not allow is lost. */
static bool put(struct repair *r, sqlite3_stmt *row, struct err *err)
{
    bool failed;
    int rc;

    if (r->table == &messages && !adopt(r, row, err))
        return false;
    for (int i = 0; i < sqlite3_column_count(row); i++)
        sqlite3_bind_value(r->insert.s, i + 1, sqlite3_column_value(row, i));
    (void)!stmt_row(&r->insert, &failed, err);
    rc = sqlite3_reset(r->insert.s) & 0xff;
    if (!failed)
        r->n_rows++;
    else if (rc == SQLITE_CONSTRAINT || rc == SQLITE_MISMATCH)
        r->n_lost++;
    else
        return false;
    return true;
}

/* Copies rows in the order of `where`, ?1 and ?2 bound; *last: the number of the last
 * one. *whole: none of them could not be read. */
static bool copy_rows(struct repair *r, const char *where, int64_t a, int64_t b,
                      int64_t *last, bool *whole, struct err *err)
{
    struct stmt q;
    struct err why;
    char sql[512];
    bool failed = false;
    bool ok = true;

    snprintf(sql, sizeof(sql), "SELECT %s FROM %s WHERE %s", r->table->columns,
             r->table->name, where);
    *whole = false;
    if (!stmt_open(&q, &r->from, sql, &why))
        return true; /* the page with the table's definition, perhaps */
    stmt_bind_int(&q, a);
    stmt_bind_int(&q, b);
    while (ok && stmt_row(&q, &failed, &why)) {
        *last = sqlite3_column_int64(q.s, 0);
        ok = put(r, q.s, err);
    }
    *whole = ok && !failed;
    stmt_close(&q);
    return ok;
}

/* Row by row between two that were found; high INT64_MAX: there is no upper one, and
 * what is missing above the last row found may never have been. */
static bool probe_rows(struct repair *r, int64_t low, int64_t high, struct err *err)
{
    int64_t n_missing = 0;
    int64_t row = 0;
    bool whole;

    for (int64_t id = low + 1; id < high && id - low < PROBES_MAX; id++) {
        if (!copy_rows(r, "id >= ?1 AND id <= ?2", id, id, &row, &whole, err))
            return false;
        n_missing += whole ? 0 : 1;
        if (row == id) {
            r->n_lost += n_missing;
            n_missing = 0;
        }
    }
    r->n_lost += high < INT64_MAX ? n_missing : 0;
    return true;
}

static bool copy_table(struct repair *r, struct err *err)
{
    int64_t low = 0;
    int64_t high = INT64_MAX;
    bool whole;

    if (!copy_rows(r, "id > ?1 AND id < ?2 ORDER BY id", 0, high, &low, &whole, err))
        return false;
    if (whole)
        return true;
    if (!copy_rows(r, "id > ?1 AND id < ?2 ORDER BY id DESC", low, INT64_MAX, &high,
                   &whole, err))
        return false;
    return whole || probe_rows(r, low, high, err);
}

static bool copy_into(struct repair *r, const struct table *table, int64_t *n_rows,
                      struct err *err)
{
    char sql[512];
    bool ok;

    r->table = table;
    r->n_rows = 0;
    snprintf(sql, sizeof(sql), "INSERT INTO %s (%s) VALUES (%s)", table->name,
             table->columns, table->values);
    ok = stmt_open(&r->insert, r->to, sql, err) &&
         stmt_open(&r->adopt, r->to,
                   "INSERT OR IGNORE INTO sessions"
                   " (id, name, title, created_ms, updated_ms)"
                   " VALUES (?1, 'lost' || ?1, 'recovered', ?2, ?2)",
                   err) &&
         copy_table(r, err);
    stmt_close(&r->adopt);
    stmt_close(&r->insert);
    *n_rows = r->n_rows;
    return ok;
}

/* ---- the whole ---- */

/* What triggers and the index keep beside the rows. */
static const char finish_sql[] =
    "UPDATE sessions SET"
    " n_messages = (SELECT count(*) FROM messages m WHERE m.session = sessions.id),"
    " last_message = coalesce((SELECT max(m.id) FROM messages m"
    "  WHERE m.session = sessions.id), 0),"
    " model = coalesce((SELECT m.model FROM messages m WHERE m.session = sessions.id"
    "  AND m.model IS NOT NULL ORDER BY m.id DESC LIMIT 1), model);"
    "UPDATE sessions SET updated_ms = coalesce((SELECT m.created_ms FROM messages m"
    " WHERE m.id = sessions.last_message), created_ms);"
    "INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');";

static bool copy_all(struct repair *r, struct history_repaired *out, struct err *err)
{
    int64_t n_read;

    if (!db_begin(r->to, err))
        return false;
    if (copy_into(r, &sessions, &n_read, err) &&
        copy_into(r, &messages, &out->n_messages, err) &&
        db_exec(r->to, finish_sql, err) &&
        db_integer(r->to, "SELECT count(*) FROM sessions WHERE last_message > 0",
                   &out->n_sessions, err)) {
        out->n_lost = r->n_lost;
        return db_commit(r->to, err);
    }
    db_rollback(r->to);
    return false;
}

/* Whether it is a history of ours, as far as that can be read. */
static bool check_kind(struct db *db, struct err *err)
{
    struct err why;
    int version;

    if (schema_version(db, &version, &why) || (why.code & 0xff) == SQLITE_CORRUPT)
        return true;
    *err = why;
    return false;
}

/* From the copy of the damaged file to a new one. */
static bool rebuild(const char *damaged, const char *fresh,
                    struct history_repaired *out, struct err *err)
{
    struct repair r = {.n_lost = 0};
    struct history *h = NULL;
    bool ok = db_open(&r.from, damaged, DB_RECOVER, err) && check_kind(&r.from, err);

    if (ok) {
        h = history_open(fresh, HISTORY_WRITE, err);
        ok = h != NULL;
    }
    if (ok) {
        r.to = &h->db;
        ok = copy_all(&r, out, err) &&
             db_exec(&h->db, "PRAGMA journal_mode=DELETE", err);
    }
    history_close(h);
    db_close(&r.from);
    return ok;
}

static bool give_name(const char *fresh, const char *path, struct err *err)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        return err_set(err, ERR_IO, "'%s' exists already; move it away first", path);
    return rename(fresh, path) == 0 ||
           err_set_errno(err, ERR_IO, errno, "cannot make '%s'", path);
}

/* The work is done in a folder of its own beside the file, which may be left by a kill
 * and is nobody's then. */
static bool repair_in(const char *folder, const char *path,
                      struct history_repaired *out, struct err *err)
{
    char *damaged = path_join(folder, "damaged");
    char *fresh = path_join(folder, "fresh");
    bool ok = copy_database(path, damaged, err) && rebuild(damaged, fresh, out, err);

    if (ok && out->n_messages == 0)
        ok = err_set(err, ERR_DB, "history '%s': not one message of it can be read",
                     path);
    ok = ok && give_name(fresh, out->path, err);
    remove_database(damaged);
    remove_database(fresh);
    free(damaged);
    free(fresh);
    return ok;
}

bool history_repair(const char *path, struct history_repaired *out, struct err *err)
{
    char *folder = path_add_suffix(path, ".repair.XXXXXX");
    bool ok;

    memset(out, 0, sizeof(*out));
    out->path = path_add_suffix(path, ".repaired");
    if (mkdtemp(folder) == NULL) {
        ok = err_set_errno(err, ERR_IO, errno, "cannot make the folder '%s'", folder);
    } else {
        ok = repair_in(folder, path, out, err);
        rmdir(folder);
    }
    free(folder);
    if (!ok)
        history_repaired_release(out);
    return ok;
}

void history_repaired_release(struct history_repaired *r)
{
    free(r->path);
    memset(r, 0, sizeof(*r));
}
