/* SPDX-License-Identifier: MIT
 *
 * A message of a conversation: see message.h.
 */
#include "config.h"

#include "src/base/message.h"

#include <string.h>

static const char *const names[] = {
    [ROLE_SYSTEM] = "system",
    [ROLE_USER] = "user",
    [ROLE_ASSISTANT] = "assistant",
};

const char *role_name(enum role role)
{
    return names[role];
}

bool role_find(const char *name, enum role *role)
{
    for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            *role = (enum role)i;
            return true;
        }
    return false;
}
