/* SPDX-License-Identifier: MIT
 *
 * The terminal: the only module that knows curses. Brings a canvas to the screen, reads
 * bytes, and gives the terminal back on every way out.
 *
 * One terminal a program. Curses is used for output only; the bytes that come in are
 * decoded by input.c, since curses knows neither pasted text nor a fast ESC.
 */
#ifndef HADAL_UI_TERM_H
#define HADAL_UI_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "ui/canvas.h"
#include "ui/theme.h"

struct terminal;

/* ERR_FAILED where TERM names no terminal that can do it. */
struct terminal *term_open(enum theme theme, struct err *err) MUST_USE;
void term_close(struct terminal *t); /* accepts NULL */

int term_fd(const struct terminal *t);
/* The terminal's size now; asks the kernel. */
void term_size(const struct terminal *t, int *rows, int *cols);

/* Reads what has come, without waiting: bytes read, 0 where nothing waits, -1 when the
 * terminal is gone. */
int term_read(struct terminal *t, char *out, size_t cap);

/* Shows the canvas: only what changed is sent. */
void term_show(struct terminal *t, const struct canvas *c);
/* The next term_show sends everything. */
void term_forget(struct terminal *t);

/* The terminal answered where its cursor stands (row and column from 1) after a probe
 * that term_open sent: from then on what the probe is about is drawn as this terminal
 * draws it. */
void term_set_probe(struct terminal *t, int row, int col);

/* Asks the terminal to put text into the clipboard (OSC 52, base64; over SSH too).
 * False where it is too long or the terminal of another kind. */
bool term_copy(struct terminal *t, const char *text, size_t len);

/* Gives the terminal to the shell, and takes it back. */
void term_suspend(struct terminal *t);
void term_resume(struct terminal *t);

/* Gives the terminal back at once: for signal handlers and out of memory. Safe to call
 * at any time, in any state, from any thread, more than once. */
void term_restore_now(void);

#endif
