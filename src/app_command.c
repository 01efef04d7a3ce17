/* SPDX-License-Identifier: MIT
 *
 * Commands that are typed into the chat: one table, from which the help screen and the
 * completion are made too.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/app_priv.h"
#include "src/base/mem.h"

enum { MAX_NAME = 32 };

static void say(struct app *app, enum ui_notice_kind kind, const char *text)
{
    ui_notice(app->ui, kind, kind == UI_NOTICE ? 5 : 0, text);
}

static void intend(struct app *app, enum ui_intent_kind kind)
{
    struct ui_intent intent = {.kind = kind};

    app_do(app, &intent);
}

static void run_new(struct app *app, const char *argument)
{
    (void)argument;
    intend(app, UI_NEW_SESSION);
}

static void run_quit(struct app *app, const char *argument)
{
    (void)argument;
    intend(app, UI_QUIT);
}

static void run_help(struct app *app, const char *argument)
{
    (void)argument;
    ui_go(app->ui, UI_PLACE_HELP, NULL);
}

static void run_sessions(struct app *app, const char *argument)
{
    ui_go(app->ui, UI_PLACE_SESSIONS, argument);
}

static void run_search(struct app *app, const char *argument)
{
    ui_go(app->ui, UI_PLACE_SEARCH, argument);
}

static void run_system(struct app *app, const char *argument)
{
    struct err err;
    char line[512];

    if (*argument == '\0') {
        const char *system = conversation_system(app->talk);

        snprintf(line, sizeof(line),
                 *system == '\0' ? "no system prompt%s" : "system prompt: %.400s",
                 system);
        say(app, UI_NOTICE, line);
        return;
    }
    if (!conversation_set_system(app->talk,
                                 strcmp(argument, "none") == 0 ? "" : argument, &err))
        app_show_history_error(app, &err);
    say(app, UI_NOTICE, "the system prompt is changed from the next message on");
}

static void run_title(struct app *app, const char *argument)
{
    const char *id = conversation_id(app->talk);
    struct err err;

    if (*argument == '\0' || *id == '\0' || app->history == NULL) {
        say(app, UI_ERROR,
            *argument == '\0'
                ? "/title needs a title"
                : "this session is not in the history yet: say something");
        return;
    }
    if (!history_set_title(app->history, id, argument, &err))
        app_show_error(app, &err);
    else
        app_show_title(app);
}

static void run_copy(struct app *app, const char *argument)
{
    size_t n;
    const struct message *msg = conversation_messages(app->talk, &n);

    (void)argument;
    while (n > 0 && msg[n - 1].role != ROLE_ASSISTANT)
        n--;
    if (n == 0)
        say(app, UI_ERROR, "there is no answer to copy");
    else if (!ui_copy(app->ui, msg[n - 1].text, msg[n - 1].len))
        say(app, UI_ERROR, "the answer is too long for the terminal's clipboard");
    else
        say(app, UI_NOTICE, "copied, if the terminal allows it");
}

static void run_think(struct app *app, const char *argument)
{
    if (strcmp(argument, "on") == 0)
        app->think = THINK_ON;
    else if (strcmp(argument, "off") == 0)
        app->think = THINK_OFF;
    else if (strcmp(argument, "default") == 0)
        app->think = THINK_DEFAULT;
    else {
        say(app, UI_ERROR, "/think takes on, off or default");
        return;
    }
    say(app, UI_NOTICE, "from the next message on, where the model knows how");
}

static void run_temp(struct app *app, const char *argument)
{
    char *end;
    float value = strtof(argument, &end);

    if (end == argument || *end != '\0' || !isfinite(value) || value < 0 ||
        value > 100) {
        say(app, UI_ERROR, "/temp takes a number from 0 (greedy) to 100");
        return;
    }
    app->sampling.temperature = value;
    say(app, UI_NOTICE, "from the next message on");
}

static void run_seed(struct app *app, const char *argument)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(argument, &end, 10);
    if (strcmp(argument, "none") == 0) {
        app->has_seed = false;
    } else if (end == argument || *end != '\0' || errno != 0 || value < 0) {
        say(app, UI_ERROR, "/seed takes a number, or none: a new one for each answer");
        return;
    } else {
        app->sampling.seed = (uint64_t)value;
        app->has_seed = true;
    }
    say(app, UI_NOTICE, "from the next message on");
}

static void run_pull(struct app *app, const char *argument)
{
    if (strcmp(argument, "cancel") == 0)
        pull_stop(app);
    else if (*argument != '\0')
        pull_begin(app, argument);
    else if (app->pull.name != NULL && app->pull.puller == NULL)
        pull_accept(app);
    else
        say(app, UI_ERROR,
            "/pull takes a name: org/repo, org/repo:QUANT or org/repo/file.gguf");
}

static void run_model(struct app *app, const char *argument)
{
    struct ui_intent intent = {.kind = UI_USE_MODEL};

    if (*argument == '\0') {
        ui_go(app->ui, UI_PLACE_MODELS, NULL);
        return;
    }
    intent.text = mem_dup(argument);
    app_do(app, &intent);
}

// clang-format off
#define COMMANDS(ROW)                                                                  \
    ROW("/new", "", "begin a new session", run_new)                                    \
    ROW("/sessions", "[FILTER]", "list of sessions", run_sessions)                     \
    ROW("/search", "WORDS", "search all messages", run_search)                         \
    ROW("/title", "TEXT", "name this session", run_title)                              \
    ROW("/model", "[NAME]", "list of models, or go on with this one", run_model)       \
    ROW("/pull", "NAME|cancel", "download a model, or stop it", run_pull)              \
    ROW("/copy", "", "the last answer into the clipboard, as Markdown", run_copy)  \
    ROW("/system", "[TEXT|none]", "show or change the system prompt", run_system)      \
    ROW("/think", "on|off|default", "let the model think first", run_think)            \
    ROW("/temp", "T", "sampling temperature; 0 is greedy", run_temp)                   \
    ROW("/seed", "N|none", "seed of the sampling", run_seed)                           \
    ROW("/help", "", "keys and commands", run_help)                                    \
    ROW("/quit", "", "leave", run_quit)
// clang-format on

#define SHOWN_ROW(name, argument, help, run) {name, argument, help},
static const struct ui_command commands[] = {COMMANDS(SHOWN_ROW)};
#undef SHOWN_ROW

#define RUN_ROW(name, argument, help, run) run,
static void (*const runs[])(struct app *app,
                            const char *argument) = {COMMANDS(RUN_ROW)};
#undef RUN_ROW

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

const struct ui_command *app_commands(size_t *n)
{
    *n = N_COMMANDS;
    return commands;
}

/* Edits (a letter put in, left out or changed) from a to b. */
static int distance(const char *a, const char *b)
{
    int row[MAX_NAME + 1];
    int n = (int)strlen(b);

    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[n];
}

