/* SPDX-License-Identifier: MIT
 *
 * The configuration file: see config_file.h.
 *
 * The text is kept in the options and cut up in place, so that its values live as long
 * as they do. A value is the rest of its line without white space around it; between
 * double quotes, \n, \t, \" and \\ mean what they do in C.
 */
#include "config.h"

#include "src/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/path.h"
#include "src/base/utf8.h"

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t\r");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

/* Takes the quotes off, in place. False where they do not pair. */
static bool unquote(char *value)
{
    static const char from[] = "nt\"\\";
    static const char to[] = "\n\t\"\\";
    char *out = value;
    const char *in = value + 1;

    if (*value != '"')
        return true;
    for (; *in != '"'; in++) {
        const char *escape = *in == '\\' && in[1] != '\0' ? strchr(from, in[1]) : NULL;

        if (*in == '\0' || (*in == '\\' && escape == NULL))
            return false;
        *out++ = escape != NULL ? to[escape - from] : *in;
        in += escape != NULL;
    }
    *out = '\0';
    return in[1] == '\0';
}

static bool is_yes(const char *value)
{
    return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0 ||
           strcmp(value, "on") == 0 || strcmp(value, "1") == 0;
}

static bool is_no(const char *value)
{
    return strcmp(value, "no") == 0 || strcmp(value, "false") == 0 ||
           strcmp(value, "off") == 0 || strcmp(value, "0") == 0;
}

/* A flag is switched on by yes; by no its opposite "no-KEY" is, where there is one. */
static bool set_flag(struct options *opt, const struct option *row, const char *shown,
                     const char *value, struct err *err)
{
    char opposite[64];

    if (!is_yes(value) && !is_no(value))
        return err_set(err, ERR_USAGE, "%s: '%s' is neither yes nor no", shown, value);
    if (is_no(value)) {
        int len = snprintf(opposite, sizeof(opposite), "no-%s", row->name);

        row = options_find(OPTIONS_CHAT, opposite, (size_t)len);
    }
    return row == NULL || options_set(opt, row, shown, NULL, err);
}

static bool read_line(struct options *opt, char *line, const char *where,
                      struct err *err)
{
    char *equals = strchr(line, '=');
    const struct option *row;
    char *key;
    char *value;
    char shown[640];

    key = trim(line);
    if (*key == '\0' || *key == '#')
        return true;
    if (equals == NULL)
        return err_set(err, ERR_USAGE, "%s: expected 'key = value'", where);
    *equals = '\0';
    key = trim(key);
    value = trim(equals + 1);
    row = options_find(OPTIONS_CONFIG, key, strlen(key));
    if (row == NULL)
        return err_set(err, ERR_USAGE, "%s: unknown key '%s'", where, key);
    snprintf(shown, sizeof(shown), "%s: %s", where, row->name);
    if (!unquote(value))
        return err_set(err, ERR_USAGE, "%s: quotes that do not match", shown);
    if (row->kind == OPTION_FLAG)
        return set_flag(opt, row, shown, value, err);
    return options_set(opt, row, shown, value, err);
}

/* Takes config_text of opt line by line. name: for messages. */
static bool parse(struct options *opt, const char *name, struct err *err)
{
    char *line = opt->config_text.data;
    size_t left = opt->config_text.len;
    char where[512];

    for (int number = 1; left > 0; number++) {
        char *end = memchr(line, '\n', left);
        size_t len = end == NULL ? left : (size_t)(end - line);

        snprintf(where, sizeof(where), "%s:%d", name, number);
        line[len] = '\0';
        if (strlen(line) != len || !utf8_is_valid(line, len))
            return err_set(err, ERR_USAGE, "%s: not UTF-8 text", where);
        if (!read_line(opt, line, where, err))
            return false;
        line += len + (end != NULL);
        left -= len + (end != NULL);
    }
    return true;
}

bool config_file_load(struct options *opt, struct err *err)
{
    char *path = path_config_file(NULL);
    bool ok;

    if (path == NULL) /* no home: no configuration */
        return true;
    ok = file_read(path, ERR_IO, &opt->config_text, err);
    if (ok)
        ok = parse(opt, path, err);
    else if (err->code == ENOENT || err->code == ENOTDIR)
        ok = true;
    free(path);
    return ok;
}
