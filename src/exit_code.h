/* SPDX-License-Identifier: MIT
 *
 * What a failure makes of the program's exit: its code, and its one line.
 */
#ifndef HADAL_EXIT_CODE_H
#define HADAL_EXIT_CODE_H

#include "src/base/err.h"

int exit_code(const struct err *err);

/* "hadal: TEXT" on standard error, made safe for a terminal; nothing for an end by
 * signal. */
void exit_report(const struct err *err);

#endif
