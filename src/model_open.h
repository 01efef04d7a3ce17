/* SPDX-License-Identifier: MIT
 *
 * From the options to an open model: which one, with which settings.
 */
#ifndef HADAL_MODEL_OPEN_H
#define HADAL_MODEL_OPEN_H

#include "model/engine.h"
#include "model/sampler.h"
#include "model/session.h"
#include "src/base/err.h"
#include "src/options.h"

/* How to open the model at path, and its session. */
struct engine_options model_engine_options(const struct options *opt, const char *path);
struct session_options model_session_options(const struct options *opt);

/* The sampling that the options say: negative where they say nothing (turn.h); a seed
 * not given is drawn. */
struct sampling model_sampling(const struct options *opt);

/* Resolves and opens the model that the options name, and guards its file against being
 * cut while it is mapped. */
enum model_parts { MODEL_VOCABULARY, MODEL_WHOLE };
struct engine *model_open(const struct options *opt, enum model_parts parts,
                          struct err *err) MUST_USE;

/* A session that holds n_tokens, or what --ctx says. ERR_CONTEXT with both numbers
 * where n_tokens are more than that, or than the model was trained for. cache: its type
 * where --cache-type does not say. */
struct session *model_open_session(struct engine *engine, const struct options *opt,
                                   enum session_cache cache, size_t n_tokens,
                                   struct err *err) MUST_USE;

#endif
