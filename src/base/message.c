/* SPDX-License-Identifier: MIT
 *
 * A message of a conversation: see message.h.
 */
#include "config.h"

#include "src/base/message.h"

const char *role_name(enum role role)
{
    static const char *const names[] = {
        [ROLE_SYSTEM] = "system",
        [ROLE_USER] = "user",
        [ROLE_ASSISTANT] = "assistant",
    };

    return names[role];
}
