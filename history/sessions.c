/* SPDX-License-Identifier: MIT
 *
 * Sessions of the history: see history.h.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "history/history.h"
#include "history/index.h"
#include "history/room.h"
#include "src/base/clock.h"
#include "src/base/mem.h"

/* 60 bits: two of a million sessions meet once in two million lives. */
#define ID_CHARS 12

/* Letters and digits that are not taken for each other when read aloud or typed. */
static bool draw_id(char id[HISTORY_ID_CAP], struct err *err)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char random[ID_CHARS];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_set_errno(err, ERR_FAILED, errno, "cannot draw a session id");
    for (int i = 0; i < ID_CHARS; i++)
        id[i] = digits[random[i] & 31];
    id[ID_CHARS] = '\0';
    return true;
}

bool room_put_session(struct db *db, const struct history_session *session,
                      char id[HISTORY_ID_CAP], struct err *err)
{
    struct stmt q;

    if ((id[0] == '\0' && !draw_id(id, err)) ||
        !stmt_open(&q, db,
                   "INSERT INTO sessions (name, title, model, created_ms, updated_ms)"
                   " VALUES (?1, ?2, ?3, ?4, ?4)",
                   err))
        return false;
    stmt_bind_text(&q, id);
    stmt_bind_text(&q, session->title);
    stmt_bind_text(&q, session->model);
    stmt_bind_int(&q, session->created_ms);
    return stmt_run(&q, err);
}

bool history_begin_session(struct history *h, const char *model, const char *title,
                           char id[HISTORY_ID_CAP], struct err *err)
{
    struct history_session session = {
        .title = title, .model = model, .created_ms = clock_utc_ms()};

    id[0] = '\0';
    return room_put_session(&h->db, &session, id, err);
}

static bool copy_id(struct stmt *q, char id[HISTORY_ID_CAP])
{
    const char *name = (const char *)sqlite3_column_text(q->s, 0);

    return name != NULL && strlen(name) < HISTORY_ID_CAP &&
           snprintf(id, HISTORY_ID_CAP, "%s", name) > 0;
}

bool history_resolve(struct history *h, const char *prefix, char id[HISTORY_ID_CAP],
                     struct err *err)
{
    struct stmt q;
    bool failed = false;
    int n = 0;

    if (prefix[0] == '\0')
        return err_set(err, ERR_USAGE, "session: the id is empty; see 'hadal log'");
    if (!stmt_open(
            &q, &h->db,
            "SELECT name FROM sessions WHERE name = lower(?1) UNION ALL"
            " SELECT * FROM (SELECT name FROM sessions"
            "  WHERE substr(name, 1, length(?1)) = lower(?1) AND name <> lower(?1)"
            "  LIMIT 2)",
            err))
        return false;
    stmt_bind_text(&q, prefix);
    while (n < 2 && stmt_row(&q, &failed, err)) {
        bool exact = strcasecmp((const char *)sqlite3_column_text(q.s, 0), prefix) == 0;

        if (n == 0 && !copy_id(&q, id))
            continue;
        n++;
        if (exact)
            break;
    }
    stmt_close(&q);
    if (failed)
        return false;
    if (n == 0)
        return room_no_session(prefix, err);
    return n == 1 ||
           err_set(err, ERR_USAGE, "%s: several sessions begin so; give more of the id",
                   prefix);
}

bool history_newest_session(struct history *h, char id[HISTORY_ID_CAP], struct err *err)
{
    struct stmt q;
    bool failed;
    bool found;

    if (!stmt_open(&q, &h->db,
                   "SELECT name FROM sessions WHERE last_message > 0"
                   " ORDER BY last_message DESC LIMIT 1",
                   err))
        return false;
    found = stmt_row(&q, &failed, err) && copy_id(&q, id);
    stmt_close(&q);
    if (failed)
        return false;
    return found ||
           err_set(err, ERR_SESSION, "no session to go on with: the history is empty");
}

