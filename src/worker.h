/* SPDX-License-Identifier: MIT
 *
 * The inference thread, seen from the main thread: asks go in, reports come out.
 *
 * Two one-way mailboxes; no call goes back up. worker_fd() is readable while reports
 * wait. Text reports merge while unread, so that a fast model cannot flood a slow
 * terminal. `turn` lets the main thread drop what a cancelled turn still sends.
 */
#ifndef HADAL_WORKER_H
#define HADAL_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/engine.h"
#include "model/sampler.h"
#include "model/session.h"
#include "model/tokens.h"
#include "src/base/err.h"
#include "src/base/message.h"
#include "src/turn.h"

enum report_kind {
    REPORT_READY,    /* the model is loaded: info, load_s */
    REPORT_START,    /* the prompt is known: prompt_tokens */
    REPORT_PREFILL,  /* done, total */
    REPORT_THINKING, /* text */
    REPORT_TEXT,     /* text */
    REPORT_DONE,     /* everything below */
    REPORT_FAILED,   /* err; of loading (turn 0), or of a turn: then as DONE too */
};

/* One report. The receiver frees with report_release. */
struct report {
    enum report_kind kind;
    int64_t turn;
    char *text; /* whole UTF-8 characters */
    size_t len;
    int done, total; /* prefill progress; cached tokens count as done */
    enum stop_reason stop_reason;
    int prompt_tokens, cached_tokens, completion_tokens;
    double load_s, prefill_s, decode_s;
    int ctx_used, ctx_size;   /* used: so far (TEXT, THINKING, DONE) */
    float tokens_per_s;       /* of decoding so far (TEXT, THINKING, DONE) */
    struct tokens ids;        /* sampled ids (DONE), without the end-of-turn token */
    struct sampling sampling; /* in force (DONE, FAILED) */
    const struct engine_info *info; /* READY: valid until worker_stop */
    struct err err;
};
void report_release(struct report *r);

struct worker;

/* Starts the thread, which loads the model and then reports READY or FAILED. */
struct worker *worker_start(const struct engine_options *engine,
                            const struct session_options *session,
                            struct err *err) MUST_USE;
int worker_fd(const struct worker *w);
/* Copies ask and queues it; asks are answered in order, by DONE or FAILED. */
void worker_ask(struct worker *w, const struct ask *ask);
bool worker_take_report(struct worker *w, struct report *out); /* false: none waits */
/* Stops the running turn (and those queued): it reports DONE with this reason. */
void worker_cancel(struct worker *w, enum stop_reason reason);
void worker_stop(struct worker *w); /* cancels, joins, frees; accepts NULL */
/* As worker_stop, but waits for nothing: the thread frees everything as soon as it
 * notices, or the program ends first. For a load or a step that takes too long. */
void worker_abandon(struct worker *w);

#endif
