/* SPDX-License-Identifier: MIT
 *
 * Byte-level BPE: text to token ids and back (spec/tokenizer.md).
 *
 * Immutable once open; any thread may read it. Linear in the length of the text, no
 * recursion on input. Text that is not UTF-8 is repaired first (src/base/utf8.h).
 */
#ifndef HADAL_MODEL_TOKENIZER_H
#define HADAL_MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/format/gguf.h"
#include "model/tokens.h"
#include "src/base/err.h"

struct tokenizer;

/* Whether added tokens (<|User|>, </think>, ...) are recognised in the text. Never for
 * text of people, files, history: TOKENIZER_PLAIN. */
enum tokenizer_mode { TOKENIZER_PLAIN, TOKENIZER_SPECIAL };

/* From the keys tokenizer.ggml.* of a GGUF. n_rows: rows of the embedding (ids must be
 * below), 0 = unknown (vocabulary-only files). ERR_MODEL; an unknown pre-tokenizer is
 * refused by name. */
struct tokenizer *tokenizer_open_gguf(const struct gguf *g, int n_rows,
                                      struct err *err) MUST_USE;
/* From a folder in Hugging Face layout: tokenizer.json, tokenizer_config.json,
 * config.json/generation_config.json where present. */
struct tokenizer *tokenizer_open_folder(const char *path, struct err *err) MUST_USE;
void tokenizer_close(struct tokenizer *t); /* accepts NULL */

/* Appends the ids of text[0..len). No BOS is added. */
bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                      enum tokenizer_mode mode, struct tokens *out,
                      struct err *err) MUST_USE;

/* The bytes of a token (added tokens give their text), borrowed; *len may be 0 for ids
 * without text. NULL when the id is out of range. */
const char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *len);

int tokenizer_n_tokens(const struct tokenizer *t); /* ids below this have an entry */
bool tokenizer_is_added(const struct tokenizer *t,
                        int32_t id); /* control, user-defined */
bool tokenizer_is_normal(const struct tokenizer *t,
                         int32_t id); /* may be shown as text */
int32_t tokenizer_find(const struct tokenizer *t,
                       const char *text); /* added token; -1 */

int32_t tokenizer_bos(const struct tokenizer *t); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t); /* -1: none */
bool tokenizer_wants_bos(
    const struct tokenizer *t); /* raw completion begins with BOS */
bool tokenizer_is_end(const struct tokenizer *t, int32_t id); /* the SET of end ids */
const char *tokenizer_pre(const struct tokenizer *t);         /* "deepseek-v3" */
/* The chat template's text as the model's files carry it, or NULL. */
const char *tokenizer_template(const struct tokenizer *t);

#endif
