/* SPDX-License-Identifier: MIT
 *
 * One turn: see turn.h.
 *
 * A sampled id goes: splitter (reasoning or answer, by token) -> UTF-8 stream (half
 * characters wait) -> stop texts (answer only; what may begin one waits) -> sink.
 */
#include "config.h"

#include "src/turn.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/utf8.h"
#include "src/stop_text.h"

const char *stop_reason_name(enum stop_reason reason)
{
    static const char *const name[] = {"eos", "length", "stop", "interrupt", "timeout"};

    return name[reason];
}

void turn_memory_release(struct turn_memory *memory)
{
    tokens_release(&memory->ids);
    memory->n_prompt = 0;
}

enum { HOPELESS_BYTES = 4 << 20 };

/* A running turn. */
struct turn {
    struct session *session;
    const struct tokenizer *tokenizer;
    enum chat_format format; /* CHAT_NONE for raw prompts */
    const struct ask *ask;
    const struct turn_stop *stop;
    const struct turn_sink *sink;
    struct turn_result *result;

    struct tokens prompt;
    struct sampler *sampler;
    struct chat_splitter splitter;
    enum chat_part part; /* of the characters in utf8 */
    struct utf8_stream utf8;
    struct stop_finder stop_finder;
    struct buf characters, ready; /* scratch of emit */
    double decode_began;
};

static bool is_stopped(const struct turn *t)
{
    return atomic_load(&t->stop->flag);
}

/* ---- the prompt ---- */

static bool check_ids(const struct turn *t, struct err *err)
{
    int vocab = session_n_vocab(t->session);

    for (size_t i = 0; i < t->ask->n_token; i++)
        if (t->ask->token[i] < 0 || t->ask->token[i] >= vocab)
            return err_set(err, ERR_USAGE, "token id %d: not in 0..%d",
                           t->ask->token[i], vocab - 1);
    return true;
}

/* Plain text to complete, behind BOS where the model wants one. */
static bool add_text(struct turn *t, const char *text, size_t len, struct err *err)
{
    if (tokenizer_wants_bos(t->tokenizer))
        tokens_add(&t->prompt, tokenizer_bos(t->tokenizer));
    return tokenizer_encode(t->tokenizer, text, len, TOKENIZER_PLAIN, &t->prompt, err);
}

/* A model without a chat format completes what was said, message after message. */
static bool add_plain_chat(struct turn *t, struct err *err)
{
    struct buf text;
    bool ok;

    buf_init(&text, BUF_UNLIMITED);
    for (size_t i = 0; i < t->ask->n_msg; i++) {
        if (i > 0)
            buf_add_text(&text, "\n\n");
        buf_add(&text, t->ask->msg[i].text, t->ask->msg[i].len);
    }
    ok = add_text(t, buf_text(&text), text.len, err);
    buf_release(&text);
    return ok;
}

static bool add_chat(struct turn *t, const struct engine_info *info, struct err *err)
{
    struct chat_request request = {.msg = t->ask->msg,
                                   .n = t->ask->n_msg,
                                   .add_generation_prompt = true,
                                   .think = t->ask->think};

    if (info->chat_note != NULL)
        return err_set(err, ERR_MODEL, "%s: %s; use --raw or --chat-format", info->path,
                       info->chat_note);
    if (t->format == CHAT_NONE)
        return add_plain_chat(t, err);
    return chat_render(t->format, t->tokenizer, &request, &t->prompt, NULL, err);
}

static size_t longest_token_bytes(const struct tokenizer *t)
{
    size_t longest = 1;

    for (int32_t id = 0; id < tokenizer_n_tokens(t); id++) {
        size_t len;

        if (tokenizer_bytes(t, id, &len) != NULL && len > longest)
            longest = len;
    }
    return longest;
}

