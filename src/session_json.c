/* SPDX-License-Identifier: MIT
 *
 * Sessions as JSON: see session_json.h.
 */
#include "config.h"

#include "src/session_json.h"

#include <string.h>

#include "src/base/clock.h"

static void write_time(struct json_writer *w, const char *key, int64_t utc_ms)
{
    char text[32];

    clock_format_utc(utc_ms, text);
    json_key(w, key);
    json_text(w, text);
}

/* Writes a key and a text that may be missing. */
static void write_pair(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    json_text(w, text);
}

void session_json_head(struct json_writer *w, const struct history_session *s)
{
    write_pair(w, "session", s->id);
    write_pair(w, "title", s->title);
    write_pair(w, "model", s->model);
    write_time(w, "created", s->created_ms);
    write_time(w, "updated", s->updated_ms);
}

static void write_token_ids(struct json_writer *w, const struct history_message *m)
{
    const char *at = m->tokens;

    json_array(w);
    for (size_t i = 0; i + sizeof(int32_t) <= m->tokens_len; i += sizeof(int32_t)) {
        int32_t id;

        memcpy(&id, at + i, sizeof(id));
        json_integer(w, id);
    }
    json_end_array(w);
}

static void write_whole(struct json_writer *w, const struct history_message *m)
{
    json_key(w, "time_ms");
    json_integer(w, m->time_ms);
    if (m->settings != NULL)
        write_pair(w, "settings", m->settings);
    if (m->tokens != NULL) {
        json_key(w, "token_ids");
        write_token_ids(w, m);
    }
}

static void write_message(struct json_writer *w, const struct history_message *m,
                          enum session_json_detail detail)
{
    json_object(w);
    json_key(w, "message");
    json_integer(w, m->id);
    write_pair(w, "role", role_name(m->role));
    json_key(w, "content");
    json_text_n(w, m->text, m->len);
    json_key(w, "thinking");
    if (m->thinking == NULL)
        json_null(w);
    else
        json_text_n(w, m->thinking, m->thinking_len);
    write_time(w, "time", m->time_ms);
    write_pair(w, "model", m->model);
    write_pair(w, "stop_reason", m->stop_reason);
    json_key(w, "seed");
    if (m->has_seed)
        json_unsigned(w, m->seed);
    else
        json_null(w);
    if (detail == SESSION_JSON_WHOLE)
        write_whole(w, m);
    json_end_object(w);
}

void session_json(struct json_writer *w, const struct history_session *s,
                  const struct history_messages *messages,
                  enum session_json_detail detail)
{
    json_object(w);
    session_json_head(w, s);
    if (detail == SESSION_JSON_WHOLE) {
        json_key(w, "created_ms");
        json_integer(w, s->created_ms);
    }
    json_key(w, "messages");
    json_array(w);
    for (size_t i = 0; i < messages->n; i++)
        write_message(w, &messages->row[i], detail);
    json_end_array(w);
    json_end_object(w);
}
