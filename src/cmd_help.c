/* SPDX-License-Identifier: MIT
 *
 * hadal help [COMMAND].
 */
#include "config.h"

#include "src/command.h"
#include "src/help.h"

bool cmd_help(const struct options *opt, struct err *err)
{
    const struct command *command = command_bare();

    if (opt->words.n > 0)
        command = command_find(opt->words.item[0]);
    if (command == NULL)
        return err_set(err, ERR_USAGE, "%s: no such command; see 'hadal help'",
                       opt->words.item[0]);
    return help_print(command, err);
}