static bool set_too_long(const struct turn *t, const char *how, size_t n_tokens,
                         struct err *err)
{
    return err_set(err, ERR_CONTEXT,
                   "the prompt is too long: it has %s%zu tokens, the context holds %d; "
                   "shorten it, or give a larger --ctx",
                   how, n_tokens, session_ctx(t->session));
}

/* Refuses a text that is too long whatever its tokens are, before time and memory are
 * spent on them. */
static bool check_bytes(const struct turn *t, struct err *err)
{
    size_t bytes = t->ask->raw_len;
    size_t at_least;

    for (size_t i = 0; i < t->ask->n_msg; i++)
        bytes += t->ask->msg[i].len;
    if (bytes < HOPELESS_BYTES)
        return true;
    /* Normalisation may make a text shorter, yet not to a fourth. */
    at_least = bytes / 4 / longest_token_bytes(t->tokenizer);
    return at_least <= (size_t)session_ctx(t->session) ||
           set_too_long(t, "at least ", at_least, err);
}

static bool build_prompt(struct turn *t, const struct engine_info *info,
                         struct err *err)
{
    const struct ask *ask = t->ask;

    if (!check_bytes(t, err))
        return false;
    if (ask->n_msg > 0) {
        if (!add_chat(t, info, err))
            return false;
    } else if (ask->raw != NULL) {
        if (!add_text(t, ask->raw, ask->raw_len, err))
            return false;
    } else {
        if (!check_ids(t, err))
            return false;
        tokens_add_all(&t->prompt, ask->token, ask->n_token);
    }
    if (t->prompt.len == 0)
        return err_set(err, ERR_USAGE, "the prompt is empty: nothing to ask");
    return t->prompt.len <= (size_t)session_ctx(t->session) ||
           set_too_long(t, "", t->prompt.len, err);
}

/* Appends the bytes of id[from..), as long as they are text (special tokens must not be
 * got by spelling) and out has less than `enough` bytes. Returns how many ids. */
static size_t spell(const struct turn *t, const struct tokens *ids, size_t from,
                    size_t enough, struct buf *out)
{
    size_t i = from;

    for (; i < ids->len && out->len < enough; i++) {
        size_t len;
        const char *bytes = tokenizer_bytes(t->tokenizer, ids->id[i], &len);

        if (bytes == NULL || !tokenizer_is_normal(t->tokenizer, ids->id[i]))
            break;
        buf_add(out, bytes, len);
    }
    return i - from;
}

/* How many of the prompt's ids from `at` spell the same bytes as all remembered ids
 * from there; 0 where they do not. */
static size_t same_spelling(const struct turn *t, const struct tokens *memory,
                            size_t at)
{
    struct buf a;
    struct buf b;
    size_t n = 0;

    buf_init(&a, BUF_UNLIMITED);
    buf_init(&b, BUF_UNLIMITED);
    if (spell(t, memory, at, (size_t)-1, &a) == memory->len - at && a.len > 0)
        n = spell(t, &t->prompt, at, a.len, &b);
    if (a.len != b.len || memcmp(buf_text(&a), buf_text(&b), a.len) != 0)
        n = 0;
    buf_release(&a);
    buf_release(&b);
    return n;
}

/* The answer of the last turn, rendered again, can be spelt with other ids than were
 * sampled. Where prompt and bytes agree, the sampled ids take their place, so that the
 * cache is good for all of it. */
static void reuse_sampled_ids(struct turn *t, const struct turn_memory *memory)
{
    size_t n_prompt = memory->n_prompt;
    struct tokens joined = {0};
    size_t n_same;

    if (n_prompt == 0 || t->prompt.len < n_prompt ||
        memcmp(t->prompt.id, memory->ids.id, n_prompt * sizeof(int32_t)) != 0)
        return;
    n_same = same_spelling(t, &memory->ids, n_prompt);
    if (n_same == 0)
        return;
    tokens_add_all(&joined, memory->ids.id, memory->ids.len);
    tokens_add_all(&joined, t->prompt.id + n_prompt + n_same,
                   t->prompt.len - n_prompt - n_same);
    tokens_release(&t->prompt);
    t->prompt = joined;
}

