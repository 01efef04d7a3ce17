/* SPDX-License-Identifier: MIT
 *
 * The state of the running chat, shared by app.c (the loop), app_turn.c (asking and
 * answers), app_model.c (which model), app_pull.c (a download) and app_command.c (what
 * is typed with a slash). Main thread only.
 */
#ifndef HADAL_APP_PRIV_H
#define HADAL_APP_PRIV_H

#include "src/app.h"
#include "src/catalog.h"
#include "src/conversation.h"
#include "src/puller.h"
#include "src/rate.h"
#include "src/worker.h"
#include "ui/ui.h"

/* A download, and what the panel shows of it. */
struct app_pull {
    struct puller *puller; /* NULL: none runs */
    char *name;            /* as it was asked for, owned; NULL: there is no panel */
    char *model;           /* what came, as the list of models has it, owned; or NULL */
    bool is_agreed;        /* to fetch */
    struct puller_state state;
    struct rate rate;
};

struct app {
    const struct app_options *opt;
    struct ui *ui;
    struct worker *worker;      /* NULL: it could not be started, and the end is near */
    struct catalog_model model; /* that answers, or is being loaded */
    struct catalog_model model_before; /* to come back to; name NULL: none */
    struct app_pull pull;
    struct history *history; /* NULL: it could not be opened */
    struct conversation *talk;

    struct ui_status status;
    char device[96];
    bool is_loaded;
    bool history_failed; /* and that was said */

    enum think_mode think;
    struct sampling sampling;
    bool has_seed;

    int64_t turn;  /* number of the running turn, or of the last */
    bool is_busy;  /* an answer is being made */
    bool has_text; /* of it, beyond thinking */
    double thinking_since;
    double saved_at; /* clock_seconds() of the last write of the answer */
    bool is_unsaved; /* the answer has grown since */
    char *question;  /* the running turn's, owned */

    char **queue; /* [n_queue] messages to send, owned */
    size_t n_queue, queue_cap;
    struct ui_intent later; /* what waits for the end of the running turn */
    bool has_later;

    double drawn_at;
    bool is_ending;
    struct err end; /* why, where it is not the user's wish */
};

/* app.c */
void app_show_error(struct app *app, const struct err *err);
void app_show_history_error(struct app *app, const struct err *err); /* once */
void app_show_title(struct app *app);
void app_show_welcome(struct app *app);
void app_do(struct app *app, struct ui_intent *intent); /* takes the intent's text */

/* app_turn.c */
void turn_submit(struct app *app, const char *text); /* now, or when it is its turn */
void turn_send_next(struct app *app);  /* from the queue, if the model is free */
void turn_drop_queue(struct app *app); /* its first message is a draft again */
void turn_stop(struct app *app);
void turn_take_report(struct app *app, struct report *r);
void turn_show_model(struct app *app, const char *model);
void turn_save(struct app *app); /* at most once a second */
void turn_show_past(struct app *app);

/* app_model.c */
bool model_start(struct app *app, struct err *err) MUST_USE;
void model_stop(struct app *app);
void model_list(struct app *app);
void model_use(struct app *app, const char *name);
void model_is_ready(struct app *app);
/* The model cannot be loaded: the one before comes back; false where there is none. */
bool model_give_back(struct app *app, const struct err *why);

/* app_pull.c */
void pull_begin(struct app *app, const char *name);
int pull_fd(const struct app *app); /* -1: no download */
void pull_take_state(struct app *app);
void pull_accept(struct app *app); /* what the panel asks */
void pull_decline(struct app *app);
void pull_stop(struct app *app); /* what has come is kept */
/* The program ends: stops it; true where a part of *name (owned) is left. */
bool pull_end(struct app *app, char **name);

/* app_command.c */
const struct ui_command *app_commands(size_t *n);
/* False where the text is no command but a message. */
bool app_command(struct app *app, const char *text);

#endif
