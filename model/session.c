/* SPDX-License-Identifier: MIT
 *
 * A session: see session.h.
 *
 * Invariant: the cache holds exactly s->tokens, in order, at positions 0 .. len - 1;
 * what lies above is not looked at and is overwritten. Making the timeline shorter is
 * lowering the length; a step that fails or is stopped leaves the length as it was.
 */
#include "config.h"

#include "model/session.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/budget.h"
#include "model/engine_priv.h"
#include "model/forward.h"
#include "src/base/mem.h"

enum {
    DEFAULT_CTX = 32768,
    DEFAULT_BATCH = 512,
    MIN_CTX = 256,   /* below this a default context is not tried any more */
    LOGIT_ROWS = 16, /* rows of the head at once, for session_each_logits */
};

struct session {
    const struct engine *e;
    struct decoder d;
    struct forward *forward;
    struct kv *kv;
    int ctx_tokens;
    int batch_tokens;
    struct tokens tokens; /* those in the cache */
    int32_t *pos;         /* [batch_tokens] scratch of a step */
    struct kv **row_kv;   /* [batch_tokens] */
    float *logits;        /* [LOGIT_ROWS][vocab]; row 0 is the last position's */
    bool has_logits;      /* row 0 belongs to the end of tokens */
    uint64_t bytes_at_open;
};

static const enum cache_type cache_types[] = {
    [SESSION_CACHE_F16] = CACHE_F16,
    [SESSION_CACHE_F32] = CACHE_F32,
    [SESSION_CACHE_Q8_0] = CACHE_Q8_0,
};

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static struct budget budget_of(const struct session *s, enum cache_type cache)
{
    const struct shape *shape = &s->e->shape;
    size_t logits = (size_t)LOGIT_ROWS * (size_t)shape->vocab * sizeof(float);

    return (struct budget){
        .weights_bytes = s->e->info.file_bytes,
        .token_bytes = s->d.ops->kv_bytes_per_token(shape, cache),
        .scratch_bytes = forward_bytes(shape, s->batch_tokens, LOGIT_ROWS) + logits,
    };
}

/* Decides the context length and opens the cache. Where the length is left to hadal and
 * the back end's own memory is short (a device), it tries smaller ones. */
static bool open_cache(struct session *s, const struct session_options *opt,
                       struct err *err)
{
    enum cache_type cache = cache_types[opt->cache];
    struct budget budget = budget_of(s, cache);
    bool on_host = s->d.ops != &backend_cuda;
    int ctx = opt->ctx_tokens;
    struct meminfo mem;

    meminfo_read(&mem);
    if (ctx == 0) {
        ctx = min_int(s->e->shape.ctx_train, DEFAULT_CTX);
        if (on_host)
            ctx = budget_reduce(&budget, &mem, ctx);
    }
    if (on_host && !budget_check(&budget, &mem, ctx, err))
        return false;
    for (;;) {
        s->kv = s->d.ops->kv_open(s->d.be, &s->e->shape, cache, ctx, err);
        s->ctx_tokens = ctx;
        if (s->kv != NULL)
            return true;
        if (opt->ctx_tokens != 0 || ctx <= MIN_CTX)
            return false;
        ctx /= 2;
    }
}

struct session *session_open(struct engine *e, const struct session_options *opt,
                             struct err *err)
{
    struct session *s = mem_zalloc(sizeof(*s));
    size_t vocab = (size_t)e->shape.vocab;

    s->e = e;
    s->d = (struct decoder){e->ops, e->be, &e->shape, &e->weights};
    s->batch_tokens = opt->batch_tokens > 0 ? opt->batch_tokens : DEFAULT_BATCH;
    if (opt->ctx_tokens > 0)
        s->batch_tokens = min_int(s->batch_tokens, opt->ctx_tokens);
    if (e->be == NULL) {
        err_set(err, ERR_MODEL, "%s: no weights were loaded", e->path);
        goto fail;
    }
    if (opt->ctx_tokens < 0) {
        err_set(err, ERR_USAGE, "the context must hold at least one token");
        goto fail;
    }
    if (!open_cache(s, opt, err))
        goto fail;
    s->batch_tokens = min_int(s->batch_tokens, s->ctx_tokens);
    s->forward = forward_open(&s->d, s->batch_tokens, LOGIT_ROWS, err);
    if (s->forward == NULL)
        goto fail;
    s->logits = mem_try(vocab * LOGIT_ROWS, sizeof(float), "the logits", err);
    if (s->logits == NULL)
        goto fail;
    s->pos = mem_array((size_t)s->batch_tokens, sizeof(*s->pos));
    s->row_kv = mem_array((size_t)s->batch_tokens, sizeof(struct kv *));
    for (int i = 0; i < s->batch_tokens; i++)
        s->row_kv[i] = s->kv;
    s->bytes_at_open = s->d.ops->weight_bytes_read(s->d.be);
    return s;
fail:
    session_close(s);
    return NULL;
}

void session_close(struct session *s)
{
    if (s == NULL)
        return;
    forward_close(s->forward);
    if (s->kv != NULL)
        s->d.ops->kv_close(s->d.be, s->kv);
    tokens_release(&s->tokens);
    free(s->pos);
    free(s->row_kv);
    free(s->logits);
    free(s);
}

int session_ctx(const struct session *s)
{
    return s->ctx_tokens;
}

int session_len(const struct session *s)
{
    return (int)s->tokens.len;
}

/* Whether these ids can be evaluated at all. */
static bool check_ids(const struct session *s, const int32_t *id, size_t n,
                      struct err *err)
{
    int vocab = s->e->shape.vocab;

