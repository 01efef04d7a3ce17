/* SPDX-License-Identifier: MIT
 *
 * Signals for the chat on the terminal: those that can wait become bytes in a pipe;
 * those that cannot (a crash) give the terminal back and go on to kill the program.
 *
 * Global by nature: a signal handler has nothing else to work on. Open once.
 */
#ifndef HADAL_SIGNALS_H
#define HADAL_SIGNALS_H

#include <stdbool.h>

#include "src/base/err.h"

/* restore is called from handlers: it must be async-signal-safe. */
bool signals_open(void (*restore)(void), struct err *err) MUST_USE;
void signals_close(void); /* default actions again */

int signals_fd(void);   /* readable while a signal waits */
int signals_take(void); /* its number; 0: none */

/* Stops the program as ^Z does; returns when it goes on. */
void signals_stop(void);

#endif
