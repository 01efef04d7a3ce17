/* SPDX-License-Identifier: MIT
 *
 * The chat on the terminal: one loop over the keys, the reports of the inference
 * thread, the state of a download and the signals, with one draw at its end.
 */
#ifndef HADAL_APP_H
#define HADAL_APP_H

#include <stdbool.h>
#include <stddef.h>

#include "model/chat.h"
#include "model/engine.h"
#include "model/sampler.h"
#include "model/session.h"
#include "src/base/err.h"

enum app_colour { APP_COLOUR, APP_MONO };

/* Everything is borrowed until app_run returns. */
struct app_options {
    struct engine_options engine;
    struct session_options session;
    const char *model;  /* its name, for the status line and the history */
    bool go_on;         /* with the session of the newest message */
    const char *chat;   /* id or prefix of a session to go on with; NULL: a new one */
    bool no_history;    /* nothing is written; a session given is still read */
    const char *system; /* NULL: not given */
    const char *system_default; /* for new sessions; NULL: none */
    enum think_mode think;
    struct sampling sampling;
    bool has_seed;           /* else one is drawn for each answer */
    int max_tokens;          /* -1: until the context is full */
    const char *const *stop; /* stop texts */
    size_t n_stop;
    enum app_colour colour;
};

/* Runs until the user quits. ERR_SESSION, ERR_USAGE, ERR_DB for the session asked for;
 * ERR_MODEL, ERR_MEMORY, ERR_DEVICE of loading; ERR_FAILED where the terminal cannot do
 * it; ERR_CANCELLED with code 128 + n for an end by signal n. */
bool app_run(const struct app_options *opt, struct err *err) MUST_USE;

#endif
