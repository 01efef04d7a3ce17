/* SPDX-License-Identifier: MIT
 *
 * A session: one mutable timeline of tokens with its cache and its last logits. The
 * caller hands over the whole prompt each time; what is already in the cache is an
 * optimisation that the session finds by itself. One thread at a time.
 */
#ifndef HADAL_MODEL_SESSION_H
#define HADAL_MODEL_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/engine.h"
#include "model/tokens.h"
#include "src/base/err.h"

/* As enum cache_type of backend.h. */
enum session_cache { SESSION_CACHE_F16, SESSION_CACHE_F32, SESSION_CACHE_Q8_0 };

struct session_options {
    int ctx_tokens;            /* 0: what the model was trained for, at most 32768, and
                                  less where memory is short */
    enum session_cache cache;
    int batch_tokens;          /* rows of a prefill step; 0: default (512) */
};

/* Called between prefill chunks. */
typedef void (*session_progress_fn)(void *ctx, int done_tokens, int total_tokens);
/* Logits of one position; valid for the call. false stops (ERR_CANCELLED). */
typedef bool (*session_logits_fn)(void *ctx, int position, const float *logits);

struct session;

/* ERR_MEMORY with the numbers (weights, cache, scratch, available) and the largest
 * --ctx that fits, when ctx_tokens was given and does not fit. */
struct session *session_open(struct engine *e, const struct session_options *opt,
                             struct err *err) MUST_USE;
void session_close(struct session *s); /* accepts NULL */

int session_ctx(const struct session *s);  /* capacity in tokens */
int session_len(const struct session *s);  /* tokens in the cache */

/* Makes the timeline equal to id[0..n): keeps the longest common prefix, evaluates the
 * rest in chunks. *n_cached (may be NULL): tokens kept. Afterwards logits are those
 * after the last token. n must be >= 1. ERR_CONTEXT when n exceeds the capacity;
 * ERR_CANCELLED when *stop was seen true, which is looked at before each layer (whole
 * chunks that are done stay); ERR_MODEL when the logits are not finite or the file
 * changed. */
bool session_sync(struct session *s, const int32_t *id, size_t n, int *n_cached,
                  session_progress_fn progress, void *ctx, const atomic_bool *stop,
                  struct err *err) MUST_USE;

/* Appends one token. ERR_CONTEXT when full. */
bool session_eval(struct session *s, int32_t id, struct err *err) MUST_USE;

/* [vocab], of the last position; valid until the next sync or eval. */
const float *session_logits(const struct session *s);
int session_n_vocab(const struct session *s);

/* Starts over with id[0..n) and hands out the logits of every position in order. */
bool session_each_logits(struct session *s, const int32_t *id, size_t n,
                         session_logits_fn fn, void *ctx, struct err *err) MUST_USE;

/* Bytes of weights read since the session was opened (for bench). */
uint64_t session_weight_bytes(const struct session *s);

#endif
