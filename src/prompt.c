/* SPDX-License-Identifier: MIT
 *
 * The user's message: see prompt.h.
 */
#include "config.h"

#include "src/prompt.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/tokens.h"
#include "src/base/file.h"
#include "src/base/termtext.h"
#include "src/base/utf8.h"

static bool is_stdin_word(const struct options *opt, size_t i)
{
    return i < opt->n_words_before_dashes && strcmp(opt->words.item[i], "-") == 0;
}

static bool has_stdin_word(const struct options *opt)
{
    for (size_t i = 0; i < opt->words.n; i++)
        if (is_stdin_word(opt, i))
            return true;
    return false;
}

bool prompt_wants_stdin(const struct options *opt)
{
    struct stat st;

    if (has_stdin_word(opt))
        return true;
    if (isatty(STDIN_FILENO))
        return false;
    if (opt->words.n == 0 && opt->files.n == 0)
        return true;
    return fstat(STDIN_FILENO, &st) == 0 &&
           (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Length without the newlines at the end. */
static size_t without_newlines(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    return len;
}

static bool add_words(const struct options *opt, const struct buf *input,
                      struct buf *out)
{
    bool ok = true;

    for (size_t i = 0; ok && i < opt->words.n; i++) {
        if (i > 0)
            ok = buf_add_char(out, ' ');
        if (is_stdin_word(opt, i))
            ok = ok && buf_add(out, buf_text(input),
                               without_newlines(buf_text(input), input->len));
        else
            ok = ok && buf_add_text(out, opt->words.item[i]);
    }
    return ok;
}

/* A blank line, where something stands before. */
static bool add_gap(struct buf *out)
{
    return out->len == 0 || buf_add_text(out, "\n\n");
}

/* One backtick more than the longest run in the text, three at least. */
static int fence_length(const struct buf *text)
{
    int longest = 2;
    int run = 0;

    for (size_t i = 0; i < text->len; i++) {
        run = text->data[i] == '`' ? run + 1 : 0;
        if (run > longest)
            longest = run;
    }
    return longest + 1;
}

static bool add_fence(struct buf *out, int length)
{
    bool ok = true;

    for (int i = 0; i < length; i++)
        ok = ok && buf_add_char(out, '`');
    return ok && buf_add_char(out, '\n');
}

static bool add_block(const char *name, const struct buf *text, struct buf *out)
{
    int fence = fence_length(text);
    bool ok = add_gap(out) && termtext_add_line(out, name, strlen(name)) &&
              buf_add_char(out, '\n') && add_fence(out, fence) &&
              buf_add(out, buf_text(text), text->len);

    if (text->len > 0 && text->data[text->len - 1] != '\n')
        ok = ok && buf_add_char(out, '\n');
    ok = ok && add_fence(out, fence);
    if (ok)
        out->data[--out->len] = '\0'; /* the newline behind the last fence */
    return ok;
}

static bool set_too_long(struct err *err)
{
    return err_set(err, ERR_CONTEXT,
                   "the prompt has more than %d bytes: no context "
                   "holds that",
                   PROMPT_MAX_BYTES);
}

static bool add_file(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    struct buf text;
    bool ok;

    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > PROMPT_MAX_BYTES)
        return set_too_long(err);
    buf_init(&text, PROMPT_MAX_BYTES);
    ok = file_read(path, ERR_IO, &text, err) &&
         (add_block(path, &text, out) || set_too_long(err));
    buf_release(&text);
    return ok;
}

static bool add_input(const struct options *opt, const struct buf *input,
                      struct buf *out)
{
    size_t len = without_newlines(buf_text(input), input->len);

    if (len == 0 || has_stdin_word(opt))
        return true;
    return add_gap(out) && buf_add(out, input->data, len);
}

bool prompt_compose(const struct options *opt, const struct buf *input, struct buf *out,
                    struct err *err)
{
    struct buf text;
    bool ok;

    buf_init(&text, PROMPT_MAX_BYTES);
    ok = add_words(opt, input, &text) || set_too_long(err);
    for (size_t i = 0; ok && i < opt->files.n; i++)
        ok = add_file(opt->files.item[i], &text, err);
    if (ok)
        ok = (add_input(opt, input, &text) &&
              utf8_repair(out, buf_text(&text), text.len)) ||
             set_too_long(err);
    buf_release(&text);
    return ok;
}

/* Skips what separates two ids: white space with one comma at most. */
static size_t skip_separator(const char *text, size_t len, size_t at, bool *comma)
{
    *comma = false;
    for (; at < len; at++) {
        if (text[at] == ',' && !*comma)
            *comma = true;
        else if (text[at] == '\0' || strchr(" \t\r\n", text[at]) == NULL)
            break;
    }
    return at;
}

bool prompt_parse_ids(const char *text, size_t len, const char *what,
                      struct tokens *out, struct err *err)
{
    bool comma;
    size_t at = skip_separator(text, len, 0, &comma);

    if (comma)
        return err_set(err, ERR_USAGE, "%s: a comma before the first token id", what);
    while (at < len || comma) {
        size_t first = at;
        int64_t id = 0;

        for (; at < len && text[at] >= '0' && text[at] <= '9'; at++)
            if (id <= INT32_MAX)
                id = id * 10 + (text[at] - '0');
        if (at == first)
            return err_set(err, ERR_USAGE, "%s: '%.20s' is no token id", what,
                           at < len ? text + at : ",");
        if (id > INT32_MAX)
            return err_set(err, ERR_USAGE, "%s: token id '%.20s' is out of range", what,
                           text + first);
        tokens_add(out, (int32_t)id);
        first = at;
        at = skip_separator(text, len, at, &comma);
        if (at < len && at == first)
            return err_set(err, ERR_USAGE, "%s: '%.20s' is no token id", what,
                           text + at);
    }
    return true;
}
