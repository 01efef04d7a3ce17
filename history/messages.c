/* SPDX-License-Identifier: MIT
 *
 * Messages of the history: see history.h. Each function that writes is one transaction.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "history/excerpt.h"
#include "history/history.h"
#include "history/index.h"
#include "history/room.h"
#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/mem.h"

/* What an answer says until it is finished: what a crash leaves is true. */
#define UNFINISHED "interrupt"

static void bind_seed(struct stmt *q, const struct history_message *msg)
{
    if (msg->has_seed)
        stmt_bind_int(q, (int64_t)msg->seed);
    else
        stmt_bind_null(q);
}

/* --- writing -------------------------------------------------------------------- */

static bool insert(struct db *db, const char *session_id,
                   const struct history_message *msg, const char *stop_reason,
                   int64_t *id, struct err *err)
{
    struct stmt q;
    bool failed;
    bool added;

    if (!stmt_open(
            &q, db,
            "INSERT INTO messages (session, role, created_ms, model, stop_reason,"
            " seed, settings, text, thinking, tokens)"
            " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
            " FROM sessions WHERE name = ?1 RETURNING id",
            err))
        return false;
    stmt_bind_text(&q, session_id);
    stmt_bind_text(&q, role_name(msg->role));
    stmt_bind_int(&q, msg->time_ms != 0 ? msg->time_ms : clock_utc_ms());
    stmt_bind_text(&q, msg->model);
    stmt_bind_text(&q, stop_reason);
    bind_seed(&q, msg);
    stmt_bind_text(&q, msg->settings);
    stmt_bind_text_n(&q, msg->text == NULL ? "" : msg->text, msg->len);
    stmt_bind_text_n(&q, msg->thinking, msg->thinking_len);
    stmt_bind_blob(&q, msg->tokens, msg->tokens_len);
    added = stmt_row(&q, &failed, err);
    if (added)
        *id = sqlite3_column_int64(q.s, 0);
    if (added && !stmt_run(&q, err))
        return false;
    stmt_close(&q);
    if (failed)
        return false;
    return added || room_no_session(session_id, err);
}

/* The session's title, where it has none: its first user message says what it is of. */
static bool give_title(struct db *db, const char *session_id,
                       const struct history_message *msg, struct err *err)
{
    struct buf title;
    struct stmt q;
    bool ok = true;

    buf_init(&title, 4096);
    excerpt_title(&title, msg->text == NULL ? "" : msg->text, msg->len);
    if (title.len == 0)
        goto done;
    ok = stmt_open(&q, db,
                   "UPDATE sessions SET title = ?2 WHERE name = ?1 AND title IS NULL",
                   err);
    if (!ok)
        goto done;
    stmt_bind_text(&q, session_id);
    stmt_bind_text(&q, buf_text(&title));
    ok = stmt_run(&q, err);
done:
    buf_release(&title);
    return ok;
}

static bool add(struct history *h, const char *session_id,
                const struct history_message *msg, const char *stop_reason, int64_t *id,
                struct err *err)
{
    int64_t new_id = 0;

    if (!db_begin(&h->db, err))
        return false;
    if (!insert(&h->db, session_id, msg, stop_reason, &new_id, err) ||
        !index_put(&h->db, new_id, err) ||
        (msg->role == ROLE_USER && !give_title(&h->db, session_id, msg, err))) {
        db_rollback(&h->db);
        return false;
    }
    if (!db_commit(&h->db, err))
        return false;
    if (id != NULL)
        *id = new_id;
    return true;
}

bool history_add(struct history *h, const char *session_id,
                 const struct history_message *msg, int64_t *id, struct err *err)
{
    return add(h, session_id, msg, msg->stop_reason, id, err);
}

bool history_begin_answer(struct history *h, const char *session_id,
                          const struct history_message *msg, int64_t *id,
                          struct err *err)
{
    return add(h, session_id, msg, UNFINISHED, id, err);
}

/* What a change of a message writes; binds everything but the id, ?1. */
typedef void (*bind_fn)(struct stmt *q, const struct history_message *msg);

static void bind_texts(struct stmt *q, const struct history_message *msg)
{
    stmt_bind_text_n(q, msg->text == NULL ? "" : msg->text, msg->len);
    stmt_bind_text_n(q, msg->thinking, msg->thinking_len);
}

