/* SPDX-License-Identifier: MIT
 *
 * Help: see help.h.
 */
#include "config.h"

#include "src/help.h"

#include <stdio.h>
#include <string.h>

#include "src/base/buf.h"
#include "src/output.h"

enum {
    HELP_MAX_BYTES = 1 << 16,
    COLUMN = 28, /* where explanations begin */
};

/* "  left", then `right` at the column, on the next line where left is too long. */
static void add_row(struct buf *out, const char *left, const char *right)
{
    if (strlen(left) + 4 > COLUMN)
        buf_addf(out, "  %s\n%*s%s\n", left, COLUMN, "", right);
    else
        buf_addf(out, "  %-*s%s\n", COLUMN - 2, left, right);
}

static void add_option(struct buf *out, const struct option *row)
{
    char left[96];
    char letter[8] = "    ";

    if (row->letter != 0)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name,
             row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
    add_row(out, left, row->help);
}

/* Whether an earlier row of the same name hides this one from the command. */
static bool is_hidden(const struct option *row, unsigned groups)
{
    return row->kind == OPTION_LATER ||
           options_find(groups, row->name, strlen(row->name)) != row;
}

/* The options of `groups` that are not in `but`, under a title. */
static void add_options(struct buf *out, const char *title,
                        const struct command *command, unsigned groups, unsigned but)
{
    size_t n;
    const struct option *row = options_table(&n);
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        if ((row[i].groups & groups) == 0 || (row[i].groups & but) != 0 ||
            is_hidden(&row[i], command->options))
            continue;
        if (!any)
            buf_addf(out, "\n%s:\n", title);
        any = true;
        add_option(out, &row[i]);
    }
}

static void add_commands(struct buf *out)
{
    size_t n;
    const struct command *command = command_table(&n);

    buf_add_text(out, "\nCommands:\n");
    for (size_t i = 0; i < n; i++) {
        char left[96];

        snprintf(left, sizeof(left), "%s %s", command[i].name, command[i].arguments);
        add_row(out, left, command[i].summary);
    }
    buf_add_text(out, "\n'hadal help COMMAND' tells more about one of them.\n");
}

bool help_print(const struct command *command, struct err *err)
{
    const unsigned common = OPTIONS_COMMON | OPTIONS_HELP | OPTIONS_VERSION;
    const char *space = *command->name == '\0' ? "" : " ";
    struct buf out;
    bool ok;

    buf_init(&out, HELP_MAX_BYTES);
    buf_addf(&out, "usage: hadal%s%s [OPTIONS]%s%s\n\n%s\n", space, command->name,
             *command->arguments == '\0' ? "" : " ", command->arguments,
             command->summary);
    if (command->about != NULL)
        buf_addf(&out, "\n%s\n", command->about);
    if (command == command_bare())
        add_commands(&out);
    add_options(&out, "Options", command, command->options & ~common, common);
    add_options(&out, "Common options", command, command->options & common, 0);
    ok = output_write(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}
