/* SPDX-License-Identifier: MIT
 *
 * Keeping the full-text index in step with the messages: every change of a message's
 * text is wrapped in one transaction with these. The index holds no text, so a message
 * must be taken out while the text that was put in can still be read.
 */
#ifndef HADAL_HISTORY_INDEX_H
#define HADAL_HISTORY_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "history/db.h"
#include "src/base/err.h"

/* After a message was added or changed. */
bool index_put(struct db *db, int64_t message, struct err *err) MUST_USE;

/* Before a message is changed. */
bool index_take(struct db *db, int64_t message, struct err *err) MUST_USE;

/* Before a session is deleted. */
bool index_take_session(struct db *db, const char *name, struct err *err) MUST_USE;

/* The index keeps the words of what was taken out until its parts are merged: merges
 * all, so that none is left in the file. */
bool index_purge(struct db *db, struct err *err) MUST_USE;

#endif
