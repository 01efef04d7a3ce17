/* SPDX-License-Identifier: MIT
 *
 * The vocabulary: the bytes of every token id, what kind of token it is, and the way
 * back from bytes to the id of a normal token.
 */
#ifndef HADAL_MODEL_VOCAB_H
#define HADAL_MODEL_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"
#include "src/base/err.h"

enum token_kind {
    TOKEN_NONE,    /* an id without text: fillers, reserved rows */
    TOKEN_NORMAL,  /* made by the merges */
    TOKEN_LETTER,  /* added, one letter, recognised in any text (spec/tokenizer.md 4) */
    TOKEN_USER,    /* added, from templates only */
    TOKEN_CONTROL, /* added, from templates only */
};

struct vocab_token {
    uint32_t at, len; /* in vocab.text */
    enum token_kind kind;
};

struct vocab {
    struct vocab_token *token; /* [n]; the id is the index */
    size_t n, cap;
    struct buf text;
    int32_t *slot;  /* open addressing by bytes; ids of normal tokens; -1 = free */
    size_t n_slots; /* a power of two */
};

/* n_expected: how many tokens will be added, for the size of the hash. */
void vocab_init(struct vocab *v, size_t n_expected);
void vocab_release(struct vocab *v); /* accepts zeroed storage */

/* Adds the token of the next id, by its text as files spell it: normal tokens in the
 * byte alphabet, added tokens as they are. False with *twin set to the id that a normal
 * token repeats, or to -1 when the texts are too long together. */
bool vocab_add(struct vocab *v, enum token_kind kind, const char *text, size_t len,
               int32_t *twin) MUST_USE;

/* The id of the normal token that has these bytes; -1. */
int32_t vocab_find(const struct vocab *v, const char *bytes, size_t len);
/* The same, by spelling in the byte alphabet. */
int32_t vocab_find_spelled(const struct vocab *v, const char *text, size_t len);

/* The bytes of a token; "" for one without text. id must be in range. */
const char *vocab_bytes(const struct vocab *v, int32_t id, size_t *len);

/* TOKEN_LETTER, TOKEN_NONE for fillers like "[PAD7]", or TOKEN_USER. */
enum token_kind vocab_added_kind(const char *text, size_t len);

#endif
