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
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/output.h"

struct record {
    bool may_write; /* false with --no-history, and after a failure */
    char *path;
    struct history *history; /* for writing; NULL until record_begin */
    char id[HISTORY_ID_CAP]; /* "": none yet */
    struct history_messages past;
    const char *system; /* in force; NULL: none */
    size_t system_len;
    bool is_new_system; /* not yet in the session */
    struct message *msg;
    size_t n_msg, cap_msg;
    char **joined; /* texts of messages that were made one; owned */
    size_t n_joined, cap_joined;
    int64_t answer_id; /* 0: none begun */
    double extended_at;
};

/* ---- reading ---- */

static bool find_session(struct record *r, const struct options *opt, struct err *err)
{
    struct history *h = history_open(r->path, HISTORY_READ, err);
    bool ok;

    if (h == NULL)
        return false;
    ok = opt->session != NULL ? history_resolve(h, opt->session, r->id, err)
                              : history_newest_session(h, r->id, err);
    ok = ok && history_list_messages(h, r->id, &r->past, err);
    history_close(h);
    return ok;
}

/* The last system prompt of the session counts, unless a new one is given. */
static void find_system(struct record *r, const struct options *opt)
{
    const char *given = opt->system;

    for (size_t i = 0; i < r->past.n; i++)
        if (r->past.row[i].role == ROLE_SYSTEM) {
            r->system = r->past.row[i].text;
            r->system_len = r->past.row[i].len;
        }
    if (given == NULL && r->id[0] == '\0')
        given = opt->system_default;
    if (given == NULL || (strlen(given) == r->system_len &&
                          memcmp(given, r->system, r->system_len) == 0))
        return;
    r->system = given;
    r->system_len = strlen(given);
    r->is_new_system = true;
}

struct record *record_open(const struct options *opt, struct err *err)
{
    struct record *r = mem_zalloc(sizeof(*r));
    struct err why;

    r->system = "";
    r->may_write = !opt->no_history;
    r->path = path_history_db(&why);
    if (r->path == NULL && (opt->go_on || opt->session != NULL)) {
        *err = why;
        goto fail;
    }
    if ((opt->go_on || opt->session != NULL) && !find_session(r, opt, err))
        goto fail;
    find_system(r, opt);
    return r;
fail:
    record_close(r);
    return NULL;
}

void record_close(struct record *r)
{
    if (r == NULL)
        return;
    history_close(r->history);
    history_messages_release(&r->past);
    for (size_t i = 0; i < r->n_joined; i++)
        free(r->joined[i]);
    free(r->joined);
    free(r->msg);
    free(r->path);
    free(r);
}

static void add_message(struct record *r, const struct message *msg)
{
    r->msg = mem_grow(r->msg, &r->cap_msg, r->n_msg + 1, sizeof(*r->msg));
    r->msg[r->n_msg++] = *msg;
}

/* Questions that got no answer go to the model as one, with the next one. */
static void add_question(struct record *r, const char *text, size_t len)
{
    struct message *last = r->n_msg == 0 ? NULL : &r->msg[r->n_msg - 1];
    struct buf both;

    if (last == NULL || last->role != ROLE_USER) {
        add_message(r, &(struct message){.role = ROLE_USER, .text = text, .len = len});
        return;
    }
    buf_init(&both, (size_t)-2);
    buf_add(&both, last->text, last->len);
    buf_add_text(&both, "\n\n");
    buf_add(&both, text, len);
    r->joined =
        mem_grow(r->joined, &r->cap_joined, r->n_joined + 1, sizeof(*r->joined));
    last->text = r->joined[r->n_joined++] = buf_take(&both, &last->len);
}

static void add_past(struct record *r, const struct history_message *row)
{
    if (row->role == ROLE_USER)
        add_question(r, row->text, row->len);
    else if (row->role == ROLE_ASSISTANT && row->len > 0)
        add_message(r, &(struct message){.role = ROLE_ASSISTANT,
                                         .text = row->text,
                                         .len = row->len,
                                         .thinking = row->thinking,
                                         .thinking_len = row->thinking_len});
}

