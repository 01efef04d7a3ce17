/* SPDX-License-Identifier: MIT
 *
 * A turn's way into the history: the session gone on with or begun, the message as it
 * was asked, the answer as it grows. Where the history cannot be written one warning is
 * printed and the turn goes on without.
 */
#ifndef HADAL_RECORD_H
#define HADAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/base/message.h"
#include "src/options.h"
#include "src/worker.h"

struct record;

/* Finds the session that --continue or --session names and reads it. ERR_SESSION,
 * ERR_USAGE (several), ERR_DB. Nothing is written yet. */
struct record *record_open(const struct options *opt, struct err *err) MUST_USE;
void record_close(struct record *r); /* accepts NULL */

/* The conversation with `text` as its last message; borrowed until record_close. */
const struct message *record_messages(struct record *r, const char *text, size_t len,
                                      size_t *n);

/* The session's id: the one gone on with, or begun; NULL where there is none. */
const char *record_session(const struct record *r);

/* The prompt was accepted: writes session, system prompt and message, and begins the
 * answer. text: the message as it was asked. */
void record_begin(struct record *r, const char *model, const char *text, size_t len);

/* The answer so far, thinking NULL where there is none; writes at most once a second.
 */
void record_extend(struct record *r, const struct buf *text,
                   const struct buf *thinking);

/* The answer as it is, once. */
void record_finish(struct record *r, const char *model, const struct buf *text,
                   const struct buf *thinking, const struct report *done,
                   const struct sampling *sampling);

#endif
