/* SPDX-License-Identifier: MIT
 *
 * One SQLite connection and its statements: see db.h.
 *
 * Journal mode. WAL in SQLite 3.7.0 to 3.51.2 can lose commits or damage the file when
 * two connections meet at the moment the log is reset (fixed in 3.51.3, and in the
 * branches 3.50.7 and 3.44.6). Several hadals on one file are the normal case here, so
 * WAL is used only with a fixed library and on a local file system; otherwise the
 * rollback journal, in PERSIST form, which keeps the journal file and saves an unlink
 * with its directory sync at each commit. Both run with synchronous=FULL: a commit that
 * returned is on the disk. The file is never mapped into memory: SQLite writes through
 * maps badly when the file shrinks, and a disk error would be a signal.
 */
#include "config.h"

#include "history/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "src/base/mem.h"

#define BUSY_TIMEOUT_MS 10000

/* What the user can do about a result code; primary codes, SQLite's numbers. */
static const struct {
    int rc;
    const char *why;
} remedies[] = {
    {SQLITE_NOTADB, "not a database; move it away, or set HADAL_DB to another path"},
    {SQLITE_CORRUPT, "the database is damaged; 'hadal doctor --repair' saves what can "
                     "be read, or move it away to begin a new one"},
    {SQLITE_FULL, "the disk is full; free some space, or set HADAL_DB to another path"},
    {SQLITE_READONLY, "cannot be written; check the rights of the file and its folder"},
    {SQLITE_CANTOPEN, "cannot be opened; check that its folder exists and may be"
                      " written"},
    {SQLITE_PERM, "access denied"},
    {SQLITE_AUTH, "access denied"},
    {SQLITE_BUSY, "another program has kept it locked for 10 s; try again"},
    {SQLITE_LOCKED, "another program has kept it locked for 10 s; try again"},
    {SQLITE_TOOBIG, "a text is too long for the database (1 GB at most)"},
};

/* The errno behind a failed call, where one explains it. */
static int errno_of(const struct db *db, int rc)
{
    int primary = rc & 0xff;

    if (db->conn == NULL || (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN))
        return 0;
    return sqlite3_system_errno(db->conn);
}

bool db_fail(const struct db *db, int rc, struct err *err)
{
    const char *why = NULL;
    int e = errno_of(db, rc);

    if (err == NULL)
        return false;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (remedies[i].rc == (rc & 0xff))
            why = remedies[i].why;
    if ((rc & 0xff) == SQLITE_NOMEM)
        err_set(err, ERR_MEMORY, "history '%s': out of memory", db->path);
    else if (e != 0)
        err_set_errno(err, ERR_DB, e, "history '%s': cannot %s", db->path,
                      (rc & 0xff) == SQLITE_CANTOPEN ? "be opened"
                                                     : "be read or written");
    else if (why != NULL)
        err_set(err, ERR_DB, "history '%s': %s", db->path, why);
    else
        err_set(err, ERR_DB, "history '%s': %s", db->path,
                db->conn == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db->conn));
    err->code = rc;
    return false;
}

/* Makes an empty file of mode 0600 at path, whatever the umask; true where one exists.
 * SQLite gives its side files the mode of the database. */
