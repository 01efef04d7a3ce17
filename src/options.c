/* SPDX-License-Identifier: MIT
 *
 * Reading options: see options.h. Numbers are strict: a sign, digits, a point and an
 * exponent, no white space, no hexadecimal, no infinity, nothing behind.
 */
#include "config.h"

#include "src/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/command.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

void options_init(struct options *opt)
{
    memset(opt, 0, sizeof(*opt));
    opt->started_at = clock_seconds();
    opt->max_tokens = -1;
    opt->temp = opt->top_p = opt->min_p = opt->repeat_penalty = -1;
    opt->top_k = -1;
    opt->seed = -1;
    opt->cache_type = -1;
    opt->bench_prefill = 512;
    opt->bench_decode = 128;
    opt->bench_repeat = 3;
    buf_init(&opt->config_text, CONFIG_MAX_BYTES);
}

void options_release(struct options *opt)
{
    free(opt->words.item);
    free(opt->files.item);
    free(opt->stop.item);
    buf_release(&opt->config_text);
    memset(opt, 0, sizeof(*opt));
}

const struct option *options_find(unsigned groups, const char *name, size_t len)
{
    size_t n;
    const struct option *row = options_table(&n);

    for (size_t i = 0; i < n; i++)
        if ((row[i].groups & groups) != 0 && strlen(row[i].name) == len &&
            memcmp(row[i].name, name, len) == 0)
            return &row[i];
    return NULL;
}

static const struct option *find_letter(unsigned groups, char letter)
{
    size_t n;
    const struct option *row = options_table(&n);

    for (size_t i = 0; i < n; i++)
        if ((row[i].groups & groups) != 0 && row[i].letter == letter)
            return &row[i];
    return NULL;
}

static bool takes_value(const struct option *row)
{
    return row->kind != OPTION_FLAG;
}

static void list_add(struct text_list *list, const char *text)
{
    list->item = mem_grow(list->item, &list->cap, list->n + 1, sizeof(*list->item));
    list->item[list->n++] = text;
}

/* ---- values ---- */

static bool read_integer(const char *text, int64_t *out)
{
    char *end;

    if (text[strspn(text, "-0123456789")] != '\0' || *text == '\0')
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return *end == '\0' && end != text && errno == 0;
}

static bool read_number(const char *text, double *out)
{
    char *end;

    if (text[strspn(text, "+-.eE0123456789")] != '\0' || *text == '\0')
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && end != text;
}

static bool set_integer(int *field, const struct option *row, const char *shown,
                        const char *value, struct err *err)
{
    int64_t n;

    if (value[0] == '\0' || value[strspn(value, "-0123456789")] != '\0')
        return err_set(err, ERR_USAGE, "%s: '%s' is not a whole number", shown, value);
    if (!read_integer(value, &n) || n < (int64_t)row->min || n > (int64_t)row->max)
        return err_set(err, ERR_USAGE, "%s: '%s' is not in %.0f..%.0f", shown, value,
                       row->min, row->max);
    *field = (int)n;
    return true;
}

static bool set_seed(int64_t *field, const char *shown, const char *value,
                     struct err *err)
{
    int64_t n;

    if (!read_integer(value, &n) || n < 0)
        return err_set(err, ERR_USAGE,
                       "%s: '%s' is not a whole number in 0..9223372036854775807",
                       shown, value);
    *field = n;
    return true;
}

static bool set_number(double *field, const struct option *row, const char *shown,
                       const char *value, struct err *err)
{
    double x;

    if (!read_number(value, &x))
        return err_set(err, ERR_USAGE, "%s: '%s' is not a number", shown, value);
    if (!(x >= row->min && x <= row->max))
        return err_set(err, ERR_USAGE, "%s: '%s' is not in %g..%g", shown, value,
                       row->min, row->max);
    *field = x == 0 ? 0 : x; /* -0 is 0 */
    return true;
}

static bool set_choice(int *field, const struct option *row, const char *shown,
                       const char *value, struct err *err)
{
    const char *at = row->value;

    for (int i = 0; *at != '\0'; i++) {
        size_t len = strcspn(at, "|");

        if (strlen(value) == len && memcmp(value, at, len) == 0) {
            *field = i;
            return true;
        }
        at += len + (at[len] == '|');
    }
    return err_set(err, ERR_USAGE, "%s: '%s' is none of %s", shown, value, row->value);
}

