/* SPDX-License-Identifier: MIT
 *
 * Byte-pair merges: the table of rules, and their application to one piece.
 */
#ifndef HADAL_MODEL_BPE_H
#define HADAL_MODEL_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/tokens.h"
#include "src/base/err.h"

struct bpe_rule {
    uint64_t pair; /* left id, right id */
    int32_t rank;  /* lower goes first; -1: the slot is free */
    int32_t id;    /* what the pair becomes */
};

struct bpe {
    struct bpe_rule *rule; /* open addressing by pair */
    size_t n_slots;        /* a power of two */
    size_t n;
    int shift;            /* 64 - log2(n_slots) */
    int32_t byte_id[256]; /* the token of a single byte; -1: none */
};

void bpe_init(struct bpe *b, size_t n_rules);
void bpe_release(struct bpe *b); /* accepts zeroed storage */

/* Adds the next rule; the first of two for one pair holds. At most n_rules. */
void bpe_add(struct bpe *b, int32_t left, int32_t right, int32_t id);

/* Room for long pieces, kept between them. Zeroed before the first use. */
struct bpe_scratch {
    void *node; /* struct node [cap] */
    uint64_t *heap;
    size_t cap;
};
void bpe_scratch_release(struct bpe_scratch *s);

/* Appends the ids of one piece: from single bytes, the pair of lowest rank first, the
 * leftmost of equals. Bytes without a token are left out, as the reference does it
 * (some vocabularies lack a few controls). O(n log n). False (ERR_MEMORY) when there is
 * no room for a long piece. */
bool bpe_encode(const struct bpe *b, struct bpe_scratch *scratch, const char *piece,
                size_t len, struct tokens *out, struct err *err) MUST_USE;

#endif
