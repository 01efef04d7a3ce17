/* SPDX-License-Identifier: MIT
 *
 * The tables of the history, as numbered steps from an empty file to the newest
 * version.
 */
#ifndef HADAL_HISTORY_SCHEMA_H
#define HADAL_HISTORY_SCHEMA_H

#include <stdbool.h>

#include "history/db.h"
#include "src/base/err.h"

/* The version this program writes. */
int schema_newest(void);

/* The version of an open file: 0 is an empty one. Fails where it is no history of
 * hadal's or one of a newer hadal. */
bool schema_version(struct db *db, int *version, struct err *err) MUST_USE;

/* Brings the file to version `target` (schema_newest() but in tests) in one
 * transaction, whatever happens: it is old or new, never between. An older history is
 * copied to PATH.vN.bak first, unless it is in memory. */
bool schema_migrate(struct db *db, int target, struct err *err) MUST_USE;

/* Copies the whole database of `from` into that of `to`, which is replaced. */
bool schema_copy(struct db *to, struct db *from, struct err *err) MUST_USE;

#endif
