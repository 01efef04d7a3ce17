/* SPDX-License-Identifier: MIT
 *
 * hadal without a command: the chat on the terminal; without one, as `hadal run`.
 */
#include "config.h"

#include <unistd.h>

#include "src/app.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/model_open.h"
#include "src/output.h"

static struct app_options app_options_of(const struct options *opt,
                                         const struct catalog_model *model)
{
    return (struct app_options){
        .engine = model_engine_options(opt, model->path),
        .session = model_session_options(opt),
        .model = model->name,
        .go_on = opt->go_on,
        .chat = opt->session,
        .no_history = opt->no_history,
        .system = opt->system,
        .system_default = opt->system_default,
        .think = (enum think_mode)opt->think,
        .sampling = model_sampling(opt),
        .has_seed = opt->seed >= 0,
        .max_tokens = opt->max_tokens,
        .stop = opt->stop.item,
        .n_stop = opt->stop.n,
        .colour = output_wants_color(opt, STDOUT_FILENO) ? APP_COLOUR : APP_MONO,
    };
}

static bool chat(const struct options *opt, struct err *err)
{
    struct catalog_model model = {0};
    struct app_options app;
    bool ok;

    if (opt->json)
        return err_set(err, ERR_USAGE,
                       "--json: the chat on the terminal prints none; "
                       "see 'hadal run'");
    if (!catalog_resolve(opt, &model, err))
        return false;
    app = app_options_of(opt, &model);
    ok = app_run(&app, err);
    catalog_model_release(&model);
    return ok;
}

bool cmd_bare(const struct options *opt, struct err *err)
{
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return chat(opt, err);
    return cmd_run(opt, err);
}