static void suggest(struct app *app, const char *name)
{
    char line[160];
    size_t best = 0;
    int least = 1000;

    for (size_t i = 0; i < N_COMMANDS && strlen(name) < MAX_NAME; i++) {
        int d = distance(name, commands[i].name);

        if (d < least) {
            least = d;
            best = i;
        }
    }
    if (least <= 3)
        snprintf(
            line, sizeof(line),
            "unknown command '%.40s'; did you mean %s? (a space before it sends it)",
            name, commands[best].name);
    else
        snprintf(
            line, sizeof(line),
            "unknown command '%.40s'; /help lists them (a space before it sends it)",
            name);
    say(app, UI_ERROR, line);
}

/* Without blanks at its ends; free(). */
static char *trimmed(const char *text)
{
    size_t len;

    text += strspn(text, " \n");
    len = strlen(text);
    while (len > 0 && strchr(" \n", text[len - 1]) != NULL)
        len--;
    return mem_dup_n(text, len);
}

static bool run(struct app *app, const char *name, const char *argument)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            runs[i](app, argument);
            return true;
        }
    }
    return false;
}

bool app_command(struct app *app, const char *text)
{
    size_t len = strcspn(text, " \n");
    char *argument;
    char *name;

    /* "//", a path and the beginning of a comment in C are no commands. */
    if (text[0] != '/' || !islower((unsigned char)text[1]) ||
        memchr(text + 1, '/', len - 1) != NULL)
        return false;
    name = mem_dup_n(text, len);
    argument = trimmed(text + len);
    if (!run(app, name, argument)) {
        suggest(app, name);
        ui_set_draft(app->ui, text);
    }
    free(argument);
    free(name);
    return true;
}
