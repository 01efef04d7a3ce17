/* SPDX-License-Identifier: MIT
 *
 * The conversation: see conversation.h.
 */
#include "config.h"

#include "src/conversation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/buf.h"
#include "src/base/json.h"
#include "src/base/mem.h"

enum { MAX_ANSWER_BYTES = 64 << 20 };

struct turn {
    enum role role; /* user or assistant */
    bool is_stored;
    struct buf text, thinking;
};

struct conversation {
    struct history *history; /* borrowed; NULL: nothing is stored */
    char id[HISTORY_ID_CAP];
    char *model;
    char *system;       /* owned, never NULL */
    bool system_is_new; /* not yet in the session */
    struct turn **turn; /* owned */
    size_t n, cap;
    struct message *msg; /* [n + 1], made by conversation_messages */
    size_t msg_cap;
    char **joined; /* [n_joined] texts of messages that were made one, owned */
    size_t n_joined, joined_cap;
    struct history_messages past;
    int64_t answer_id; /* the answer that grows; 0: none in the history */
};

static void turn_close(struct turn *turn)
{
    buf_release(&turn->text);
    buf_release(&turn->thinking);
    free(turn);
}

struct conversation *conversation_open(void)
{
    struct conversation *c = mem_zalloc(sizeof(*c));

    c->system = mem_dup("");
    return c;
}

static void clear_turns(struct conversation *c)
{
    for (size_t i = 0; i < c->n; i++)
        turn_close(c->turn[i]);
    c->n = 0;
    history_messages_release(&c->past);
    memset(&c->past, 0, sizeof(c->past));
}

void conversation_clear(struct conversation *c)
{
    clear_turns(c);
    c->id[0] = '\0';
    c->answer_id = 0;
    c->system_is_new = c->system[0] != '\0';
}

static void free_joined(struct conversation *c)
{
    for (size_t i = 0; i < c->n_joined; i++)
        free(c->joined[i]);
    c->n_joined = 0;
}

void conversation_close(struct conversation *c)
{
    if (c == NULL)
        return;
    clear_turns(c);
    free_joined(c);
    free(c->joined);
    free(c->turn);
    free(c->msg);
    free(c->system);
    free(c->model);
    free(c);
}

const char *conversation_id(const struct conversation *c)
{
    return c->id;
}

void conversation_set_model(struct conversation *c, const char *model)
{
    char *copy = mem_dup(model);

    free(c->model);
    c->model = copy;
}

const char *conversation_system(const struct conversation *c)
{
    return c->system;
}

const struct history_messages *conversation_past(const struct conversation *c)
{
    return &c->past;
}

static struct turn *add_turn(struct conversation *c, enum role role, const char *text,
                             size_t len)
{
    struct turn *turn = mem_zalloc(sizeof(*turn));

    turn->role = role;
    buf_init(&turn->text, BUF_UNLIMITED);
    buf_init(&turn->thinking, MAX_ANSWER_BYTES);
    buf_add(&turn->text, text, len);
    c->turn = mem_grow(c->turn, &c->cap, c->n + 1, sizeof(struct turn *));
    c->turn[c->n++] = turn;
    return turn;
}

/* --- loading ------------------------------------------------------------------------
 */

static void add_past(struct conversation *c, const struct history_message *row)
{
    struct turn *turn;

    if (row->role == ROLE_SYSTEM) {
        free(c->system);
        c->system = mem_dup_n(row->text, row->len);
        return;
    }
    turn = add_turn(c, row->role, row->text, row->len);
    turn->is_stored = true;
    if (row->thinking != NULL)
        buf_add(&turn->thinking, row->thinking, row->thinking_len);
}

bool conversation_load(struct conversation *c, struct history *history, const char *id,
                       struct err *err)
{
    struct history_messages past = {0};

    if (history == NULL)
        return err_set(err, ERR_DB, "there is no history");
    if (!history_list_messages(history, id, &past, err))
        return false;
    conversation_clear(c);
    free(c->system);
    c->system = mem_dup("");
    c->system_is_new = false;
    c->past = past;
    snprintf(c->id, sizeof(c->id), "%s", id);
    for (size_t i = 0; i < past.n; i++)
        add_past(c, &past.row[i]);
    return true;
}

/* --- storing ------------------------------------------------------------------------
 */

static bool store_system(struct conversation *c, struct err *err)
{
    struct history_message msg = {
        .role = ROLE_SYSTEM, .text = c->system, .len = strlen(c->system)};

    if (!c->system_is_new)
        return true;
    if (!history_add(c->history, c->id, &msg, NULL, err))
        return false;
    c->system_is_new = false;
    return true;
}

/* The session where there is none yet, the system prompt where it is new. */
static bool store_session(struct conversation *c, struct err *err)
{
    if (c->id[0] == '\0' &&
        !history_begin_session(c->history, c->model, NULL, c->id, err)) {
        c->id[0] = '\0';
        return false;
    }
    return store_system(c, err);
}

static bool store_question(struct conversation *c, struct turn *turn, int64_t *id,
                           struct err *err)
{
    struct history_message msg = {
        .role = ROLE_USER, .text = buf_text(&turn->text), .len = turn->text.len};

    turn->is_stored =
        store_session(c, err) && history_add(c->history, c->id, &msg, id, err);
    return turn->is_stored;
}

bool conversation_keep(struct conversation *c, struct history *history, struct err *err)
{
    struct turn *last = c->n > 0 ? c->turn[c->n - 1] : NULL;

    c->history = history;
    if (history == NULL || last == NULL || last->role != ROLE_USER || last->is_stored)
        return true;
    return store_question(c, last, NULL, err);
}

