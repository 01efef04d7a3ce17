/* SPDX-License-Identifier: MIT
 *
 * Asking for a pull: see pull_request.h.
 */
#include "config.h"

#include "src/pull_request.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/command.h"

/* What a line in the chat takes, and what its messages call it. */
static const struct command in_chat = {
    .name = "pull", .options = OPTIONS_PULL, .min_words = 1, .max_words = 1};

static const char blanks[] = " \t\n";

/* "500k", "10M", "1G", "123456"; as curl's --limit-rate. */
static bool read_rate(const char *text, int64_t *rate, struct err *err)
{
    char *end;
    double value = strtod(text, &end);
    static const char units[] = "kmg";
    const char *unit = *end == '\0' ? NULL : strchr(units, *end | 0x20);

    if (unit != NULL) {
        for (const char *u = units; u <= unit; u++)
            value *= 1024;
        end++;
    }
    if (end == text || *end != '\0' || !(value >= 1 && value <= 1e15))
        return err_set(
            err, ERR_USAGE,
            "--limit-rate: '%s' is no rate; it is bytes a second, as 500k or "
            "10M",
            text);
    *rate = (int64_t)value;
    return true;
}

bool pull_request_of(const struct options *opt, struct pull_options *out,
                     struct err *err)
{
    *out = (struct pull_options){
        .name = opt->words.item[0],
        .revision = opt->revision,
        .include = opt->include,
        .dry_run = opt->dry_run != 0,
        .allow_http = opt->insecure_http != 0,
    };
    return opt->limit_rate == NULL || read_rate(opt->limit_rate, &out->rate, err);
}

/* Ends the word that begins at `from`, in place, without its quotes; returns what
 * follows it. */
static char *end_word(char *from)
{
    char *to = from;
    char quote = '\0';

    for (; *from != '\0' && (quote != '\0' || strchr(blanks, *from) == NULL); from++) {
        if (quote != '\0' ? *from == quote : *from == '"' || *from == '\'')
            quote = quote == '\0' ? *from : '\0';
        else
            *to++ = *from;
    }
    if (*from != '\0')
        from++;
    *to = '\0';
    return from;
}

bool pull_request_read(struct pull_request *r, const char *line, struct err *err)
{
    char **word = mem_array(strlen(line) / 2 + 2, sizeof(*word));
    int n = 1; /* the first is the program's name, which is not looked at */
    char *at;
    bool ok;

    r->text = at = mem_dup(line);
    word[0] = at;
    for (at += strspn(at, blanks); *at != '\0'; at += strspn(at, blanks)) {
        word[n++] = at;
        at = end_word(at);
    }
    options_init(&r->opt);
    r->opt.command = &in_chat;
    ok = options_parse(&r->opt, in_chat.options, n, word, -1, err);
    if (ok && r->opt.words.n != 1)
        ok = err_set(err, ERR_USAGE, "/pull: takes one name, not %zu", r->opt.words.n);
    ok = ok && pull_request_of(&r->opt, &r->pull, err);
    free(word);
    if (!ok)
        pull_request_release(r);
    return ok;
}

void pull_request_release(struct pull_request *r)
{
    if (r->text == NULL)
        return;
    options_release(&r->opt);
    free(r->text);
    memset(r, 0, sizeof(*r));
}