static void remember(struct turn *t, struct turn_memory *memory)
{
    tokens_clear(&memory->ids);
    tokens_add_all(&memory->ids, t->prompt.id, t->prompt.len);
    memory->n_prompt = t->prompt.len;
    if (t->result->ids.len > 0)
        tokens_add_all(&memory->ids, t->result->ids.id, t->result->ids.len);
}

/* Evaluates the prompt; true also when stopped in the middle. */
static bool prefill(struct turn *t, struct err *err)
{
    struct turn_result *r = t->result;
    double began = clock_seconds();
    bool ok;

    r->prompt_tokens = (int)t->prompt.len;
    t->sink->start(t->sink->ctx, r->prompt_tokens);
    ok = session_sync(t->session, t->prompt.id, t->prompt.len, &r->cached_tokens,
                      t->sink->prefill, t->sink->ctx, &t->stop->flag, err);
    r->prefill_s = clock_seconds() - began;
    return ok || err->kind == ERR_CANCELLED;
}

/* ---- the answer ---- */

static float tokens_per_s(const struct turn *t)
{
    double s = clock_seconds() - t->decode_began;

    return s > 0 ? (float)(t->result->n_decoded / s) : 0;
}

/* Hands out t->characters as the part they belong to. True when a stop text was met. */
static bool emit(struct turn *t)
{
    bool found = false;

    buf_clear(&t->ready);
    if (t->part == CHAT_PART_TEXT)
        found = stop_finder_add(&t->stop_finder, buf_text(&t->characters),
                                t->characters.len, &t->ready);
    else
        buf_add(&t->ready, buf_text(&t->characters), t->characters.len);
    buf_clear(&t->characters);
    if (t->ready.len > 0)
        t->sink->text(t->sink->ctx, t->part, t->ready.data, t->ready.len,
                      tokens_per_s(t));
    return found;
}

/* True when the answer ends here, by a stop text. */
static bool take_id(struct turn *t, int32_t id)
{
    const char *bytes;
    size_t len;
    enum chat_part part =
        chat_splitter_next(&t->splitter, t->tokenizer, id, &bytes, &len);

    if (part == CHAT_PART_NOTHING || bytes == NULL)
        return false;
    if (part != t->part) {
        utf8_stream_end(&t->utf8, &t->characters);
        if (emit(t))
            return true;
        t->part = part;
    }
    utf8_stream_add(&t->utf8, bytes, len, &t->characters);
    return emit(t);
}

/* What is held back at the end comes out. True when it holds a stop text. */
static bool finish_text(struct turn *t)
{
    bool found;

    utf8_stream_end(&t->utf8, &t->characters);
    found = emit(t);
    buf_clear(&t->ready);
    found = stop_finder_end(&t->stop_finder, &t->ready) || found;
    if (t->ready.len > 0)
        t->sink->text(t->sink->ctx, CHAT_PART_TEXT, t->ready.data, t->ready.len,
                      tokens_per_s(t));
    return found;
}

/* Why not to sample another token, if so. */
static bool must_end(const struct turn *t, enum stop_reason *why)
{
    if (is_stopped(t)) {
        *why = (enum stop_reason)atomic_load(&t->stop->reason);
        return true;
    }
    *why = STOP_LENGTH;
    return t->ask->max_tokens >= 0 &&
           t->result->completion_tokens >= t->ask->max_tokens;
}

