/* SPDX-License-Identifier: MIT
 *
 * The engine: a model's weights, tokenizer, chat format and back end. Immutable once
 * open. With session.h, tokenizer.h, chat.h, sampler.h and tokens.h, the face of
 * this room to the rest of the program.
 */
#ifndef HADAL_MODEL_ENGINE_H
#define HADAL_MODEL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/chat.h"
#include "model/sampler.h"
#include "model/tokenizer.h"
#include "src/base/err.h"

enum backend_kind { BACKEND_AUTO, BACKEND_CPU, BACKEND_CUDA, BACKEND_REF };

struct engine_options {
    const char *path; /* .gguf (first part of a split set), or a model folder */
    enum backend_kind backend;
    int n_threads;        /* 0: one per core this process may use */
    bool vocabulary_only; /* tokenizer and chat format; no weights needed or loaded */
    const char *chat_format; /* override by name; NULL: detected */
};

/* What `show`, the status line and the doctor tell. Strings live as long as the engine
 * and are the file's words: they go through termtext before a terminal. */
struct engine_info {
    const char *path;
    const char *name;         /* general.name, or the file's name */
    const char *architecture; /* "deepseek2" */
    const char *type;         /* of most weight bytes: "Q4_K" */
    const char *backend;      /* "cpu" */
    const char *kernels;      /* "avx2+fma+f16c" */
    const char *chat_format;  /* "deepseek-v3"; "none" */
    bool chat_format_guessed;
    const char *chat_note; /* why a recognised format cannot be used, or NULL */
    int n_threads;
    int n_layer, hidden, n_head, vocab, n_expert, n_expert_used, ctx_train;
    int64_t n_params;
    size_t file_bytes;
    size_t cache_bytes_per_token; /* F16 */
    struct sampling advised; /* what the file recommends; negative: it does not say */
};

struct engine;

/* ERR_MODEL (missing, damaged, unsupported; the text begins with the path), ERR_MEMORY,
 * ERR_DEVICE. */
struct engine *engine_open(const struct engine_options *opt, struct err *err) MUST_USE;
void engine_close(struct engine *e); /* accepts NULL */

/* What a GGUF file says about itself, for lists: its header is read, nothing else. */
struct engine_facts {
    char architecture[64]; /* "" where the file does not say */
    const char *type;      /* of most weight bytes */
    bool is_supported;     /* the architecture is one that the decoder has */
    int64_t n_params;      /* elements of all tensors */
    size_t file_bytes;
};
bool engine_look(const char *path, struct engine_facts *out, struct err *err) MUST_USE;

const struct engine_info *engine_info(const struct engine *e);
const struct tokenizer *engine_tokenizer(const struct engine *e);
enum chat_format engine_chat_format(const struct engine *e);

#endif
