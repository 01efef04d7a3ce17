/* SPDX-License-Identifier: MIT
 *
 * The chat with fake_worker.c in the place of the model: everything else is the real
 * program. Options: --continue, --session ID, --no-history, --mono, --builtin.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/app.h"
#include "src/output.h"

static void set_built_in(struct app_options *opt)
{
    const char *path = getenv("HADAL_MINI");

    opt->model = "hadal-mini";
    if (path != NULL)
        opt->engine.path = path;
}

int main(int argc, char **argv)
{
    struct app_options opt = {
        .model = "fake-model",
        .engine = {.path = "fake.gguf"},
        .max_tokens = -1,
        .sampling = {.temperature = 0},
    };
    struct err err = {.kind = ERR_NONE};

    output_prepare();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--continue") == 0)
            opt.go_on = true;
        else if (strcmp(argv[i], "--session") == 0 && i + 1 < argc)
            opt.chat = argv[++i];
        else if (strcmp(argv[i], "--no-history") == 0)
            opt.no_history = true;
        else if (strcmp(argv[i], "--mono") == 0)
            opt.colour = APP_MONO;
        else if (strcmp(argv[i], "--builtin") == 0)
            set_built_in(&opt);
        else
            return 2;
    }
    if (app_run(&opt, &err))
        return 0;
    if (err.kind == ERR_CANCELLED)
        return err.code;
    fprintf(stderr, "fake_chat: %s\n", err.text);
    return err.kind == ERR_MODEL || err.kind == ERR_SESSION ? 3 : 1;
}
