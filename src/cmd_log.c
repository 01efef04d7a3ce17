/* SPDX-License-Identifier: MIT
 *
 * hadal log [SESSION]: list the sessions, or print one.
 */
#include "config.h"

#include "history/history.h"
#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/command.h"
#include "src/listing.h"
#include "src/output.h"
#include "src/session_json.h"

static bool write_json(struct buf *out, struct err *err)
{
    bool ok;

    buf_add_char(out, '\n');
    ok = output_write_text(buf_text(out), out->len, err);
    buf_release(out);
    return ok;
}

/* --- the list ------------------------------------------------------------------- */

static bool list_json(const struct history_sessions *list, struct err *err)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    json_begin(&w, &out);
    json_array(&w);
    for (size_t i = 0; i < list->n; i++) {
        json_object(&w);
        session_json_head(&w, &list->row[i]);
        json_key(&w, "messages");
        json_integer(&w, list->row[i].n_messages);
        json_end_object(&w);
    }
    json_end_array(&w);
    return write_json(&out, err);
}

static bool list_lines(const struct history_sessions *list, const struct options *opt,
                       struct err *err)
{
    struct listing l;

    listing_begin(&l, opt);
    for (size_t i = 0; i < list->n; i++) {
        const struct history_session *s = &list->row[i];

        listing_color(&l, "33");
        listing_line(&l, s->id);
        listing_color(&l, "0");
        buf_add_text(&l.out, "  ");
        listing_time(&l, s->updated_ms);
        buf_addf(&l.out, "  %4lld  ", (long long)s->n_messages);
        listing_line(&l, s->title == NULL ? "(no title)" : s->title);
        if (s->model != NULL) {
            listing_color(&l, "2");
            buf_add_text(&l.out, "  [");
            listing_line(&l, s->model);
            buf_add_text(&l.out, "]");
            listing_color(&l, "0");
        }
        buf_add_char(&l.out, '\n');
    }
    return listing_end(&l, err);
}

static bool log_list(struct history *h, const struct options *opt, struct err *err)
{
    struct history_sessions list;
    bool ok;

    if (!history_list_sessions(h, 0, 0, &list, err))
        return false;
    ok = opt->json ? list_json(&list, err) : list_lines(&list, opt, err);
    history_sessions_release(&list);
    return ok;
}

/* --- one session ---------------------------------------------------------------- */

static bool print_json(const struct history_session *s,
                       const struct history_messages *messages, struct err *err)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    json_begin(&w, &out);
    session_json(&w, s, messages, SESSION_JSON_SHOWN);
    return write_json(&out, err);
}

static void add_fact(struct listing *l, const char *name, const char *text)
{
    if (text == NULL)
        return;
    buf_addf(&l->out, "%-8s ", name);
    listing_line(l, text);
    buf_add_char(&l->out, '\n');
}

static void add_message(struct listing *l, const struct history_message *m)
{
    buf_add_char(&l->out, '\n');
    listing_color(l, "1");
    buf_add_text(&l->out, role_name(m->role));
    listing_color(l, "0");
    listing_color(l, "2");
    buf_add_text(&l->out, "  ");
    listing_time(l, m->time_ms);
    if (m->model != NULL) {
        buf_add_text(&l->out, "  ");
        listing_line(l, m->model);
    }
    if (m->stop_reason != NULL) {
        buf_add_text(&l->out, "  ");
        listing_line(l, m->stop_reason);
    }
    buf_add_char(&l->out, '\n');
    if (m->thinking != NULL) {
        buf_add_text(&l->out, "<think>\n");
        listing_block(l, m->thinking, m->thinking_len);
        buf_add_text(&l->out, "</think>\n");
    }
    listing_color(l, "0");
    listing_block(l, m->text, m->len);
}

static bool session_lines(const struct history_session *s,
                          const struct history_messages *messages,
                          const struct options *opt, struct err *err)
{
    struct listing l;
    char time[32];

    listing_begin(&l, opt);
    listing_color(&l, "33");
    add_fact(&l, "session", s->id);
    listing_color(&l, "0");
    add_fact(&l, "title", s->title);
    add_fact(&l, "model", s->model);
    clock_format_utc(s->created_ms, time);
    add_fact(&l, "created", time);
    clock_format_utc(s->updated_ms, time);
    add_fact(&l, "updated", time);
    for (size_t i = 0; i < messages->n; i++)
        add_message(&l, &messages->row[i]);
    return listing_end(&l, err);
}

static bool log_session(struct history *h, const char *prefix,
                        const struct options *opt, struct err *err)
{
    char id[HISTORY_ID_CAP];
    struct history_sessions session = {0};
    struct history_messages messages = {0};
    bool ok = history_resolve(h, prefix, id, err) &&
              history_get_session(h, id, &session, err) &&
              history_list_messages(h, id, &messages, err);

    if (ok)
        ok = opt->json ? print_json(session.row, &messages, err)
                       : session_lines(session.row, &messages, opt, err);
    history_messages_release(&messages);
    history_sessions_release(&session);
    return ok;
}

bool cmd_log(const struct options *opt, struct err *err)
{
    struct history *h = listing_open_history(err);
    bool ok;

    if (h == NULL)
        return false;
    ok = opt->words.n == 0 ? log_list(h, opt, err)
                           : log_session(h, opt->words.item[0], opt, err);
    history_close(h);
    return ok;
}
