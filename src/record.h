/* SPDX-License-Identifier: MIT
 *
 * A conversation of `hadal run` and its way into the history: the session gone on with
 * or begun, one question, one answer. Nothing is written before the prompt was
 * accepted. Where the history cannot be written one warning is printed and the turn
 * goes on without.
 */
#ifndef HADAL_RECORD_H
#define HADAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "src/base/message.h"
#include "src/options.h"
#include "src/worker.h"

struct record;

/* Finds the session that --continue or --session names and reads it. ERR_SESSION,
 * ERR_USAGE (several), ERR_DB. */
struct record *record_open(const struct options *opt, const char *model,
                           struct err *err) MUST_USE;
void record_close(struct record *r); /* accepts NULL */

/* The question, as it is to be stored. */
void record_ask(struct record *r, const char *text, size_t len);
/* The conversation with the question as its last message; borrowed. */
const struct message *record_messages(struct record *r, size_t *n);

/* The prompt was accepted: writes session, system prompt and question, and begins the
 * answer. */
void record_begin(struct record *r);
/* A text or thinking report; the history hears of it at most once a second. */
void record_grow(struct record *r, const struct report *part);
/* The end of the answer, as done tells it. */
void record_finish(struct record *r, const struct report *done);

/* The session's id: the one gone on with, or begun; NULL where there is none. */
const char *record_session(const struct record *r);

#endif
