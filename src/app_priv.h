/* SPDX-License-Identifier: MIT
 *
 * The state of the running chat, shared by app.c (the loop), app_turn.c (asking and
 * answers) and app_command.c (what is typed with a slash). Main thread only.
 */
#ifndef HADAL_APP_PRIV_H
#define HADAL_APP_PRIV_H

#include "src/app.h"
#include "src/conversation.h"
#include "src/worker.h"
#include "ui/ui.h"

struct app {
    const struct app_options *opt;
    struct ui *ui;
    struct worker *worker;
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

/* app_command.c */
const struct ui_command *app_commands(size_t *n);
/* False where the text is no command but a message. */
bool app_command(struct app *app, const char *text);

#endif