/* Samples one token and takes it. *ended: it was the last. */
static bool step(struct turn *t, bool *ended, struct err *err)
{
    struct turn_result *r = t->result;
    int32_t id = sampler_pick(t->sampler, session_logits(t->session),
                              tokenizer_n_tokens(t->tokenizer));

    if (id < 0)
        return err_set(err, ERR_MODEL,
                       "the model's output is not finite (non-finite "
                       "logits): its file may be damaged");
    r->completion_tokens++;
    *ended = true;
    r->stop_reason = STOP_EOS;
    if (chat_is_end(t->format, t->tokenizer, id))
        return true;
    tokens_add(&r->ids, id);
    sampler_accept(t->sampler, id);
    r->stop_reason = STOP_TEXT;
    if (take_id(t, id) || must_end(t, &r->stop_reason))
        return true;
    r->stop_reason = STOP_LENGTH;
    if (session_len(t->session) >= session_ctx(t->session))
        return true;
    *ended = false;
    r->n_decoded++;
    return session_eval(t->session, id, err);
}

static bool decode(struct turn *t, struct err *err)
{
    bool ended = must_end(t, &t->result->stop_reason);
    bool ok = true;

    t->decode_began = clock_seconds();
    while (ok && !ended)
        ok = step(t, &ended, err);
    t->result->decode_s = clock_seconds() - t->decode_began;
    if (finish_text(t) && ok)
        t->result->stop_reason = STOP_TEXT;
    return ok;
}

static float first_known(float a, float b, float c)
{
    return a >= 0 ? a : b >= 0 ? b : c;
}

/* What was asked for, else what the model's file advises, else the defaults. */
static struct sampling choose_sampling(const struct sampling *asked,
                                       const struct sampling *advised)
{
    int top_k = asked->top_k >= 0 ? asked->top_k : advised->top_k;

    return (struct sampling){
        .temperature = first_known(asked->temperature, advised->temperature, 0.6F),
        .top_k = top_k >= 0 ? top_k : 0,
        .top_p = first_known(asked->top_p, advised->top_p, 0.95F),
        .min_p = first_known(asked->min_p, advised->min_p, 0),
        .repeat_penalty =
            first_known(asked->repeat_penalty, advised->repeat_penalty, 1),
        .seed = asked->seed,
    };
}

static void open_sampler(struct turn *t)
{
    /* The penalty looks back 64 tokens; the rest of the prompt is of no use to it. */
    size_t from = t->prompt.len > 64 ? t->prompt.len - 64 : 0;

    t->sampler = sampler_open(&t->result->sampling, session_n_vocab(t->session));
    for (size_t i = from; i < t->prompt.len; i++)
        sampler_accept(t->sampler, t->prompt.id[i]);
}

bool turn_run(struct session *session, const struct engine *engine,
              struct turn_memory *memory, const struct ask *ask,
              const struct turn_stop *stop, const struct turn_sink *sink,
              struct turn_result *result, struct err *err)
{
    struct turn t = {.session = session,
                     .tokenizer = engine_tokenizer(engine),
                     .format = ask->n_msg > 0 ? engine_chat_format(engine) : CHAT_NONE,
                     .ask = ask,
                     .stop = stop,
                     .sink = sink,
                     .result = result,
                     .part = CHAT_PART_TEXT};
    bool ok;

    memset(result, 0, sizeof(*result));
    result->sampling = choose_sampling(&ask->sampling, &engine_info(engine)->advised);
    stop_finder_init(&t.stop_finder, ask->stop, ask->n_stop);
    buf_init(&t.characters, BUF_UNLIMITED);
    buf_init(&t.ready, BUF_UNLIMITED);
    ok = build_prompt(&t, engine_info(engine), err);
    if (ok) {
        reuse_sampled_ids(&t, memory);
        ok = prefill(&t, err);
    }
    if (ok) {
        open_sampler(&t);
        chat_splitter_init(&t.splitter, t.format, t.tokenizer, ask->think);
        ok = decode(&t, err);
        remember(&t, memory);
    }
    sampler_close(t.sampler);
    stop_finder_release(&t.stop_finder);
    buf_release(&t.characters);
    buf_release(&t.ready);
    tokens_release(&t.prompt);
    return ok;
}