static bool create_private(const char *path, struct err *err)
{
    /* O_EXCL: an existing file is never opened here, for closing any descriptor of a
     * database drops the locks that this process holds on it. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return true;
    if (fd < 0)
        return err_set_errno(err, ERR_DB, errno, "history '%s': cannot be made", path);
    if (fchmod(fd, 0600) != 0) {
        err_set_errno(err, ERR_DB, errno, "history '%s': cannot be made private", path);
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

static bool wal_is_safe(int version)
{
    return version >= 3051003 || (version >= 3050007 && version < 3051000) ||
           (version >= 3044006 && version < 3045000);
}

/* Shared memory, which WAL needs, does not work between machines. */
static bool is_network_file(const char *path)
{
    static const unsigned long magic[] = {
        0x6969UL,     /* NFS */
        0x517bUL,     /* SMB */
        0xfe534d42UL, /* SMB2 */
        0xff534d42UL, /* CIFS */
        0x01021997UL, /* 9P */
        0x5346414fUL, /* AFS */
    };
    struct statfs fs;

    if (statfs(path, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
        if (((unsigned long)fs.f_type & 0xffffffffUL) == magic[i])
            return true;
    return false;
}

static void plan_journal(struct db *db)
{
    db->journal_mode = "persist";
    db->journal_why = "this SQLite can lose commits in WAL mode (fixed in 3.51.3)";
    if (!wal_is_safe(sqlite3_libversion_number()))
        return;
    db->journal_why = "the file is on a network file system";
    if (is_network_file(db->path))
        return;
    db->journal_mode = "wal";
    db->journal_why = "this SQLite has no WAL reset fault";
}

static bool set_journal(struct db *db, struct err *err)
{
    struct err why;
    char sql[64];

    snprintf(sql, sizeof(sql), "PRAGMA journal_mode=%s", db->journal_mode);
    if (db_exec(db, sql, &why))
        return true;
    /* Leaving WAL needs the file alone; while others have it open it stays as it is. */
    if ((why.code & 0xff) != SQLITE_BUSY) {
        if (err != NULL)
            *err = why;
        return false;
    }
    db->journal_why = "other programs keep it in this mode";
    return true;
}

static bool configure(struct db *db, enum db_open_mode mode, struct err *err)
{
    static const int off[] = {SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_DQS_DDL,
                              SQLITE_DBCONFIG_DQS_DML};
    int rc = sqlite3_busy_timeout(db->conn, BUSY_TIMEOUT_MS);

    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db->conn, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(off) / sizeof(off[0]); i++)
        rc = sqlite3_db_config(db->conn, off[i], 0, NULL);
    if (rc != SQLITE_OK)
        return db_fail(db, rc, err);
    if (!db_exec(
            db,
            "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA foreign_keys=ON;"
            "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
            "PRAGMA journal_size_limit=16777216;",
            err))
        return false;
    plan_journal(db);
    if (mode == DB_RECOVER)
        return db_exec(db, "PRAGMA query_only=ON", err);
    return mode != DB_READ_WRITE || set_journal(db, err);
}

/* SQLite takes "", ":memory:" and "file:..." for something else than paths. */
static char *plain_path(const char *path)
{
    size_t size = strlen(path) + 3;
    char *plain = mem_alloc(size);

    snprintf(plain, size, "%s%s", path[0] == '/' ? "" : "./", path);
    return plain;
}

bool db_open(struct db *db, const char *path, enum db_open_mode mode, struct err *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    char *plain = mode == DB_MEMORY ? mem_dup(":memory:") : plain_path(path);
    int rc;

    memset(db, 0, sizeof(*db));
    db->path = mem_dup(path);
    if (mode == DB_READ_WRITE && !create_private(plain, err))
        goto fail;
    flags |= mode == DB_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    rc = sqlite3_open_v2(plain, &db->conn, flags, NULL);
    if (rc != SQLITE_OK) {
        db_fail(db, rc, err);
        goto fail;
    }
    sqlite3_extended_result_codes(db->conn, 1);
    if (mode == DB_READ_WRITE && sqlite3_db_readonly(db->conn, "main") == 1) {
        db_fail(db, SQLITE_READONLY, err);
        goto fail;
    }
    if (!configure(db, mode, err))
        goto fail;
    free(plain);
    return true;
fail:
    free(plain);
    db_close(db);
    return false;
}

void db_close(struct db *db)
{
    sqlite3_close_v2(db->conn);
    free(db->path);
    memset(db, 0, sizeof(*db));
}

bool db_exec(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK || db_fail(db, rc, err);
}

bool db_integer(struct db *db, const char *sql, int64_t *out, struct err *err)
{
    struct stmt q;
    bool failed;

    *out = 0;
    if (!stmt_open(&q, db, sql, err))
        return false;
    if (stmt_row(&q, &failed, err))
        *out = sqlite3_column_int64(q.s, 0);
    stmt_close(&q);
    return !failed;
}

static bool begin(struct db *db, const char *sql, struct err *err)
{
    if (db->depth == 0 && !db_exec(db, sql, err))
        return false;
    db->depth++;
    return true;
}

bool db_begin(struct db *db, struct err *err)
{
    return begin(db, "BEGIN IMMEDIATE", err);
}

bool db_begin_read(struct db *db, struct err *err)
{
    return begin(db, "BEGIN", err);
}

bool db_commit(struct db *db, struct err *err)
{
    if (db->depth > 1) {
        db->depth--;
        return true;
    }
    if (!db->spoiled && db_exec(db, "COMMIT", err)) {
        db->depth = 0;
        return true;
    }
    if (db->spoiled)
        err_set(err, ERR_DB, "history '%s': a part of the change failed", db->path);
    db_rollback(db);
    return false;
}

void db_rollback(struct db *db)
{
    db->depth--;
    db->spoiled = db->depth > 0;
    /* SQLite may have rolled back by itself: on a full disk, for one. */
    if (db->depth == 0 && sqlite3_get_autocommit(db->conn) == 0)
        sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
}

bool db_journal_mode(struct db *db, char out[16], struct err *err)
{
    struct stmt q;
    bool failed;

    out[0] = '\0';
    if (!stmt_open(&q, db, "PRAGMA journal_mode", err))
        return false;
    if (stmt_row(&q, &failed, err))
        snprintf(out, 16, "%s", (const char *)sqlite3_column_text(q.s, 0));
    stmt_close(&q);
    return !failed;
}

bool db_forget_journal(struct db *db, struct err *err)
{
    char mode[16];

    if (!db_journal_mode(db, mode, err))
        return false;
    if (strcmp(mode, "wal") == 0)
        return db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", err);
    /* Leaving PERSIST deletes the file. */
    return strcmp(mode, "persist") != 0 ||
           db_exec(db, "PRAGMA journal_mode=DELETE; PRAGMA journal_mode=PERSIST", err);
}

/* --- statements ----------------------------------------------------------------- */

bool stmt_open(struct stmt *q, struct db *db, const char *sql, struct err *err)
{
    int rc;

    memset(q, 0, sizeof(*q));
    q->db = db;
    rc = sqlite3_prepare_v2(db->conn, sql, -1, &q->s, NULL);
    return rc == SQLITE_OK || db_fail(db, rc, err);
}

static void bound(struct stmt *q, int rc)
{
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

void stmt_bind_int(struct stmt *q, int64_t value)
{
    bound(q, sqlite3_bind_int64(q->s, ++q->n_bound, value));
}

void stmt_bind_null(struct stmt *q)
{
    bound(q, sqlite3_bind_null(q->s, ++q->n_bound));
}

void stmt_bind_text(struct stmt *q, const char *text)
{
    stmt_bind_text_n(q, text, text == NULL ? 0 : strlen(text));
}

void stmt_bind_text_n(struct stmt *q, const char *text, size_t len)
{
    if (text == NULL)
        stmt_bind_null(q);
    else
        bound(q, sqlite3_bind_text64(q->s, ++q->n_bound, text, len, SQLITE_STATIC,
                                     SQLITE_UTF8));
}

void stmt_bind_blob(struct stmt *q, const void *data, size_t len)
{
    if (data == NULL)
        stmt_bind_null(q);
    else
        bound(q, sqlite3_bind_blob64(q->s, ++q->n_bound, data, len, SQLITE_STATIC));
}

bool stmt_row(struct stmt *q, bool *failed, struct err *err)
{
    int rc = q->rc == SQLITE_OK ? sqlite3_step(q->s) : q->rc;

    *failed = rc != SQLITE_ROW && rc != SQLITE_DONE;
    if (*failed)
        db_fail(q->db, rc, err);
    return rc == SQLITE_ROW;
}

bool stmt_run(struct stmt *q, struct err *err)
{
    bool failed;

    while (stmt_row(q, &failed, err))
        continue;
    stmt_close(q);
    return !failed;
}

void stmt_close(struct stmt *q)
{
    sqlite3_finalize(q->s);
    q->s = NULL;
}
