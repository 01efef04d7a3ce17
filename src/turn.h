/* SPDX-License-Identifier: MIT
 *
 * One turn: a prompt is rendered, read by a session, and an answer is sampled until it
 * ends, a stop text comes, a limit is met or somebody says stop. What comes is handed
 * out as whole UTF-8 characters, reasoning and answer apart.
 */
#ifndef HADAL_TURN_H
#define HADAL_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/engine.h"
#include "model/sampler.h"
#include "model/session.h"
#include "model/tokens.h"
#include "src/base/err.h"
#include "src/base/message.h"

enum stop_reason { STOP_EOS, STOP_LENGTH, STOP_TEXT, STOP_INTERRUPT, STOP_TIMEOUT };
const char *
stop_reason_name(enum stop_reason reason); /* "eos", "length", "stop", ... */

/* What is asked of the model. */
struct ask {
    int64_t turn;
    /* One of three kinds of prompt: */
    const struct message *msg; /* a chat (n_msg > 0) ... */
    size_t n_msg;
    const char *raw; /* ... or plain text to complete (raw != NULL) ... */
    size_t raw_len;
    const int32_t *token; /* ... or exactly these ids (token != NULL) */
    size_t n_token;
    enum think_mode think;
    struct sampling sampling; /* negative: as the model advises, else the default */
    int max_tokens;           /* -1: until the context is full */
    const char *const *stop;  /* stop texts, none empty */
    size_t n_stop;
};

/* How a turn is stopped from outside: another thread writes reason, then flag. */
struct turn_stop {
    atomic_bool flag;
    atomic_int reason; /* enum stop_reason */
};

/* What a turn tells while it runs. */
struct turn_sink {
    void *ctx;
    void (*start)(void *ctx, int prompt_tokens);
    void (*prefill)(void *ctx, int done_tokens, int total_tokens);
    /* Whole characters; tokens_per_s of the decoding so far. */
    void (*text)(void *ctx, enum chat_part part, const char *text, size_t len,
                 float tokens_per_s);
};

struct turn_result {
    enum stop_reason stop_reason;
    struct sampling sampling; /* in force */
    int prompt_tokens, cached_tokens, completion_tokens;
    int n_decoded; /* tokens evaluated one at a time, in decode_s */
    double prefill_s, decode_s;
    struct tokens ids; /* sampled, without the end-of-turn token; owned */
};

/* The ids of the last turn as the session's cache holds them, so that the same text in
 * the next prompt is taken for the same ids. Zeroed storage is an empty one. */
struct turn_memory {
    struct tokens ids; /* prompt and sampled ids */
    size_t n_prompt;
};
void turn_memory_release(struct turn_memory *memory);

/* Runs one turn. What was sampled is in result whether it succeeds or not; being
 * stopped is success. ERR_USAGE for an unusable prompt, ERR_CONTEXT with both numbers,
 * ERR_MODEL where the logits are not finite. The caller releases result->ids. */
bool turn_run(struct session *session, const struct engine *engine,
              struct turn_memory *memory, const struct ask *ask,
              const struct turn_stop *stop, const struct turn_sink *sink,
              struct turn_result *result, struct err *err) MUST_USE;

#endif
