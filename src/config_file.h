/* SPDX-License-Identifier: MIT
 *
 * The configuration file, $XDG_CONFIG_HOME/hadal/config: lines `key = value`, where the
 * keys are long options, and comments from '#' at the beginning of a line.
 */
#ifndef HADAL_CONFIG_FILE_H
#define HADAL_CONFIG_FILE_H

#include <stdbool.h>

#include "src/base/err.h"
#include "src/options.h"

/* Sets what the user's file says; a missing file says nothing. ERR_USAGE naming file
 * and line. */
bool config_file_load(struct options *opt, struct err *err) MUST_USE;

#endif
