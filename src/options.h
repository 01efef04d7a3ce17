/* SPDX-License-Identifier: MIT
 *
 * Options: one table of all long and short options, from which come the parsing of the
 * command line, the keys of the configuration file and the help texts.
 *
 * A row names its field in struct options, its range and the groups it belongs to; a
 * command lists the groups that it takes (command.h). Adding an option is adding a row
 * to option_table.c and a field here.
 */
#ifndef HADAL_OPTIONS_H
#define HADAL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"
#include "src/base/err.h"

struct command;

struct text_list {
    const char **item; /* the list is owned, the texts are borrowed */
    size_t n, cap;
};

enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* What the command line and the configuration say. The texts are borrowed from argv or
 * owned by config_text. A number that nobody gave keeps the value "unset" written
 * behind its field. */
struct options {
    const struct command *command;
    double started_at; /* clock_seconds() when the program began */
    struct text_list words;
    size_t n_words_before_dashes; /* words after "--" mean themselves */

    int help, version, quiet, verbose, json;
    int color;                 /* enum color_when */
    const char *model;         /* of -m; NULL: see catalog_resolve */
    const char *model_default; /* of the configuration */
    int threads;               /* 0: unset */
    int device;                /* enum backend_kind */
    int ctx;                   /* 0: unset */
    int cache_type;            /* enum session_cache; negative: unset */
    const char *chat_format;   /* NULL: detected */

    int go_on;           /* --continue */
    const char *session; /* id or prefix; NULL: a new one */
    int no_history;
    const char *system;         /* NULL: unset */
    const char *system_default; /* of the configuration, for new sessions */
    struct text_list files;
    int max_tokens;                            /* -1: until the context is full */
    double temp, top_p, min_p, repeat_penalty; /* negative: unset */
    int top_k;                                 /* negative: unset */
    int64_t seed;                              /* negative: drawn */
    struct text_list stop;
    int think; /* enum think_mode */
    int hide_thinking, raw, stream_json;
    const char *tokens; /* "1,2,3" */
    double timeout_s;   /* 0: none */

    int bos, special; /* tokenize */
    int all;          /* logits */
    const char *output;
    const char *tokens_file; /* perplexity */
    int bench_prefill, bench_decode, bench_depth, bench_repeat;

    const char *quantize_type; /* NULL: unset */

    int limit; /* search; 0: unset */
    const char *search_model, *since, *role;
    int best;
    int export_format; /* enum export_format, in cmd_export.c */

    const char *revision, *include, *limit_rate; /* pull */
    int dry_run, insecure_http;

    int repair; /* doctor */

    struct buf config_text; /* where texts of the configuration live */
};

/* The commands' vocabulary of options. */
enum option_group {
    OPTIONS_HELP = 1 << 0,
    OPTIONS_COMMON = 1 << 1, /* model, threads, device, ctx, quiet, verbose, color */
    OPTIONS_JSON = 1 << 2,
    OPTIONS_VERSION = 1 << 3,
    OPTIONS_CHAT = 1 << 4, /* session, system prompt, sampling: bare hadal and run */
    OPTIONS_RUN = 1 << 5,
    OPTIONS_TOKENIZE = 1 << 6,
    OPTIONS_RENDER = 1 << 7,
    OPTIONS_LOGITS = 1 << 8,
    OPTIONS_PERPLEXITY = 1 << 9,
    OPTIONS_BENCH = 1 << 10,
    OPTIONS_SEARCH = 1 << 11,
    OPTIONS_CONFIG = 1 << 12, /* also a key of the configuration file */
    OPTIONS_EXPORT = 1 << 13,
    OPTIONS_PULL = 1 << 14,
    OPTIONS_GC = 1 << 15,
    OPTIONS_QUANTIZE = 1 << 16,
    OPTIONS_DOCTOR = 1 << 17,
};

enum option_kind {
    OPTION_FLAG,    /* int = flag_value */
    OPTION_INTEGER, /* int in [min, max] */
    OPTION_SEED,    /* int64_t in [0, 2^63) */
    OPTION_NUMBER,  /* double in [min, max] */
    OPTION_CHOICE,  /* int = index in "a|b|c" */
    OPTION_TEXT,    /* const char * */
    OPTION_TEXTS,   /* struct text_list */
    OPTION_LATER,   /* known to the contract, not in this version */
};

struct option {
    const char *name; /* long name without dashes */
    char letter;      /* short form, or 0 */
    unsigned groups;  /* enum option_group; the first row that fits a command wins */
    enum option_kind kind;
    size_t field; /* offset in struct options */
    int flag_value;
    double min, max;
    const char *value; /* name of the value in help, or the choices "a|b|c" */
    const char *help;  /* one line */
};

/* The table; *n rows. */
const struct option *options_table(size_t *n);

void options_init(struct options *opt);
void options_release(struct options *opt);

/* The row of this long name (or letter) within the groups, or NULL. */
const struct option *options_find(unsigned groups, const char *name, size_t len);

/* Reads one value as the row says. `shown` is what messages call the option: "--temp",
 * or "config:3: temp". ERR_USAGE. */
bool options_set(struct options *opt, const struct option *row, const char *shown,
                 const char *value, struct err *err) MUST_USE;

/* The index of the first word in argv that is no option of these groups nor the value
 * of one: the command's name. argc where there is none. */
int options_find_word(unsigned groups, int argc, char **argv);

/* Parses argv[1..argc) but argv[skip]. ERR_USAGE with one line. */
bool options_parse(struct options *opt, unsigned groups, int argc, char **argv,
                   int skip, struct err *err) MUST_USE;

#endif