static void bind_all(struct stmt *q, const struct history_message *msg)
{
    bind_texts(q, msg);
    stmt_bind_text(q, msg->model);
    stmt_bind_text(q, msg->stop_reason);
    bind_seed(q, msg);
    stmt_bind_text(q, msg->settings);
    stmt_bind_blob(q, msg->tokens, msg->tokens_len);
}

static bool update(struct db *db, int64_t id, const char *sql, bind_fn bind,
                   const struct history_message *msg, struct err *err)
{
    struct stmt q;

    if (!stmt_open(&q, db, sql, err))
        return false;
    stmt_bind_int(&q, id);
    bind(&q, msg);
    if (!stmt_run(&q, err))
        return false;
    return sqlite3_changes(db->conn) > 0 ||
           err_set(err, ERR_SESSION, "message %lld has been deleted", (long long)id);
}

static bool change(struct history *h, int64_t id, const char *sql, bind_fn bind,
                   const struct history_message *msg, struct err *err)
{
    if (!db_begin(&h->db, err))
        return false;
    if (index_take(&h->db, id, err) && update(&h->db, id, sql, bind, msg, err) &&
        index_put(&h->db, id, err))
        return db_commit(&h->db, err);
    db_rollback(&h->db);
    return false;
}

bool history_extend_answer(struct history *h, int64_t id, const char *text, size_t len,
                           const char *thinking, size_t thinking_len, struct err *err)
{
    struct history_message msg = {
        .text = text, .len = len, .thinking = thinking, .thinking_len = thinking_len};

    return change(h, id, "UPDATE messages SET text = ?2, thinking = ?3 WHERE id = ?1",
                  bind_texts, &msg, err);
}

bool history_finish_answer(struct history *h, int64_t id,
                           const struct history_message *msg, struct err *err)
{
    return change(
        h, id,
        "UPDATE messages SET text = ?2, thinking = ?3, model = ?4,"
        " stop_reason = ?5, seed = ?6, settings = ?7, tokens = ?8 WHERE id = ?1",
        bind_all, msg, err);
}

/* --- reading -------------------------------------------------------------------- */

static void take_message(struct stmt *q, struct history_message *msg,
                         struct arena **arena)
{
    size_t role_len;

    memset(msg, 0, sizeof(*msg));
    msg->id = sqlite3_column_int64(q->s, 0);
    msg->role = room_role(room_bytes(q, 1, arena, &role_len));
    msg->time_ms = sqlite3_column_int64(q->s, 2);
    msg->model = room_text(q, 3, arena);
    msg->stop_reason = room_text(q, 4, arena);
    msg->has_seed = sqlite3_column_type(q->s, 5) != SQLITE_NULL;
    msg->seed = (uint64_t)sqlite3_column_int64(q->s, 5);
    msg->settings = room_text(q, 6, arena);
    msg->text = room_bytes(q, 7, arena, &msg->len);
    msg->thinking = room_bytes(q, 8, arena, &msg->thinking_len);
    msg->tokens = room_bytes(q, 9, arena, &msg->tokens_len);
    if (msg->text == NULL)
        msg->text = "";
}

static bool take_messages(struct history *h, const char *session_id,
                          struct history_messages *out, struct err *err)
{
    struct stmt q;
    size_t cap = 0;
    bool failed;

    if (!stmt_open(
            &q, &h->db,
            "SELECT m.id, role, m.created_ms, m.model, stop_reason, seed, settings,"
            " text, thinking, tokens FROM sessions s CROSS JOIN messages m"
            " ON m.session = s.id WHERE s.name = ?1 ORDER BY m.id",
            err))
        return false;
    stmt_bind_text(&q, session_id);
    while (stmt_row(&q, &failed, err)) {
        out->row = mem_grow(out->row, &cap, out->n + 1, sizeof(*out->row));
        take_message(&q, &out->row[out->n++], &out->arena);
    }
    stmt_close(&q);
    return !failed;
}

bool history_list_messages(struct history *h, const char *session_id,
                           struct history_messages *out, struct err *err)
{
    struct history_sessions session;

    memset(out, 0, sizeof(*out));
    if (!history_get_session(h, session_id, &session, err))
        return false;
    history_sessions_release(&session);
    if (take_messages(h, session_id, out, err))
        return true;
    history_messages_release(out);
    return false;
}

void history_messages_release(struct history_messages *list)
{
    free(list->row);
    arena_release(list->arena);
    memset(list, 0, sizeof(*list));
}