bool conversation_set_system(struct conversation *c, const char *text, struct err *err)
{
    if (strcmp(text, c->system) == 0)
        return true;
    free(c->system);
    c->system = mem_dup(text);
    c->system_is_new = true;
    return c->history == NULL || c->id[0] == '\0' || store_system(c, err);
}

bool conversation_add_user(struct conversation *c, const char *text, size_t len,
                           int64_t *id, struct err *err)
{
    struct turn *turn = add_turn(c, ROLE_USER, text, len);

    if (id != NULL)
        *id = 0;
    return c->history == NULL || store_question(c, turn, id, err);
}

void conversation_drop_question(struct conversation *c)
{
    if (c->n > 0 && c->turn[c->n - 1]->role == ROLE_ASSISTANT &&
        c->turn[c->n - 1]->text.len == 0)
        turn_close(c->turn[--c->n]);
    if (c->n > 0 && c->turn[c->n - 1]->role == ROLE_USER)
        turn_close(c->turn[--c->n]);
}

/* --- the answer ----------------------------------------------------------------------
 */

bool conversation_begin_answer(struct conversation *c, int64_t *id, struct err *err)
{
    struct history_message msg = {
        .role = ROLE_ASSISTANT, .text = "", .model = c->model};

    add_turn(c, ROLE_ASSISTANT, "", 0);
    c->answer_id = 0;
    if (id != NULL)
        *id = 0;
    if (c->history == NULL || c->id[0] == '\0')
        return true;
    if (!history_begin_answer(c->history, c->id, &msg, &c->answer_id, err)) {
        c->answer_id = 0;
        return false;
    }
    if (id != NULL)
        *id = c->answer_id;
    return true;
}

static struct turn *last_answer(struct conversation *c)
{
    struct turn *turn = c->n > 0 ? c->turn[c->n - 1] : NULL;

    return turn != NULL && turn->role == ROLE_ASSISTANT ? turn : NULL;
}

void conversation_grow_answer(struct conversation *c, enum report_kind part,
                              const char *text, size_t len)
{
    struct turn *turn = last_answer(c);

    if (turn != NULL)
        buf_add(part == REPORT_THINKING ? &turn->thinking : &turn->text, text, len);
}

bool conversation_save_answer(struct conversation *c, struct err *err)
{
    const struct turn *turn = last_answer(c);

    if (turn == NULL || c->answer_id == 0)
        return true;
    return history_extend_answer(
        c->history, c->answer_id, buf_text(&turn->text), turn->text.len,
        turn->thinking.len > 0 ? turn->thinking.data : NULL, turn->thinking.len, err);
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

bool conversation_finish_answer(struct conversation *c, const struct report *done,
                                struct err *err)
{
    const struct turn *turn = last_answer(c);
    int64_t id = c->answer_id;
    struct history_message msg = {
        .role = ROLE_ASSISTANT,
        .model = c->model,
        .stop_reason = stop_reason_name(done->stop_reason),
        .has_seed = true,
        .seed = done->sampling.seed,
        .tokens = done->ids.id, /* int32, little-endian on all our machines */
        .tokens_len = done->ids.len * sizeof(int32_t),
    };
    struct buf settings;
    bool ok;

    c->answer_id = 0;
    if (turn == NULL || id == 0)
        return true;
    buf_init(&settings, 4096);
    add_settings(&done->sampling, &settings);
    msg.settings = buf_text(&settings);
    msg.text = buf_text(&turn->text);
    msg.len = turn->text.len;
    msg.thinking = turn->thinking.len > 0 ? turn->thinking.data : NULL;
    msg.thinking_len = turn->thinking.len;
    ok = history_finish_answer(c->history, id, &msg, err);
    buf_release(&settings);
    return ok;
}

/* --- for the model -------------------------------------------------------------------
 */

/* A question that got no answer, and the next one, as one text. */
static void join(struct conversation *c, struct message *first,
                 const struct buf *second)
{
    struct buf both;

    buf_init(&both, BUF_UNLIMITED);
    buf_add(&both, first->text, first->len);
    buf_add_text(&both, "\n\n");
    buf_add(&both, buf_text(second), second->len);
    c->joined = mem_grow(c->joined, &c->joined_cap, c->n_joined + 1, sizeof(char *));
    first->text = c->joined[c->n_joined++] = buf_take(&both, &first->len);
}

/* Appends to msg[n), which have room; an answer without a word is left out. */
static size_t add_message(struct conversation *c, size_t n, const struct turn *turn)
{
    struct message *last = n > 0 ? &c->msg[n - 1] : NULL;

    if (turn->role == ROLE_ASSISTANT && turn->text.len == 0)
        return n;
    if (turn->role == ROLE_USER && last != NULL && last->role == ROLE_USER) {
        join(c, last, &turn->text);
        return n;
    }
    c->msg[n] = (struct message){
        .role = turn->role,
        .text = buf_text(&turn->text),
        .len = turn->text.len,
        .thinking = turn->thinking.len > 0 ? turn->thinking.data : NULL,
        .thinking_len = turn->thinking.len,
    };
    return n + 1;
}

const struct message *conversation_messages(struct conversation *c, size_t *n)
{
    *n = 0;
    free_joined(c);
    c->msg = mem_grow(c->msg, &c->msg_cap, c->n + 1, sizeof(*c->msg));
    if (c->system[0] != '\0')
        c->msg[(*n)++] = (struct message){
            .role = ROLE_SYSTEM, .text = c->system, .len = strlen(c->system)};
    for (size_t i = 0; i < c->n; i++)
        *n = add_message(c, *n, c->turn[i]);
    return c->msg;
}
