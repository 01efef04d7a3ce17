/* SPDX-License-Identifier: MIT
 *
 * One SQLite connection and its statements: safe settings, waiting for other processes,
 * SQLite's result codes turned into errors that name the file and the way out.
 */
#ifndef HADAL_HISTORY_DB_H
#define HADAL_HISTORY_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct db {
    sqlite3 *conn;
    char *path;               /* as given, for messages */
    const char *journal_mode; /* that writers use: "wal" or "persist" */
    const char *journal_why;  /* why this one; static */
    int depth;                /* of transactions within each other */
    bool spoiled;             /* one of them failed: none of them is committed */
};

enum db_open_mode {
    DB_READ_WRITE, /* makes the file (0600) where it is missing */
    DB_READ_ONLY,
    DB_RECOVER, /* for reading, but may roll back what a killed process left */
    DB_MEMORY,  /* an empty database in memory; path is only for messages */
};

bool db_open(struct db *db, const char *path, enum db_open_mode mode,
             struct err *err) MUST_USE;
void db_close(struct db *db); /* accepts a closed one */

/* Fills err for a failed call on this connection; returns false. */
bool db_fail(const struct db *db, int rc, struct err *err);

/* Runs statements that give no rows (or whose rows do not matter). */
bool db_exec(struct db *db, const char *sql, struct err *err) MUST_USE;

/* One integer: the first column of the first row; 0 where there is no row. */
bool db_integer(struct db *db, const char *sql, int64_t *out, struct err *err) MUST_USE;

/* db_begin takes the write lock at once, so that a transaction never fails halfway for
 * want of it. Transactions nest: the outermost counts, and commits only where none
 * within was rolled back. A failed commit is rolled back. */
bool db_begin(struct db *db, struct err *err) MUST_USE;
bool db_begin_read(struct db *db, struct err *err) MUST_USE;
bool db_commit(struct db *db, struct err *err) MUST_USE;
void db_rollback(struct db *db);

/* "persist", "wal", ... */
bool db_journal_mode(struct db *db, char out[16], struct err *err) MUST_USE;

/* The journal keeps old content after a commit; this drops it. */
bool db_forget_journal(struct db *db, struct err *err) MUST_USE;

/* --- statements ----------------------------------------------------------------- */

/* A prepared statement. Parameters are bound in order, ?1 first; a failed bind shows at
 * the first step. */
struct stmt {
    struct db *db;
    sqlite3_stmt *s;
    int n_bound;
    int rc;
};

bool stmt_open(struct stmt *q, struct db *db, const char *sql,
               struct err *err) MUST_USE;
void stmt_bind_int(struct stmt *q, int64_t value);
void stmt_bind_null(struct stmt *q);
void stmt_bind_text(struct stmt *q, const char *text); /* NULL binds null */
/* Borrowed until the statement is closed; NULL binds null. */
void stmt_bind_text_n(struct stmt *q, const char *text, size_t len);
void stmt_bind_blob(struct stmt *q, const void *data, size_t len);

/* True: a row is there. False: *failed tells the end from a failure. */
bool stmt_row(struct stmt *q, bool *failed, struct err *err) MUST_USE;
/* Steps to the end and closes. */
bool stmt_run(struct stmt *q, struct err *err) MUST_USE;
void stmt_close(struct stmt *q); /* accepts a closed one */

#endif
