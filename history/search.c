/* SPDX-License-Identifier: MIT
 *
 * Searching the history: see history.h.
 *
 * A query becomes an FTS5 expression of quoted strings joined by AND, so that nothing
 * the user types can be FTS5 syntax. The hits come in two steps: first ids and ranks
 * from the index, newest first by id or the best of the newest BEST_OF, then title and
 * excerpt of each. Both steps see the same state of the file.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/excerpt.h"
#include "history/history.h"
#include "history/hits.h"
#include "history/room.h"
#include "history/words.h"
#include "src/base/buf.h"
#include "src/base/mem.h"

#define BEST_OF 20000       /* ranking more would keep writers waiting */
#define QUERY_MAX (1 << 20) /* bytes of an expression */

/* --- the query language --------------------------------------------------------- */

/* Appends one phrase; true also where it has no word and nothing is appended. */
static bool add_phrase(struct buf *out, const char *text, size_t len, bool prefix)
{
    struct words_shape shape = words_of_phrase(text, (int)len);
    bool ok = true;

    if (shape.n_words == 0)
        return true;
    if (out->len > 0)
        ok = buf_add_text(out, " AND ");
    ok = ok && buf_add_char(out, '"');
    for (size_t i = 0; ok && i < len; i++)
        ok = buf_add_char(out, text[i] == '"' ? ' ' : text[i]);
    return ok && buf_add_text(out, prefix || shape.open_end ? "\"*" : "\"");
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The expression of a query, "" where it has no word. A quote without its partner is
 * only text, as is a star that does not end a word. */
static bool make_expression(struct buf *out, const char *query, struct err *err)
{
    const char *at = query;
    bool ok = strlen(query) < QUERY_MAX / 8;

    while (ok && *at != '\0') {
        const char *close = *at == '"' ? strchr(at + 1, '"') : NULL;
        size_t n = 1;

        if (close != NULL) {
            ok = add_phrase(out, at + 1, (size_t)(close - at) - 1, false);
            at = close + 1;
            continue;
        }
        while (at[n] != '\0' && !is_blank(at[n]) && at[n] != '"')
            n++;
        ok = add_phrase(out, at, n, at[n - 1] == '*');
        at += n;
    }
    return ok || err_set(err, ERR_USAGE, "the query is too long");
}

/* --- the index ------------------------------------------------------------------ */

/* A hit before it is looked up. */
struct found {
    int64_t id;
    double rank;
};

static bool is_filtered(const struct history_query *query)
{
    return query->model != NULL || query->since_ms != 0 || query->has_role;
}

/* ?1 expression, ?2 limit, ?3 model, ?4 since, ?5 role. The index leads every join: its
 * own order, newest first, is then the order of the hits. A question is its answer's
 * model's, whichever the session went on with later. */
static void make_sql(char sql[1024], const struct history_query *query)
{
    static const char filters[] =
        " CROSS JOIN messages m ON m.id = f.rowid"
        " CROSS JOIN sessions s ON s.id = m.session"
        " WHERE messages_fts MATCH ?1 AND m.created_ms >= ?4"
        " AND (?5 IS NULL OR m.role = ?5)"
        " AND (?3 IS NULL OR '/' || ?3 = substr('/' || coalesce(m.model,"
        " (SELECT a.model FROM messages a WHERE a.session = m.session AND a.id > m.id"
        " AND a.model IS NOT NULL ORDER BY a.id LIMIT 1), s.model), -length(?3) - 1))";
    char best_of[32];

    snprintf(best_of, sizeof(best_of), "%d", BEST_OF);
    snprintf(
        sql, 1024,
        "SELECT id, rank FROM (SELECT f.rowid AS id, hadal_rank(messages_fts) AS rank"
        " FROM messages_fts f%s ORDER BY f.rowid DESC LIMIT %s)%s",
        is_filtered(query) ? filters : " WHERE messages_fts MATCH ?1",
        query->best ? best_of : "?2",
        query->best ? " ORDER BY rank DESC, id DESC LIMIT ?2" : "");
}

static bool find_ids(struct db *db, const char *expression,
                     const struct history_query *query, struct found **found, size_t *n,
                     struct err *err)
{
    struct stmt q;
    char sql[1024];
    size_t cap = 0;
    bool failed;

    make_sql(sql, query);
    if (!stmt_open(&q, db, sql, err))
        return false;
    stmt_bind_text(&q, expression);
    stmt_bind_int(&q, query->limit == 0 ? -1 : (int64_t)query->limit);
    if (is_filtered(query)) {
        stmt_bind_text(&q, query->model);
        stmt_bind_int(&q, query->since_ms == 0 ? INT64_MIN : query->since_ms);
        stmt_bind_text(&q, query->has_role ? role_name(query->role) : NULL);
    }
    while (stmt_row(&q, &failed, err)) {
        *found = mem_grow(*found, &cap, *n + 1, sizeof(**found));
        (*found)[*n].id = sqlite3_column_int64(q.s, 0);
        (*found)[*n].rank = sqlite3_column_double(q.s, 1);
        ++*n;
    }
    stmt_close(&q);
    return !failed;
}

/* --- the hits ------------------------------------------------------------------- */

/* Reads the columns of the current row into a hit. */
static void take_hit(struct stmt *q, struct history_hit *hit, struct arena **arena)
{
    struct hit_place place = {0, 0, 0};
    const void *blob = sqlite3_column_blob(q->s, 4);
    struct buf line;
    const char *text;
    int column;

    if (blob != NULL && sqlite3_column_bytes(q->s, 4) == (int)sizeof(place))
        memcpy(&place, blob, sizeof(place));
    column = place.column == 0 ? 5 : 6;
    text = sqlite3_column_blob(q->s, column);
    buf_init(&line, 8192);
    if (text != NULL)
        excerpt_around(&line, text, (size_t)sqlite3_column_bytes(q->s, column),
                       (size_t)place.start, (size_t)place.end, &hit->mark,
                       &hit->mark_len);
    hit->snippet = arena_copy(arena, buf_text(&line), line.len);
    buf_release(&line);
    hit->session_id = room_text(q, 0, arena);
    hit->role = room_role((const char *)sqlite3_column_text(q->s, 1));
    hit->title = room_text(q, 2, arena);
    hit->time_ms = sqlite3_column_int64(q->s, 3);
}

/* ?1 the expression, ?2 the message. */
static const char hit_sql[] =
    "SELECT s.name, m.role, s.title, m.created_ms, hadal_place(messages_fts), m.text,"
    " m.thinking FROM messages_fts f CROSS JOIN messages m ON m.id = f.rowid"
    " CROSS JOIN sessions s ON s.id = m.session"
    " WHERE messages_fts MATCH ?1 AND f.rowid = ?2";

static bool look_up(struct db *db, const char *expression, const struct found *found,
                    size_t n, struct history_hits *out, struct err *err)
{
    struct stmt q;
    bool failed = false;

    if (!stmt_open(&q, db, hit_sql, err))
        return false;
    stmt_bind_text(&q, expression);
    out->row = mem_array(n, sizeof(*out->row));
    for (size_t i = 0; i < n && !failed; i++) {
        q.n_bound = 1;
        stmt_bind_int(&q, found[i].id);
        if (stmt_row(&q, &failed, err)) {
            struct history_hit *hit = &out->row[out->n++];

            hit->message_id = found[i].id;
            hit->rank = found[i].rank;
            take_hit(&q, hit, &out->arena);
        }
        sqlite3_reset(q.s);
    }
    stmt_close(&q);
    return !failed;
}

bool history_search(struct history *h, const struct history_query *query,
                    struct history_hits *out, struct err *err)
{
    struct buf expression;
    struct found *found = NULL;
    size_t n = 0;
    bool ok;

    memset(out, 0, sizeof(*out));
    buf_init(&expression, QUERY_MAX);
    ok = make_expression(&expression, query->text, err);
    if (!ok || expression.len == 0)
        goto done;
    ok = db_begin_read(&h->db, err);
    if (!ok)
        goto done;
    ok = find_ids(&h->db, expression.data, query, &found, &n, err) &&
         (n == 0 || look_up(&h->db, expression.data, found, n, out, err));
    if (ok)
        ok = db_commit(&h->db, err);
    else
        db_rollback(&h->db);
    if (!ok)
        history_hits_release(out);
done:
    free(found);
    buf_release(&expression);
    return ok;
}

void history_hits_release(struct history_hits *list)
{
    free(list->row);
    arena_release(list->arena);
    memset(list, 0, sizeof(*list));
}
