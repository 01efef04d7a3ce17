/* SPDX-License-Identifier: MIT
 *
 * A message of a conversation: the one word that all rooms share.
 */
#ifndef HADAL_BASE_MESSAGE_H
#define HADAL_BASE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };

/* UTF-8, borrowed from whoever made the struct. */
struct message {
    enum role role;
    const char *text;     /* what was said; for the assistant without its reasoning */
    size_t len;
    const char *thinking; /* the assistant's reasoning, or NULL */
    size_t thinking_len;
};

/* "system", "user", "assistant". */
const char *role_name(enum role role);

/* The role of that name; false, and *role as it was, where it is none (or NULL). */
bool role_find(const char *name, enum role *role);

#endif
