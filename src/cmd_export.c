/* SPDX-License-Identifier: MIT
 *
 * hadal export [SESSION...]: sessions as Markdown, JSON, HTML or JSON Lines. One
 * session is in memory at a time.
 */
#include "config.h"

#include <string.h>

#include "history/history.h"
#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/base/utf8.h"
#include "src/command.h"
#include "src/listing.h"
#include "src/output.h"
#include "src/session_json.h"

enum export_format { EXPORT_MD, EXPORT_JSON, EXPORT_HTML, EXPORT_JSONL };

/* One session. number counts from 0. */
typedef void (*write_fn)(struct buf *out, size_t number,
                         const struct history_session *s,
                         const struct history_messages *messages);

struct format {
    const char *before, *after; /* the whole */
    write_fn write;
};

/* --- JSON ----------------------------------------------------------------------- */

static void write_object(struct buf *out, const struct history_session *s,
                         const struct history_messages *messages)
{
    struct json_writer w;

    json_begin(&w, out);
    session_json(&w, s, messages, SESSION_JSON_WHOLE);
}

static void write_json(struct buf *out, size_t number, const struct history_session *s,
                       const struct history_messages *messages)
{
    if (number > 0)
        buf_add_text(out, ",\n");
    write_object(out, s, messages);
}

static void write_jsonl(struct buf *out, size_t number, const struct history_session *s,
                        const struct history_messages *messages)
{
    (void)number;
    write_object(out, s, messages);
    buf_add_char(out, '\n');
}

/* --- Markdown ------------------------------------------------------------------- */

static const char *title_of(const struct history_session *s)
{
    return s->title != NULL ? s->title : s->id;
}

static void write_md(struct buf *out, size_t number, const struct history_session *s,
                     const struct history_messages *messages)
{
    char time[32];

    clock_format_utc(s->created_ms, time);
    buf_addf(out, "%s# %s\n\nsession %s, %s", number > 0 ? "\n" : "", title_of(s),
             s->id, time);
    if (s->model != NULL)
        buf_addf(out, ", %s", s->model);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < messages->n; i++) {
        const struct history_message *m = &messages->row[i];

        buf_addf(out, "\n## %s\n\n", role_name(m->role));
        buf_add(out, m->text, m->len);
        if (m->len > 0 && m->text[m->len - 1] != '\n')
            buf_add_char(out, '\n');
    }
}

/* --- HTML ----------------------------------------------------------------------- */

static const char html_before[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>hadal</title>\n<style>\n"
    "body { max-width: 48em; margin: 2em auto; padding: 0 1em; font-family: "
    "sans-serif; "
    "line-height: 1.5 }\n"
    ".facts, h3 { color: #777; font-size: 0.9em; font-weight: normal }\n"
    ".text { white-space: pre-wrap; overflow-wrap: anywhere }\n"
    ".user { background: #8881; padding: 0.5em 1em; border-radius: 0.5em }\n"
    "</style>\n</head>\n<body>\n";

/* Text as HTML: marks escaped, characters that HTML does not allow shown as U+FFFD. */
static void add_html(struct buf *out, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t c;
        size_t n = utf8_decode(text + at, len - at, &c, NULL);
        char utf8[4];

        if (c == '&')
            buf_add_text(out, "&amp;");
        else if (c == '<')
            buf_add_text(out, "&lt;");
        else if (c == '>')
            buf_add_text(out, "&gt;");
        else if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') ||
                 (c >= 0x7f && c <= 0x9f))
            buf_add_text(out, "\xEF\xBF\xBD");
        else
            buf_add(out, utf8, utf8_encode(c, utf8));
        at += n;
    }
}

static void write_html(struct buf *out, size_t number, const struct history_session *s,
                       const struct history_messages *messages)
{
    char time[32];

    (void)number;
    clock_format_utc(s->created_ms, time);
    buf_add_text(out, "<article>\n<h2>");
    add_html(out, title_of(s), strlen(title_of(s)));
    buf_addf(out, "</h2>\n<p class=\"facts\">session %s, %s", s->id, time);
    if (s->model != NULL) {
        buf_add_text(out, ", ");
        add_html(out, s->model, strlen(s->model));
    }
    buf_add_text(out, "</p>\n");
    for (size_t i = 0; i < messages->n; i++) {
        const struct history_message *m = &messages->row[i];

        buf_addf(out, "<h3>%s</h3>\n<div class=\"text %s\">", role_name(m->role),
                 role_name(m->role));
        add_html(out, m->text, m->len);
        buf_add_text(out, "</div>\n");
    }
    buf_add_text(out, "</article>\n");
}

/* --- the command ---------------------------------------------------------------- */

static const struct format formats[] = {
    [EXPORT_MD] = {"", "", write_md},
    [EXPORT_JSON] = {"[", "]\n", write_json},
    [EXPORT_HTML] = {html_before, "</body>\n</html>\n", write_html},
    [EXPORT_JSONL] = {"", "", write_jsonl},
};

static bool export_one(struct history *h, const char *id, size_t number,
                       const struct format *format, struct err *err)
{
    struct history_sessions session = {0};
    struct history_messages messages = {0};
    struct buf out;
    bool ok = history_get_session(h, id, &session, err) &&
              history_list_messages(h, id, &messages, err);

    buf_init(&out, BUF_UNLIMITED);
    if (ok) {
        format->write(&out, number, session.row, &messages);
        ok = output_write_text(buf_text(&out), out.len, err);
    }
    buf_release(&out);
    history_messages_release(&messages);
    history_sessions_release(&session);
    return ok;
}

/* Oldest first, so that an import makes them in their order. */
static bool export_all(struct history *h, const struct format *format, struct err *err)
{
    struct history_sessions list;
    bool ok = true;

    if (!history_list_sessions(h, 0, 0, &list, err))
        return false;
    for (size_t i = list.n; ok && i-- > 0;)
        ok = export_one(h, list.row[i].id, list.n - 1 - i, format, err);
    history_sessions_release(&list);
    return ok;
}

static bool export_named(struct history *h, const struct options *opt,
                         const struct format *format, struct err *err)
{
    char id[HISTORY_ID_CAP];

    for (size_t i = 0; i < opt->words.n; i++)
        if (!history_resolve(h, opt->words.item[i], id, err) ||
            !export_one(h, id, i, format, err))
            return false;
    return true;
}

/* A name that is none is told before anything is written. */
static bool check_names(struct history *h, const struct options *opt, struct err *err)
{
    char id[HISTORY_ID_CAP];

    for (size_t i = 0; i < opt->words.n; i++)
        if (!history_resolve(h, opt->words.item[i], id, err))
            return false;
    return true;
}

bool cmd_export(const struct options *opt, struct err *err)
{
    const struct format *format = &formats[opt->export_format];
    struct history *h = listing_open_history(err);
    bool ok;

    if (h == NULL)
        return false;
    ok = check_names(h, opt, err) &&
         output_write(format->before, strlen(format->before), err) &&
         (opt->words.n > 0 ? export_named(h, opt, format, err)
                           : export_all(h, format, err)) &&
         output_write(format->after, strlen(format->after), err);
    history_close(h);
    return ok;
}
