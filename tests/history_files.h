/* SPDX-License-Identifier: MIT
 *
 * What the tests of the history share: a folder of their own, and short ways to store
 * and count.
 */
#ifndef HADAL_TESTS_HISTORY_FILES_H
#define HADAL_TESTS_HISTORY_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "history/history.h"

/* A new empty folder, and the path of a database within it. */
struct files {
    char folder[64];
    char db[128];
};

void files_make(struct files *f);
void files_remove(struct files *f);

/* Opens, or fails the case and returns NULL. */
struct history *files_open(const char *path, enum history_mode mode);

/* Stores a message of a session (id "" begins one, and is filled in); 0 on failure. */
int64_t files_say(struct history *h, char id[HISTORY_ID_CAP], enum role role,
                  const char *text);

/* Hits of a query, or -1 with a failed check. */
int files_hits(struct history *h, const char *query);

/* Numbers for tests: the same every time. */
uint32_t files_random(uint32_t *state);

#endif
