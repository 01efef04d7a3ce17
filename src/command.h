/* SPDX-License-Identifier: MIT
 *
 * Commands: the table of hadal's sub-commands, and the way from argv to one of them.
 *
 * A command is a file src/cmd_NAME.c with one function of type command_fn and a row in
 * command.c; help, the manual's lint and completion read the row.
 */
#ifndef HADAL_COMMAND_H
#define HADAL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "src/options.h"

/* Runs a command. On failure err's kind decides the exit code (exit_code.h); an end by
 * signal is ERR_CANCELLED with code 128 + n. Words were counted already. */
typedef bool (*command_fn)(const struct options *opt, struct err *err);

struct command {
    const char *name;
    const char *arguments;    /* "[PROMPT...]"; "" where there are none */
    const char *summary;      /* one line for the list of commands */
    const char *about;        /* paragraphs for the command's own help, or NULL */
    unsigned options;         /* enum option_group */
    int min_words, max_words; /* max -1: any number */
    command_fn run;
};

/* The named commands; *n rows. */
const struct command *command_table(size_t *n);
/* NULL where there is none. */
const struct command *command_find(const char *name);
/* `hadal` without a command. */
const struct command *command_bare(void);

/* Parses argv, reads the configuration and runs what was asked. */
bool command_dispatch(struct options *opt, int argc, char **argv,
                      struct err *err) MUST_USE;

/* One function a command. */
bool cmd_bare(const struct options *opt, struct err *err);
bool cmd_run(const struct options *opt, struct err *err);
bool cmd_list(const struct options *opt, struct err *err);
bool cmd_rm(const struct options *opt, struct err *err);
bool cmd_verify(const struct options *opt, struct err *err);
bool cmd_gc(const struct options *opt, struct err *err);
bool cmd_pull(const struct options *opt, struct err *err);
bool cmd_show(const struct options *opt, struct err *err);
bool cmd_search(const struct options *opt, struct err *err);
bool cmd_export(const struct options *opt, struct err *err);
bool cmd_import(const struct options *opt, struct err *err);
bool cmd_log(const struct options *opt, struct err *err);
bool cmd_tokenize(const struct options *opt, struct err *err);
bool cmd_detokenize(const struct options *opt, struct err *err);
bool cmd_render(const struct options *opt, struct err *err);
bool cmd_logits(const struct options *opt, struct err *err);
bool cmd_perplexity(const struct options *opt, struct err *err);
bool cmd_bench(const struct options *opt, struct err *err);
bool cmd_quantize(const struct options *opt, struct err *err);
bool cmd_doctor(const struct options *opt, struct err *err);
bool cmd_help(const struct options *opt, struct err *err);

#endif
