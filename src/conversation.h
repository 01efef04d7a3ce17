/* SPDX-License-Identifier: MIT
 *
 * The conversation of the chat: its messages in memory, as the model gets them, and the
 * same in the history.
 *
 * Memory comes first: a function that returns false with err has still done its part in
 * memory; only the history lacks it. Main thread only.
 */
#ifndef HADAL_CONVERSATION_H
#define HADAL_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/history.h"
#include "src/base/err.h"
#include "src/base/message.h"
#include "src/worker.h"

struct conversation;

/* Nothing is stored until conversation_keep. */
struct conversation *conversation_open(void);
void conversation_close(struct conversation *c); /* accepts NULL */

/* From now on everything goes into history (borrowed; NULL: nothing does), beginning
 * with what the session lacks: the system prompt and a last question. */
bool conversation_keep(struct conversation *c, struct history *history,
                       struct err *err) MUST_USE;

/* Begins anew; the session is made when the first message is stored. */
void conversation_clear(struct conversation *c);

/* Replaces all by the session in history. On failure nothing has changed. */
bool conversation_load(struct conversation *c, struct history *history, const char *id,
                       struct err *err) MUST_USE;

/* "" while the session is not in the history. */
const char *conversation_id(const struct conversation *c);

/* Which model answers, for the record. */
void conversation_set_model(struct conversation *c, const char *model);
/* The system prompt from now on; "" for none. */
bool conversation_set_system(struct conversation *c, const char *text,
                             struct err *err) MUST_USE;
const char *conversation_system(const struct conversation *c); /* "" for none */

/* The user says something. *id (may be NULL): the message's number, 0 if not stored. */
bool conversation_add_user(struct conversation *c, const char *text, size_t len,
                           int64_t *id, struct err *err) MUST_USE;
/* Takes the last question back from what the model gets, and an answer without a word
 * after it. */
void conversation_drop_question(struct conversation *c);

/* The answer: begun, grown, written down (call it at most once a second), finished.
 * The numbers of messages may be NULL. */
bool conversation_begin_answer(struct conversation *c, int64_t *id,
                               struct err *err) MUST_USE;
void conversation_grow_answer(struct conversation *c, enum report_kind part,
                              const char *text, size_t len);
bool conversation_save_answer(struct conversation *c, struct err *err) MUST_USE;
bool conversation_finish_answer(struct conversation *c, const struct report *done,
                                struct err *err) MUST_USE;

/* What the model is to be given; valid until the next change. */
const struct message *conversation_messages(struct conversation *c, size_t *n);

/* The messages of the loaded session, for the screen; n 0 where it was not loaded. */
const struct history_messages *conversation_past(const struct conversation *c);

#endif
