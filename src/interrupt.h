/* SPDX-License-Identifier: MIT
 *
 * Signals as events: SIGINT, SIGTERM and SIGHUP for a command that tidies up first, and
 * SIGBUS for a model's file that was cut while it was mapped.
 *
 * Global by nature: a signal handler has nothing else to work on.
 */
#ifndef HADAL_INTERRUPT_H
#define HADAL_INTERRUPT_H

#include <stdbool.h>

#include "src/base/err.h"

/* From now on the first of those signals is only noted, and interrupt_fd() becomes
 * readable; a second one ends the program. Signals that were ignored stay so. */
bool interrupt_watch(struct err *err) MUST_USE;
int interrupt_fd(void);
/* The signal that came; 0: none. */
int interrupt_signal(void);

/* From now on a read beyond the end of a mapped file ends the program with exit code 3
 * and a line that names the model's file. restore (may be NULL) is called first, to
 * give the terminal back; async-signal-safe. */
void interrupt_guard_model(const char *path, void (*restore)(void));

#endif
