/* SPDX-License-Identifier: MIT
 *
 * Inside of a tokenizer, for the files that load one: tokenizer_gguf.c and
 * tokenizer_hf.c fill it, tokenizer_finish completes and checks it, tokenizer.c uses
 * it.
 */
#ifndef HADAL_MODEL_TOKENIZER_PRIV_H
#define HADAL_MODEL_TOKENIZER_PRIV_H

#include "model/added.h"
#include "model/bpe.h"
#include "model/pretok.h"
#include "model/tokenizer.h"
#include "model/vocab.h"

/* Longer ones are refused: the longest real one has 60 bytes, and the search for added
 * tokens takes their length times the text's. */
#define TOKENIZER_MAX_ADDED_BYTES 1024

struct tokenizer {
    struct vocab vocab;
    struct bpe bpe;
    const struct pretok *pretok;
    bool nfc;
    bool ignore_merges;
    struct added special; /* all added tokens */
    struct added letters; /* those recognised in plain text */
    int32_t bos, eos;     /* -1: none */
    bool wants_bos;
    struct tokens ends;
    char *template_text; /* NULL: none */
};

/* A tokenizer with nothing in it; -1 for all special ids. */
struct tokenizer *tokenizer_new(void);

/* Adds the merge "left right", number `rank`. What is wrong with it, or NULL. */
const char *tokenizer_add_merge(struct tokenizer *t, const char *left, size_t left_len,
                                const char *right, size_t right_len);

/* Marks id as one that ends an answer. */
void tokenizer_add_end(struct tokenizer *t, int32_t id);

/* Once vocabulary, merges, pretok, bos and eos are set: checks that printable ASCII has
 * tokens, and prepares the search for added tokens. `what` begins the message. */
bool tokenizer_finish(struct tokenizer *t, const char *what, struct err *err) MUST_USE;

#endif
