/* SPDX-License-Identifier: MIT
 *
 * Help texts, made from the tables of commands and options.
 */
#ifndef HADAL_HELP_H
#define HADAL_HELP_H

#include <stdbool.h>

#include "src/base/err.h"
#include "src/command.h"

/* The command's help on standard output; that of bare hadal lists the commands. */
bool help_print(const struct command *command, struct err *err) MUST_USE;

#endif