    if (n == 0)
        return err_set(err, ERR_USAGE, "there are no tokens to evaluate");
    if (n > (size_t)s->ctx_tokens)
        return err_set(err, ERR_CONTEXT,
                       "the prompt is too long: it has %zu tokens, the context holds "
                       "%d; shorten it, or "
                       "give a larger --ctx",
                       n, s->ctx_tokens);
    for (size_t i = 0; i < n; i++)
        if (id[i] < 0 || id[i] >= vocab)
            return err_set(err, ERR_USAGE, "token id %ld is outside 0..%d", (long)id[i],
                           vocab - 1);
    return true;
}

/* One step: n tokens after those in the cache, of which the last `wanted` get logits.
 */
static bool append(struct session *s, const int32_t *id, int n, int wanted,
                   const atomic_bool *stop, struct err *err)
{
    struct rows rows = {.n = n, .token = id, .pos = s->pos, .kv = s->row_kv};

    assert(n >= 1 && n <= s->batch_tokens);
    assert(session_len(s) + n <= s->ctx_tokens);
    s->has_logits = false;
    if (!gguf_unchanged(s->e->gguf, err))
        return false;
    for (int i = 0; i < n; i++)
        s->pos[i] = session_len(s) + i;
    if (!forward_run(s->forward, &rows, wanted, stop, NULL, err))
        return false;
    tokens_add_all(&s->tokens, id, (size_t)n);
    return true;
}

/* Logits of rows [row, row + n) of the last step, into s->logits. A model whose numbers
 * are damaged must not go on to text: what the sampler made of NaN would look like it.
 */
static bool read_logits(struct session *s, int row, int n, struct err *err)
{
    size_t n_values = (size_t)n * (size_t)s->e->shape.vocab;

    if (!forward_logits(s->forward, row, n, s->logits, err))
        return false;
    for (size_t i = 0; i < n_values; i++)
        if (!isfinite(s->logits[i]))
            return err_set(err, ERR_MODEL,
                           "%s: non-finite logits: the weights are damaged",
                           s->e->path);
    return true;
}

static size_t common_prefix(const struct tokens *t, const int32_t *id, size_t n)
{
    size_t i = 0;

    while (i < n && i < t->len && t->id[i] == id[i])
        i++;
    return i;
}

bool session_sync(struct session *s, const int32_t *id, size_t n, int *n_cached,
                  session_progress_fn progress, void *ctx, const atomic_bool *stop,
                  struct err *err)
{
    size_t kept;
    int chunk = 0;

    if (!check_ids(s, id, n, err))
        return false;
    kept = common_prefix(&s->tokens, id, n);
    /* All there but the logits: the last token is evaluated once more for them. */
    if (kept == n && !(s->has_logits && s->tokens.len == n))
        kept--;
    if (n_cached != NULL)
        *n_cached = (int)kept;
    if (kept == n)
        return true;
    s->tokens.len = kept;
    s->has_logits = false;
    while (s->tokens.len < n) {
        size_t at = s->tokens.len;

        chunk = n - at < (size_t)s->batch_tokens ? (int)(n - at) : s->batch_tokens;
        if (stop != NULL && atomic_load(stop))
            return err_set(err, ERR_CANCELLED, "stopped");
        if (!append(s, id + at, chunk, at + (size_t)chunk == n, stop, err))
            return false;
        if (progress != NULL)
            progress(ctx, session_len(s), (int)n);
    }
    s->has_logits = read_logits(s, chunk - 1, 1, err);
    return s->has_logits;
}

bool session_eval(struct session *s, int32_t id, struct err *err)
{
    if (session_len(s) >= s->ctx_tokens)
        return err_set(err, ERR_CONTEXT, "the context of %d tokens is full",
                       s->ctx_tokens);
    if (!check_ids(s, &id, 1, err) || !append(s, &id, 1, 1, NULL, err))
        return false;
    s->has_logits = read_logits(s, 0, 1, err);
    return s->has_logits;
}

const float *session_logits(const struct session *s)
{
    return s->logits;
}

int session_n_vocab(const struct session *s)
{
    return s->e->shape.vocab;
}

/* Hands out the logits of the last step's n rows, the first at position pos. */
static bool hand_out(struct session *s, int n, int pos, session_logits_fn fn, void *ctx,
                     struct err *err)
{
    size_t vocab = (size_t)s->e->shape.vocab;

    for (int row = 0; row < n; row += LOGIT_ROWS) {
        int some = min_int(LOGIT_ROWS, n - row);

        if (!read_logits(s, row, some, err))
            return false;
        for (int i = 0; i < some; i++)
            if (!fn(ctx, pos + row + i, s->logits + (size_t)i * vocab))
                return err_set(err, ERR_CANCELLED, "stopped");
        memmove(s->logits, s->logits + (size_t)(some - 1) * vocab,
                vocab * sizeof(float));
    }
    return true;
}

bool session_each_logits(struct session *s, const int32_t *id, size_t n,
                         session_logits_fn fn, void *ctx, struct err *err)
{
    if (!check_ids(s, id, n, err))
        return false;
    s->tokens.len = 0;
    while (s->tokens.len < n) {
        int at = session_len(s);
        int chunk = min_int((int)n - at, s->batch_tokens);

        if (!append(s, id + at, chunk, chunk, NULL, err) ||
            !hand_out(s, chunk, at, fn, ctx, err))
            return false;
    }
    s->has_logits = true;
    return true;
}

uint64_t session_weight_bytes(const struct session *s)
{
    return s->d.ops->weight_bytes_read(s->d.be) - s->bytes_at_open;
}
