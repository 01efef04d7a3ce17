/* SPDX-License-Identifier: MIT
 *
 * hadal without a command: the chat on the terminal; without one, as `hadal run`.
 */
#include "config.h"

#include "src/command.h"

bool cmd_bare(const struct options *opt, struct err *err)
{
    (void)opt;
    return err_set(err, ERR_USAGE, "a command is missing; see 'hadal help'");
}
