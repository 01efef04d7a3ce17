/* SPDX-License-Identifier: MIT
 *
 * Sessions and messages of the history as JSON: what hadal log prints and hadal export
 * writes.
 */
#ifndef HADAL_SESSION_JSON_H
#define HADAL_SESSION_JSON_H

#include "history/history.h"
#include "src/base/json.h"

enum session_json_detail {
    SESSION_JSON_SHOWN, /* the members of hadal log */
    SESSION_JSON_WHOLE, /* and all that makes an export read back the same */
};

/* The members a session has in a list and alone, up to "messages". */
void session_json_head(struct json_writer *w, const struct history_session *s);

/* A whole session: one object. */
void session_json(struct json_writer *w, const struct history_session *s,
                  const struct history_messages *messages,
                  enum session_json_detail detail);

#endif