const struct message *record_messages(struct record *r, const char *text, size_t len,
                                      size_t *n)
{
    r->n_msg = 0;
    if (r->system_len > 0)
        add_message(r, &(struct message){.role = ROLE_SYSTEM,
                                         .text = r->system,
                                         .len = r->system_len});
    for (size_t i = 0; i < r->past.n; i++)
        add_past(r, &r->past.row[i]);
    add_question(r, text, len);
    *n = r->n_msg;
    return r->msg;
}

const char *record_session(const struct record *r)
{
    return r->id[0] == '\0' ? NULL : r->id;
}

/* ---- writing ---- */

/* The first failure is told and ends the writing; an answer is worth more. */
static void give_up(struct record *r, bool is_new, const struct err *err)
{
    output_note("warning: the history is not written: %s", err->text);
    r->may_write = false;
    r->answer_id = 0;
    if (is_new)
        r->id[0] = '\0';
}

static bool write_question(struct record *r, const char *model, bool is_new,
                           const char *text, size_t len, struct err *err)
{
    struct history_message system = {
        .role = ROLE_SYSTEM, .text = r->system, .len = r->system_len};
    struct history_message question = {.role = ROLE_USER, .text = text, .len = len};
    struct history_message answer = {
        .role = ROLE_ASSISTANT, .text = "", .model = model};

    if (!history_begin(r->history, err))
        return false;
    if (is_new && !history_begin_session(r->history, model, NULL, r->id, err))
        goto fail;
    if (r->is_new_system && !history_add(r->history, r->id, &system, NULL, err))
        goto fail;
    if (history_add(r->history, r->id, &question, NULL, err) &&
        history_begin_answer(r->history, r->id, &answer, &r->answer_id, err))
        return history_commit(r->history, err);
fail:
    history_rollback(r->history);
    return false;
}

void record_begin(struct record *r, const char *model, const char *text, size_t len)
{
    bool is_new = r->id[0] == '\0';
    struct err err;

    if (!r->may_write)
        return;
    if (r->path == NULL) {
        err_set(&err, ERR_DB, "HOME is not set");
        give_up(r, is_new, &err);
    } else {
        r->history = history_open(r->path, HISTORY_WRITE, &err);
        if (r->history == NULL || !write_question(r, model, is_new, text, len, &err))
            give_up(r, is_new, &err);
    }
    r->extended_at = clock_seconds();
}

void record_extend(struct record *r, const struct buf *text, const struct buf *thinking)
{
    double now = clock_seconds();
    struct err err;

    if (r->answer_id == 0 || now - r->extended_at < 1)
        return;
    r->extended_at = now;
    if (!history_extend_answer(r->history, r->answer_id, buf_text(text), text->len,
                               thinking->len > 0 ? thinking->data : NULL, thinking->len,
                               &err))
        give_up(r, false, &err);
}

/* The sampling settings as JSON. */
static void add_settings(const struct sampling *s, struct buf *out)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "temp");
    json_float(&w, s->temperature);
    json_key(&w, "top_k");
    json_integer(&w, s->top_k);
    json_key(&w, "top_p");
    json_float(&w, s->top_p);
    json_key(&w, "min_p");
    json_float(&w, s->min_p);
    json_key(&w, "repeat_penalty");
    json_float(&w, s->repeat_penalty);
    json_end_object(&w);
}

void record_finish(struct record *r, const char *model, const struct buf *text,
                   const struct buf *thinking, const struct report *done,
                   const struct sampling *sampling)
{
    struct buf settings;
    struct err err;
    struct history_message answer = {
        .role = ROLE_ASSISTANT,
        .text = buf_text(text),
        .len = text->len,
        .thinking = thinking->len > 0 ? thinking->data : NULL,
        .thinking_len = thinking->len,
        .model = model,
        .stop_reason = stop_reason_name(done->stop_reason),
        .has_seed = true,
        .seed = sampling->seed,
        .tokens = done->ids.id, /* int32, little-endian on all our machines */
        .tokens_len = done->ids.len * sizeof(int32_t),
    };

    if (r->answer_id == 0)
        return;
    buf_init(&settings, 4096);
    add_settings(sampling, &settings);
    answer.settings = buf_text(&settings);
    if (!history_finish_answer(r->history, r->answer_id, &answer, &err))
        give_up(r, false, &err);
    buf_release(&settings);
    r->answer_id = 0;
}
