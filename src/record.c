/* SPDX-License-Identifier: MIT
 *
 * Recording: see record.h.
 */
#include "config.h"

#include "src/record.h"

#include <stdlib.h>
#include <string.h>

#include "history/history.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/conversation.h"
#include "src/output.h"

struct record {
    char *path;              /* of the history; NULL: no home */
    struct history *history; /* for writing; NULL: nothing is written */
    struct conversation *talk;
    bool may_write; /* false with --no-history, and after a failure */
    bool has_begun;
    bool is_new; /* the session is not one that was there */
    double saved_at;
};

static bool load_session(struct record *r, const struct options *opt, struct err *err)
{
    char id[HISTORY_ID_CAP];
    struct history *h = history_open(r->path, HISTORY_READ, err);
    bool ok;

    if (h == NULL)
        return false;
    ok = opt->session != NULL ? history_resolve(h, opt->session, id, err)
                              : history_newest_session(h, id, err);
    ok = ok && conversation_load(r->talk, h, id, err);
    history_close(h);
    return ok;
}

struct record *record_open(const struct options *opt, const char *model,
                           struct err *err)
{
    struct record *r = mem_zalloc(sizeof(*r));
    const char *system = opt->system;

    r->may_write = !opt->no_history;
    r->is_new = !opt->go_on && opt->session == NULL;
    r->talk = conversation_open();
    conversation_set_model(r->talk, model);
    r->path = path_history_db(r->is_new ? NULL : err);
    if (!r->is_new && (r->path == NULL || !load_session(r, opt, err)))
        goto fail;
    if (system == NULL && r->is_new)
        system = opt->system_default;
    if (system != NULL && !conversation_set_system(r->talk, system, err))
        goto fail;
    return r;
fail:
    record_close(r);
    return NULL;
}

void record_close(struct record *r)
{
    if (r == NULL)
        return;
    conversation_close(r->talk);
    history_close(r->history);
    free(r->path);
    free(r);
}

void record_ask(struct record *r, const char *text, size_t len)
{
    /* Only memory, and memory does not fail. */
    (void)!conversation_add_user(r->talk, text, len, NULL, NULL);
}

const struct message *record_messages(struct record *r, size_t *n)
{
    return conversation_messages(r->talk, n);
}

const char *record_session(const struct record *r)
{
    const char *id = conversation_id(r->talk);

    return *id == '\0' || (r->is_new && !r->may_write) ? NULL : id;
}

/* The first failure is told and ends the writing; an answer is worth more. */
static void give_up(struct record *r, const struct err *err)
{
    output_note("warning: the history is not written: %s", err->text);
    (void)!conversation_keep(r->talk, NULL, NULL);
    r->may_write = false;
}

static bool begin(struct record *r, struct err *err)
{
    if (r->path == NULL)
        return err_set(err, ERR_DB, "HOME is not set");
    r->history = history_open(r->path, HISTORY_WRITE, err);
    return r->history != NULL && conversation_keep(r->talk, r->history, err);
}

void record_begin(struct record *r)
{
    struct err err;

    if (r->may_write && !begin(r, &err))
        give_up(r, &err);
    r->has_begun = true;
    r->saved_at = clock_seconds();
    if (!conversation_begin_answer(r->talk, NULL, &err))
        give_up(r, &err);
}

void record_grow(struct record *r, const struct report *part)
{
    double now = clock_seconds();
    struct err err;

    conversation_grow_answer(r->talk, part->kind, part->text, part->len);
    if (now - r->saved_at < 1)
        return;
    r->saved_at = now;
    if (r->may_write && !conversation_save_answer(r->talk, &err))
        give_up(r, &err);
}

void record_finish(struct record *r, const struct report *done)
{
    struct err err;

    if (r->has_begun && r->may_write &&
        !conversation_finish_answer(r->talk, done, &err))
        give_up(r, &err);
}
