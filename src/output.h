/* SPDX-License-Identifier: MIT
 *
 * The two streams of a command: data on standard output, notes on standard error.
 *
 * Data goes out as exact bytes to a file or pipe, and through termtext to a terminal. A
 * reader that went away is no failure to talk about: ERR_CANCELLED with code 141, as if
 * SIGPIPE had ended the program. Notes are one line each, "hadal: ...", always made
 * safe.
 */
#ifndef HADAL_OUTPUT_H
#define HADAL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/options.h"

/* Once, first thing: descriptors 0 to 2 are made to exist, so that no file of ours
 * takes their place (reading or writing one that was closed still fails), and SIGPIPE
 * and SIGXFSZ are ignored, so that a write says EPIPE or EFBIG. */
void output_prepare(void);

/* Writes to standard output now. */
bool output_write(const void *data, size_t len, struct err *err) MUST_USE;
/* The same for text that a file, a model or the database had a hand in. */
bool output_write_text(const char *text, size_t len, struct err *err) MUST_USE;
/* ERR_CANCELLED with code 141. Returns false. */
bool output_set_reader_gone(struct err *err);

/* A note on standard error. */
void output_note(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Text of several lines on standard error, made safe, without a name in front. */
void output_notice(const char *text, size_t len);

/* Whether to write colour to descriptor fd. */
bool output_wants_color(const struct options *opt, int fd);

#endif
