/* SPDX-License-Identifier: MIT
 *
 * struct arena: what the rows of one list point to, freed together. Pieces never move.
 */
#ifndef HADAL_HISTORY_ARENA_H
#define HADAL_HISTORY_ARENA_H

#include <stddef.h>

#include "src/base/err.h"

struct arena;

/* A copy of data[0..len) with a NUL behind it. Makes the arena when *arena is NULL. */
char *arena_copy(struct arena **arena, const void *data, size_t len) MUST_USE;

void arena_release(struct arena *arena); /* accepts NULL */

#endif
