/* SPDX-License-Identifier: MIT
 *
 * What the files of the history share behind history.h.
 */
#ifndef HADAL_HISTORY_ROOM_H
#define HADAL_HISTORY_ROOM_H

#include <stdbool.h>

#include "history/arena.h"
#include "history/db.h"
#include "history/history.h"

struct history {
    struct db db;
};

/* The role with this name; ROLE_USER where the name is none (the schema forbids it). */
enum role room_role(const char *name);

/* A column of the current row: a C string for the arena, or NULL for null. */
const char *room_text(struct stmt *q, int column, struct arena **arena);
/* The same with its length, which counts NUL bytes within. */
const char *room_bytes(struct stmt *q, int column, struct arena **arena, size_t *len);

/* Begins a session with a given id, or a drawn one where id is "". */
bool room_put_session(struct db *db, const struct history_session *session,
                      char id[HISTORY_ID_CAP], struct err *err) MUST_USE;

/* ERR_SESSION: "no session 'x'". Returns false. */
bool room_no_session(const char *id, struct err *err);

#endif
