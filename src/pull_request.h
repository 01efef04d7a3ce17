/* SPDX-License-Identifier: MIT
 *
 * What a pull is asked for with, from the options of `hadal pull`: those of the command
 * line, or those of a line that is typed in the chat. One parser for both.
 */
#ifndef HADAL_PULL_REQUEST_H
#define HADAL_PULL_REQUEST_H

#include <stdbool.h>

#include "src/fetch/pull.h"
#include "src/options.h"

/* The first word of opt and its options; the texts are borrowed from it. ERR_USAGE. */
bool pull_request_of(const struct options *opt, struct pull_options *out,
                     struct err *err) MUST_USE;

/* A line, read. */
struct pull_request {
    char *text; /* the words of the line, owned */
    struct options opt;
    struct pull_options pull; /* borrows from both */
};

/* "NAME [--revision R] [--include GLOB]...": words are separated by blanks, quotes of
 * either kind keep blanks. ERR_USAGE. */
bool pull_request_read(struct pull_request *r, const char *line,
                       struct err *err) MUST_USE;
void pull_request_release(struct pull_request *r); /* accepts zeroed storage */

#endif
