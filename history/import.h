/* SPDX-License-Identifier: MIT
 *
 * Reading foreign sessions: what the readers of the several formats share.
 */
#ifndef HADAL_HISTORY_IMPORT_H
#define HADAL_HISTORY_IMPORT_H

#include <stdbool.h>

#include "history/history.h"
#include "src/base/err.h"
#include "src/base/json.h"

struct import {
    struct history *h;
    const char *path; /* for messages */
    struct history_imported count;
};

/* Begins a session. session->id may be NULL, or what it was called where it comes from;
 * *known tells that a session of that id is here already and is to be skipped. */
bool import_session(struct import *im, const struct history_session *session,
                    char id[HISTORY_ID_CAP], bool *known, struct err *err) MUST_USE;
bool import_message(struct import *im, const char *id,
                    const struct history_message *msg, struct err *err) MUST_USE;

/* The role that a name means here; false for tools and the like, which are left out. */
bool import_role(const char *name, enum role *role);

/* A time of JSON: text as 2026-11-24T06:00:00..., or seconds since 1970. 0 where it is
 * neither, which stands for now. */
int64_t import_time(const cJSON *item);

/* The text of a string, or of the text parts of a list of parts; owned (free()), NULL
 * where there is none. */
char *import_text(const cJSON *content);

/* The readers. An object of conversations.json has a "mapping". */
bool import_json(struct import *im, const char *text, size_t len,
                 struct err *err) MUST_USE;
bool import_chatgpt(struct import *im, const cJSON *chat, struct err *err) MUST_USE;
bool import_llm(struct import *im, struct err *err) MUST_USE;

#endif