bool options_set(struct options *opt, const struct option *row, const char *shown,
                 const char *value, struct err *err)
{
    void *field = (char *)opt + row->field;

    switch (row->kind) {
    case OPTION_FLAG:
        *(int *)field = row->flag_value;
        return true;
    case OPTION_INTEGER:
        return set_integer(field, row, shown, value, err);
    case OPTION_SEED:
        return set_seed(field, shown, value, err);
    case OPTION_NUMBER:
        return set_number(field, row, shown, value, err);
    case OPTION_CHOICE:
        return set_choice(field, row, shown, value, err);
    case OPTION_TEXT:
        *(const char **)field = value;
        return true;
    case OPTION_TEXTS:
        list_add(field, value);
        return true;
    case OPTION_LATER:
        break;
    }
    return err_set(err, ERR_USAGE, "%s: not available in this version", shown);
}

/* ---- argv ---- */

/* Walks argv: which argument is a word, an option, an option's value. */
struct walk {
    struct options *opt; /* NULL: only look */
    unsigned groups;
    int argc;
    char **argv;
    int at; /* the argument being read */
    int skip;
    bool after_dashes;
};

static bool unknown(const struct walk *w, const char *shown, struct err *err)
{
    const char *name = w->opt->command->name;

    return err_set(err, ERR_USAGE, "%s: unknown option; see 'hadal %s%s--help'", shown,
                   name, *name == '\0' ? "" : " ");
}

/* The value of the option just met: `inline_value` if not NULL, else the next argument.
 */
static bool take_value(struct walk *w, const struct option *row, const char *shown,
                       const char *inline_value, struct err *err)
{
    const char *value = inline_value;

    if (value == NULL) {
        w->at++;
        if (w->at == w->skip)
            w->at++;
        if (w->at >= w->argc)
            return err_set(err, ERR_USAGE, "%s: needs a value (%s)", shown, row->value);
        value = w->argv[w->at];
    }
    return w->opt == NULL || options_set(w->opt, row, shown, value, err);
}

static bool read_long(struct walk *w, struct err *err)
{
    const char *arg = w->argv[w->at];
    size_t len = strcspn(arg + 2, "=");
    const char *inline_value = arg[2 + len] == '=' ? arg + 2 + len + 1 : NULL;
    const struct option *row = options_find(w->groups, arg + 2, len);
    char shown[64];

    if (row == NULL)
        return w->opt == NULL || unknown(w, arg, err);
    snprintf(shown, sizeof(shown), "--%s", row->name);
    if (takes_value(row))
        return take_value(w, row, shown, inline_value, err);
    if (inline_value != NULL)
        return w->opt == NULL || err_set(err, ERR_USAGE, "%s: takes no value", shown);
    return w->opt == NULL || options_set(w->opt, row, shown, NULL, err);
}

/* "-q", "-qv", "-n5", "-n 5". */
static bool read_short(struct walk *w, struct err *err)
{
    const char *letter = w->argv[w->at] + 1;

    for (; *letter != '\0'; letter++) {
        const struct option *row = find_letter(w->groups, *letter);
        char shown[3] = {'-', *letter, '\0'};

        if (row == NULL)
            return w->opt == NULL || unknown(w, w->argv[w->at], err);
        if (takes_value(row))
            return take_value(w, row, shown, letter[1] != '\0' ? letter + 1 : NULL,
                              err);
        if (w->opt != NULL && !options_set(w->opt, row, shown, NULL, err))
            return false;
    }
    return true;
}

/* Reads the argument at w->at; *is_word tells that it is neither an option nor "--". */
static bool walk_step(struct walk *w, bool *is_word, struct err *err)
{
    const char *arg = w->argv[w->at];

    *is_word = false;
    if (w->after_dashes || arg[0] != '-' || arg[1] == '\0')
        *is_word = true;
    else if (strcmp(arg, "--") == 0)
        w->after_dashes = true;
    else if (arg[1] == '-')
        return read_long(w, err);
    else
        return read_short(w, err);
    return true;
}

int options_find_word(unsigned groups, int argc, char **argv)
{
    struct walk w = {.groups = groups, .argc = argc, .argv = argv, .at = 1, .skip = -1};

    for (; w.at < argc; w.at++) {
        bool is_word;

        if (!walk_step(&w, &is_word, NULL) || w.after_dashes)
            return argc;
        if (is_word)
            return w.at;
    }
    return argc;
}

bool options_parse(struct options *opt, unsigned groups, int argc, char **argv,
                   int skip, struct err *err)
{
    struct walk w = {.opt = opt,
                     .groups = groups,
                     .argc = argc,
                     .argv = argv,
                     .at = 1,
                     .skip = skip};

    for (; w.at < argc; w.at++) {
        bool is_word;

        if (w.at == skip)
            continue;
        if (!walk_step(&w, &is_word, err))
            return false;
        if (!is_word)
            continue;
        list_add(&opt->words, argv[w.at]);
        if (!w.after_dashes)
            opt->n_words_before_dashes = opt->words.n;
    }
    return true;
}
