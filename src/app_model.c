/* SPDX-License-Identifier: MIT
 *
 * Which model answers: starting it, the list of those that are here, and going on with
 * another one. See app.h.
 *
 * One model is in memory at a time. Where a new one cannot be loaded the one before
 * comes back.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/app_priv.h"
#include "src/base/mem.h"
#include "src/hub.h"
#include "src/human.h"
#include "src/interrupt.h"

enum { NOTICE_S = 8 };

bool model_start(struct app *app, struct err *err)
{
    struct engine_options engine = app->opt->engine;

    engine.path = app->model.path;
    /* The format given is for the model given. */
    if (strcmp(app->model.path, app->opt->engine.path) != 0)
        engine.chat_format = NULL;
    interrupt_guard_model(engine.path, ui_restore_terminal);
    app->worker = worker_start(&engine, &app->opt->session, err);
    return app->worker != NULL;
}

void model_stop(struct app *app)
{
    if (app->is_busy || !app->is_loaded)
        worker_abandon(app->worker); /* a step, or loading, that takes its time */
    else
        worker_stop(app->worker);
    app->worker = NULL;
    app->is_loaded = false;
}

/* ---- the list ---- */

/* What the file takes on the disk, in words; of parts of a set and of folders the file
 * says nothing. */
static char *size_of(const struct catalog_model *model)
{
    struct stat st;
    char size[32];

    if (hub_is_part(model->path) || stat(model->path, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    human_bytes((size_t)st.st_size, size);
    return mem_dup(size);
}

void model_list(struct app *app)
{
    struct catalog_list list;
    struct ui_model *row;
    char **size;

    catalog_list_all(&list);
    row = mem_array(list.n + 1, sizeof(*row));
    size = mem_array(list.n + 1, sizeof(*size));
    for (size_t i = 0; i < list.n; i++) {
        size[i] = size_of(&list.model[i]);
        row[i] = (struct ui_model){
            .name = list.model[i].name,
            .note = size[i],
            .is_current = strcmp(list.model[i].path, app->model.path) == 0,
        };
    }
    ui_set_models(app->ui, row, list.n);
    for (size_t i = 0; i < list.n; i++)
        free(size[i]);
    free(size);
    free(row);
    catalog_list_release(&list);
}

/* ---- going on with another one ---- */

/* Lets app->model answer from now on. */
static void change(struct app *app)
{
    bool is_new = transcript_is_empty(ui_transcript(app->ui));
    struct err err;

    model_stop(app);
    conversation_set_model(app->talk, app->model.name);
    app->status = (struct ui_status){.state = UI_LOADING, .ctx_used = is_new ? 0 : -1};
    turn_show_model(app, app->model.name);
    app_show_welcome(app);
    if (!model_start(app, &err)) {
        app->end = err;
        app->is_ending = true;
    }
}

static void show_missing(struct app *app, const char *name, const struct err *why)
{
    struct err err = *why;

    if (hub_is_name(name))
        err_set(&err, ERR_MODEL, "'%s' is not on this machine; /pull %s fetches it",
                name, name);
    else
        err_wrap(&err, "/model");
    app_show_error(app, &err);
}

void model_use(struct app *app, const char *name)
{
    struct catalog_model model;
    struct err err;

    if (!catalog_find(name, &model, &err)) {
        catalog_model_release(&model);
        show_missing(app, name, &err);
        return;
    }
    if (strcmp(model.path, app->model.path) == 0) {
        catalog_model_release(&model);
        ui_notice(app->ui, UI_NOTICE, NOTICE_S, "that is the model that answers now");
        return;
    }
    if (app->is_loaded) { /* else nobody knows whether it would come back */
        catalog_model_release(&app->model_before);
        app->model_before = app->model;
    } else {
        catalog_model_release(&app->model);
    }
    app->model = model;
    change(app);
}

void model_is_ready(struct app *app)
{
    char line[320];

    if (app->model_before.name == NULL)
        return;
    catalog_model_release(&app->model_before);
    snprintf(line, sizeof(line), "from the next message on %.200s answers",
             app->model.name);
    ui_notice(app->ui, UI_NOTICE, NOTICE_S, line);
}

bool model_give_back(struct app *app, const struct err *why)
{
    struct err err = *why;

    if (app->model_before.name == NULL)
        return false;
    catalog_model_release(&app->model);
    app->model = app->model_before;
    app->model_before = (struct catalog_model){0};
    change(app);
    err_wrap(&err, "%s answers on", app->status.model);
    app_show_error(app, &err);
    return true;
}
