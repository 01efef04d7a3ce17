/* SPDX-License-Identifier: MIT
 *
 * The user's message of `hadal run`, from words, files and standard input.
 */
#ifndef HADAL_PROMPT_H
#define HADAL_PROMPT_H

#include <stdbool.h>

#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/options.h"

enum { PROMPT_MAX_BYTES = 64 << 20 };

/* Whether standard input belongs to the message: a word '-' says so; without words it
 * is read where it is no terminal; with words, where it is a file, a pipe or a socket.
 */
bool prompt_wants_stdin(const struct options *opt);

/* The message: the words joined by one space ('-' before "--" replaced by standard
 * input), the files as fenced blocks under their names, standard input; blank lines
 * between them. `input` is standard input as read. out is made valid UTF-8; it stays
 * empty where nothing was asked. ERR_IO for a file that cannot be read, ERR_CONTEXT
 * where no context could hold it. */
bool prompt_compose(const struct options *opt, const struct buf *input, struct buf *out,
                    struct err *err) MUST_USE;

/* "1,2,3", or ids separated by white space, appended to out. ERR_USAGE naming `what`.
 */
struct tokens;
bool prompt_parse_ids(const char *text, size_t len, const char *what,
                      struct tokens *out, struct err *err) MUST_USE;

#endif
