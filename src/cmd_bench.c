/* SPDX-License-Identifier: MIT
 *
 * hadal bench: tokens a second of prefill and of decode, at a depth.
 *
 * The tokens are random: an MoE's experts are then met as evenly as they are trained to
 * be, and nothing is cached by meaning. A prefill begins with another token each time,
 * so that the session cannot keep what it has.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokens.h"
#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/command.h"
#include "src/model_open.h"
#include "src/output.h"

/* Enough to choose nearly every expert: what follows shall not meet pages of the file
 * for the first time. */
enum { WARM_UP_TOKENS = 64 };

struct bench {
    const struct options *opt;
    const struct engine_info *info;
    struct session *session;
    int32_t *id;  /* [depth + max(prefill, decode) + 1] */
    int n_tokens; /* of the vocabulary */
    int n_warm_up;
    uint64_t random;
    double *rate;   /* [repeat] tokens a second */
    uint64_t bytes; /* of weights, of the last repetition */
};

static int32_t random_id(struct bench *b)
{
    /* Knuth's 64-bit linear congruential generator; its upper half is good enough. */
    b->random = b->random * 6364136223846793005U + 1442695040888963407U;
    return (int32_t)((b->random >> 33) % (uint64_t)b->n_tokens);
}

static bool sync(struct bench *b, int n, struct err *err)
{
    return session_sync(b->session, b->id, (size_t)n, NULL, NULL, NULL, NULL, err);
}

/* One prefill of opt's tokens behind `depth` that are there. */
static bool run_prefill(struct bench *b, double *seconds, struct err *err)
{
    int depth = b->opt->bench_depth;
    double began;

    if (depth > 0 && !sync(b, depth, err))
        return false;
    b->id[depth] = (b->id[depth] + 1) % b->n_tokens;
    began = clock_seconds();
    if (!sync(b, depth + b->opt->bench_prefill, err))
        return false;
    *seconds = clock_seconds() - began;
    return true;
}

/* One decode of opt's tokens; without a depth there is still a first token. */
static bool run_decode(struct bench *b, double *seconds, struct err *err)
{
    int depth = b->opt->bench_depth > 0 ? b->opt->bench_depth : 1;
    uint64_t bytes;
    double began;

    if (!sync(b, depth, err))
        return false;
    bytes = session_weight_bytes(b->session);
    began = clock_seconds();
    for (int i = 0; i < b->opt->bench_decode; i++)
        if (!session_eval(b->session, random_id(b), err))
            return false;
    *seconds = clock_seconds() - began;
    b->bytes = session_weight_bytes(b->session) - bytes;
    return true;
}

typedef bool (*bench_fn)(struct bench *b, double *seconds, struct err *err);

static bool repeat(struct bench *b, bench_fn fn, int n_tokens, struct err *err)
{
    for (int i = 0; i < b->opt->bench_repeat; i++) {
        double seconds;

        if (!fn(b, &seconds, err))
            return false;
        b->rate[i] = seconds > 0 ? n_tokens / seconds : 0;
    }
    return true;
}

/* ---- results ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

struct result {
    const char *test;
    int tokens;
    double median, min, max;
    double bytes_per_token; /* 0: not told */
};

static struct result result_of(struct bench *b, const char *test, int n_tokens)
{
    int n = b->opt->bench_repeat;

    qsort(b->rate, (size_t)n, sizeof(*b->rate), by_value);
    return (struct result){.test = test,
                           .tokens = n_tokens,
                           .median = (b->rate[(n - 1) / 2] + b->rate[n / 2]) / 2,
                           .min = b->rate[0],
                           .max = b->rate[n - 1]};
}

