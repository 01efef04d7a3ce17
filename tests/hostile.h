/* SPDX-License-Identifier: MIT
 *
 * The GGUF cases of tests/data/hostile: files one fault away from a valid model, with
 * what must be said about them (README there).
 */
#ifndef HADAL_TESTS_HOSTILE_H
#define HADAL_TESTS_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>

struct hostile_case {
    const char *name;   /* "heads_zero" */
    const char *family; /* "hyperparameters" */
    const char *what;   /* class: reject, run, survive, terminal, accept */
    const char *path;   /* the file, where it is kept whole; else NULL */
    char *data; /* the bytes, where the case is an edit of control_ok; else NULL */
    size_t len;
};

/* Calls fn for every case. Failures to read the set are counted as such. */
void hostile_each(void (*fn)(const struct hostile_case *c));

/* True when the text names the fault as the manifest demands. */
bool hostile_is_named(const struct hostile_case *c, const char *text);

#endif