bool history_newest_model(struct history *h, char **model, struct err *err)
{
    struct stmt q;
    bool failed;

    *model = NULL;
    if (!stmt_open(&q, &h->db,
                   "SELECT model FROM messages WHERE model IS NOT NULL"
                   " ORDER BY id DESC LIMIT 1",
                   err))
        return false;
    if (stmt_row(&q, &failed, err))
        *model = mem_dup((const char *)sqlite3_column_text(q.s, 0));
    stmt_close(&q);
    return !failed;
}

/* --- lists ---------------------------------------------------------------------- */

#define SESSION_COLUMNS "SELECT name, title, model, created_ms, updated_ms, n_messages"

/* Appends the rows of q, and closes it. */
static bool take_sessions(struct stmt *q, struct history_sessions *out, struct err *err)
{
    size_t cap = 0;
    bool failed;

    while (stmt_row(q, &failed, err)) {
        struct history_session *row;

        out->row = mem_grow(out->row, &cap, out->n + 1, sizeof(*out->row));
        row = &out->row[out->n++];
        row->id = room_text(q, 0, &out->arena);
        row->title = room_text(q, 1, &out->arena);
        row->model = room_text(q, 2, &out->arena);
        row->created_ms = sqlite3_column_int64(q->s, 3);
        row->updated_ms = sqlite3_column_int64(q->s, 4);
        row->n_messages = sqlite3_column_int64(q->s, 5);
    }
    stmt_close(q);
    if (failed)
        history_sessions_release(out);
    return !failed;
}

bool history_list_sessions(struct history *h, size_t skip, size_t limit,
                           struct history_sessions *out, struct err *err)
{
    struct stmt q;

    memset(out, 0, sizeof(*out));
    if (!stmt_open(&q, &h->db,
                   SESSION_COLUMNS " FROM sessions WHERE last_message > 0"
                                   " ORDER BY last_message DESC LIMIT ?1 OFFSET ?2",
                   err))
        return false;
    stmt_bind_int(&q, limit == 0 ? -1 : (int64_t)limit);
    stmt_bind_int(&q, (int64_t)skip);
    return take_sessions(&q, out, err);
}

bool history_get_session(struct history *h, const char *id,
                         struct history_sessions *out, struct err *err)
{
    struct stmt q;

    memset(out, 0, sizeof(*out));
    if (!stmt_open(&q, &h->db, SESSION_COLUMNS " FROM sessions WHERE name = ?1", err))
        return false;
    stmt_bind_text(&q, id);
    if (!take_sessions(&q, out, err))
        return false;
    return out->n == 1 || room_no_session(id, err);
}

void history_sessions_release(struct history_sessions *list)
{
    free(list->row);
    arena_release(list->arena);
    memset(list, 0, sizeof(*list));
}

/* --- changes -------------------------------------------------------------------- */

bool history_set_title(struct history *h, const char *id, const char *title,
                       struct err *err)
{
    struct stmt q;

    if (!stmt_open(&q, &h->db, "UPDATE sessions SET title = ?2 WHERE name = ?1", err))
        return false;
    stmt_bind_text(&q, id);
    stmt_bind_text(&q, title);
    if (!stmt_run(&q, err))
        return false;
    return sqlite3_changes(h->db.conn) > 0 || room_no_session(id, err);
}

static bool delete_rows(struct db *db, const char *id, struct err *err)
{
    struct stmt q;

    if (!db_begin(db, err))
        return false;
    if (!index_take_session(db, id, err) ||
        !stmt_open(&q, db, "DELETE FROM sessions WHERE name = ?1", err))
        goto fail;
    stmt_bind_text(&q, id);
    if (!stmt_run(&q, err))
        goto fail;
    if (sqlite3_changes(db->conn) == 0) {
        room_no_session(id, err);
        goto fail;
    }
    if (!index_purge(db, err))
        goto fail;
    return db_commit(db, err);
fail:
    db_rollback(db);
    return false;
}

bool history_delete_session(struct history *h, const char *id, struct err *err)
{
    bool ok =
        db_exec(&h->db, "PRAGMA secure_delete=ON", err) && delete_rows(&h->db, id, err);

    if (!db_exec(&h->db, "PRAGMA secure_delete=OFF", ok ? err : NULL))
        return false;
    return ok && db_forget_journal(&h->db, err);
}