static void add_json(struct json_writer *w, const struct bench *b,
                     const struct result *r)
{
    json_object(w);
    json_key(w, "test");
    json_text(w, r->test);
    json_key(w, "tokens");
    json_integer(w, r->tokens);
    json_key(w, "depth");
    json_integer(w, b->opt->bench_depth);
    json_key(w, "threads");
    json_integer(w, b->info->n_threads);
    json_key(w, "device");
    json_text(w, b->info->backend);
    json_key(w, "tokens_per_s");
    json_object(w);
    json_key(w, "median");
    json_number(w, r->median);
    json_key(w, "min");
    json_number(w, r->min);
    json_key(w, "max");
    json_number(w, r->max);
    json_end_object(w);
    json_key(w, "bytes_per_token");
    if (r->bytes_per_token > 0)
        json_number(w, r->bytes_per_token);
    else
        json_null(w);
    json_key(w, "bandwidth_gb_s");
    if (r->bytes_per_token > 0)
        json_number(w, r->bytes_per_token * r->median / 1e9);
    else
        json_null(w);
    json_end_object(w);
}

static void add_line(struct buf *out, const struct bench *b, const struct result *r)
{
    buf_addf(out,
             "%-8s %6d tokens at depth %d: %.2f tokens/s (%.2f to %.2f), %s, %d "
             "threads",
             r->test, r->tokens, b->opt->bench_depth, r->median, r->min, r->max,
             b->info->backend, b->info->n_threads);
    if (r->bytes_per_token > 0)
        buf_addf(out, ", %.1f MB a token, %.2f GB/s", r->bytes_per_token / 1e6,
                 r->bytes_per_token * r->median / 1e9);
    buf_add_char(out, '\n');
}

static bool write_results(const struct bench *b, const struct result *r, int n,
                          struct err *err)
{
    struct json_writer w;
    struct buf out;
    bool ok;

    buf_init(&out, BUF_UNLIMITED);
    json_begin(&w, &out);
    if (b->opt->json)
        json_array(&w);
    for (int i = 0; i < n; i++)
        if (b->opt->json)
            add_json(&w, b, &r[i]);
        else
            add_line(&out, b, &r[i]);
    if (b->opt->json) {
        json_end_array(&w);
        buf_add_char(&out, '\n');
    }
    ok = output_write(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}

/* ---- the whole ---- */

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static bool measure(struct bench *b, struct err *err)
{
    const struct options *opt = b->opt;
    struct result results[2];
    int n = 0;

    if (!sync(b, b->n_warm_up, err))
        return false;
    if (opt->bench_prefill > 0) {
        if (!repeat(b, run_prefill, opt->bench_prefill, err))
            return false;
        results[n++] = result_of(b, "prefill", opt->bench_prefill);
    }
    if (opt->bench_decode > 0) {
        if (!repeat(b, run_decode, opt->bench_decode, err))
            return false;
        results[n] = result_of(b, "decode", opt->bench_decode);
        results[n++].bytes_per_token = (double)b->bytes / opt->bench_decode;
    }
    return write_results(b, results, n, err);
}

bool cmd_bench(const struct options *opt, struct err *err)
{
    int n = max_int(opt->bench_depth, 1) +
            max_int(max_int(opt->bench_prefill, opt->bench_decode), WARM_UP_TOKENS);
    struct session_options how = model_session_options(opt);
    struct bench b = {.opt = opt, .random = 1};
    struct engine *engine = model_open(opt, MODEL_WHOLE, err);
    bool ok = false;

    if (engine == NULL)
        return false;
    b.info = engine_info(engine);
    b.n_tokens = tokenizer_n_tokens(engine_tokenizer(engine));
    b.id = mem_array((size_t)n, sizeof(*b.id));
    b.rate = mem_array((size_t)opt->bench_repeat, sizeof(*b.rate));
    for (int i = 0; i < n; i++)
        b.id[i] = random_id(&b);
    how.ctx_tokens = opt->ctx > 0 ? opt->ctx : n;
    b.n_warm_up = WARM_UP_TOKENS < how.ctx_tokens ? WARM_UP_TOKENS : how.ctx_tokens;
    b.session = session_open(engine, &how, err);
    if (b.session != NULL)
        ok = measure(&b, err);
    session_close(b.session);
    free(b.id);
    free(b.rate);
    engine_close(engine);
    return ok;
}
