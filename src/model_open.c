/* SPDX-License-Identifier: MIT
 *
 * Opening a model: see model_open.h.
 */
#include "config.h"

#include "src/model_open.h"

#include "src/catalog.h"
#include "src/interrupt.h"

struct engine_options model_engine_options(const struct options *opt, const char *path)
{
    return (struct engine_options){.path = path,
                                   .backend = (enum backend_kind)opt->device,
                                   .n_threads = opt->threads,
                                   .chat_format = opt->chat_format};
}

static enum session_cache cache_type(const struct options *opt,
                                     enum session_cache otherwise)
{
    return opt->cache_type >= 0 ? (enum session_cache)opt->cache_type : otherwise;
}

struct session_options model_session_options(const struct options *opt)
{
    return (struct session_options){.ctx_tokens = opt->ctx,
                                    .cache = cache_type(opt, SESSION_CACHE_F16)};
}

struct sampling model_sampling(const struct options *opt)
{
    return (struct sampling){
        .temperature = (float)opt->temp,
        .top_k = opt->top_k,
        .top_p = (float)opt->top_p,
        .min_p = (float)opt->min_p,
        .repeat_penalty = (float)opt->repeat_penalty,
        .seed = opt->seed >= 0 ? (uint64_t)opt->seed : sampler_draw_seed(),
    };
}

struct engine *model_open(const struct options *opt, enum model_parts parts,
                          struct err *err)
{
    struct catalog_model model;
    struct engine_options how;
    struct engine *engine;

    if (!catalog_resolve(opt, &model, err))
        return NULL;
    interrupt_guard_model(model.path, NULL);
    how = model_engine_options(opt, model.path);
    how.vocabulary_only = parts == MODEL_VOCABULARY;
    engine = engine_open(&how, err);
    catalog_model_release(&model);
    return engine;
}

struct session *model_open_session(struct engine *engine, const struct options *opt,
                                   enum session_cache cache, size_t n_tokens,
                                   struct err *err)
{
    int ctx = opt->ctx > 0 ? opt->ctx : engine_info(engine)->ctx_train;
    struct session_options how = {.ctx_tokens = opt->ctx,
                                  .cache = cache_type(opt, cache)};

    if (n_tokens > (size_t)ctx) {
        err_set(err, ERR_CONTEXT,
                "the context is too small: %zu tokens are wanted, it holds %d; "
                "give a larger --ctx",
                n_tokens, ctx);
        return NULL;
    }
    if (opt->ctx == 0)
        how.ctx_tokens = (int)n_tokens;
    return session_open(engine, &how, err);
}
