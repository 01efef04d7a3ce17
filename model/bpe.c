/* SPDX-License-Identifier: MIT
 *
 * Byte-pair merges: see bpe.h.
 *
 * Short pieces, nearly all there are, go through a linear scan over a small array on
 * the stack. Long ones (a page of one letter is one piece) go through a heap of pairs
 * over a linked list: an entry is (rank, position) in one 64-bit number, so that its
 * order is the order of merging, and it is stale, and dropped when it comes up, if the
 * pair at that position has another rank by then.
 */
#include "config.h"

#include "model/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

#define SHORT_BYTES 64
#define NO_RANK INT32_MAX

void bpe_init(struct bpe *b, size_t n_rules)
{
    memset(b, 0, sizeof(*b));
    memset(b->byte_id, 0xFF, sizeof(b->byte_id));
    b->n_slots = 64;
    b->shift = 58;
    while (b->n_slots < 2 * n_rules) {
        b->n_slots *= 2;
        b->shift--;
    }
    b->rule = mem_array(b->n_slots, sizeof(*b->rule));
    for (size_t i = 0; i < b->n_slots; i++)
        b->rule[i].rank = -1;
}

void bpe_release(struct bpe *b)
{
    free(b->rule);
    memset(b, 0, sizeof(*b));
}

/* The slot of a pair, or the free one where it would be. */
static inline size_t find_slot(const struct bpe *b, uint64_t pair)
{
    size_t i = (size_t)((pair * 0x9E3779B97F4A7C15U) >> b->shift);

    while (b->rule[i].rank >= 0 && b->rule[i].pair != pair)
        i = (i + 1) & (b->n_slots - 1);
    return i;
}

static inline uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

void bpe_add(struct bpe *b, int32_t left, int32_t right, int32_t id)
{
    struct bpe_rule *rule = &b->rule[find_slot(b, pair_of(left, right))];

    if (rule->rank < 0)
        *rule = (struct bpe_rule){pair_of(left, right), (int32_t)b->n, id};
    b->n++;
}

void bpe_scratch_release(struct bpe_scratch *s)
{
    free(s->node);
    free(s->heap);
    memset(s, 0, sizeof(*s));
}

/* The rank of a pair, NO_RANK where no rule has it; *id is what it becomes. */
static inline int32_t rank_of(const struct bpe *b, int32_t left, int32_t right,
                              int32_t *id)
{
    const struct bpe_rule *rule = &b->rule[find_slot(b, pair_of(left, right))];

    *id = rule->id;
    return rule->rank < 0 ? NO_RANK : rule->rank;
}

/* ---- short pieces ---- */

/* Ids of the piece, and for each the rank and result of the pair that it begins. */
struct row {
    int32_t id[SHORT_BYTES];
    int32_t rank[SHORT_BYTES];
    int32_t joined[SHORT_BYTES];
    size_t n;
};

static inline void row_rank(const struct bpe *b, struct row *r, size_t i)
{
    r->rank[i] = NO_RANK;
    if (i + 1 < r->n)
        r->rank[i] = rank_of(b, r->id[i], r->id[i + 1], &r->joined[i]);
}

static void row_drop(struct row *r, size_t i)
{
    size_t tail = (r->n - i - 1) * sizeof(r->id[0]);

    memmove(r->id + i, r->id + i + 1, tail);
    memmove(r->rank + i, r->rank + i + 1, tail);
    memmove(r->joined + i, r->joined + i + 1, tail);
    r->n--;
}

static void encode_short(const struct bpe *b, const char *piece, size_t len,
                         struct tokens *out)
{
    struct row r;

    r.n = 0;
    for (size_t i = 0; i < len; i++) {
        int32_t id = b->byte_id[(unsigned char)piece[i]];

        if (id >= 0)
            r.id[r.n++] = id;
    }
    for (size_t i = 0; i < r.n; i++)
        row_rank(b, &r, i);
    while (r.n > 0) {
        size_t best = 0;

        for (size_t i = 1; i < r.n; i++)
            if (r.rank[i] < r.rank[best])
                best = i;
        if (r.rank[best] == NO_RANK)
            break;
        r.id[best] = r.joined[best];
        row_drop(&r, best + 1);
        row_rank(b, &r, best);
        if (best > 0)
            row_rank(b, &r, best - 1);
    }
    tokens_add_all(out, r.id, r.n);
}

/* ---- long pieces ---- */

struct node {
    int32_t id;   /* -1: merged into the one before */
    int32_t rank; /* of the pair with the next one */
    int32_t joined;
    int32_t next, before; /* -1: none */
};

struct work {
    const struct bpe *bpe;
    struct node *node;
    uint64_t *heap;
    size_t n_heap;
};

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t value = heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= n)
            break;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= value)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = value;
}

static void heap_push(struct work *w, uint64_t value)
{
    size_t i = w->n_heap++;

    while (i > 0 && w->heap[(i - 1) / 2] > value) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = value;
}

static uint64_t heap_pop(struct work *w)
{
    uint64_t top = w->heap[0];

    w->heap[0] = w->heap[--w->n_heap];
    if (w->n_heap > 0)
        sift_down(w->heap, w->n_heap, 0);
    return top;
}

/* Ranks the pair that begins at node i. */
static void rank_node(struct work *w, int32_t i)
{
    struct node *node = &w->node[i];

    node->rank = NO_RANK;
    if (node->next >= 0)
        node->rank = rank_of(w->bpe, node->id, w->node[node->next].id, &node->joined);
}

static void rank_and_push(struct work *w, int32_t i)
{
    rank_node(w, i);
    if (w->node[i].rank != NO_RANK)
        heap_push(w, (uint64_t)w->node[i].rank << 32 | (uint32_t)i);
}

static void merge_at(struct work *w, int32_t i)
{
    struct node *node = &w->node[i];
    int32_t gone = node->next;

    node->id = node->joined;
    node->next = w->node[gone].next;
    w->node[gone].id = -1;
    w->node[gone].rank = NO_RANK;
    if (node->next >= 0)
        w->node[node->next].before = i;
    rank_and_push(w, i);
    if (node->before >= 0)
        rank_and_push(w, node->before);
}

/* A merge takes one entry and adds two at most, and there are fewer than n merges: the
 * heap never holds more than 2 n. */
static bool reserve(struct bpe_scratch *s, size_t n, struct err *err)
{
    if (n <= s->cap)
        return true;
    bpe_scratch_release(s);
    s->node = mem_try(n, sizeof(struct node), "a long piece of text", err);
    s->heap = mem_try(2 * n, sizeof(*s->heap), "a long piece of text", err);
    if (s->node == NULL || s->heap == NULL) {
        bpe_scratch_release(s);
        return false;
    }
    s->cap = n;
    return true;
}

/* Links the tokens of the single bytes; returns how many there are. */
static size_t fill(struct work *w, const char *piece, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int32_t id = w->bpe->byte_id[(unsigned char)piece[i]];

        if (id < 0)
            continue;
        w->node[n] = (struct node){.id = id, .next = -1, .before = (int32_t)n - 1};
        if (n > 0)
            w->node[n - 1].next = (int32_t)n;
        n++;
    }
    for (size_t i = 0; i < n; i++)
        rank_and_push(w, (int32_t)i);
    return n;
}

bool bpe_encode(const struct bpe *b, struct bpe_scratch *scratch, const char *piece,
                size_t len, struct tokens *out, struct err *err)
{
    struct work w = {.bpe = b};

    if (len <= SHORT_BYTES) {
        encode_short(b, piece, len, out);
        return true;
    }
    if (!reserve(scratch, len, err))
        return false;
    w.node = scratch->node;
    w.heap = scratch->heap;
    if (fill(&w, piece, len) == 0)
        return true;
    while (w.n_heap > 0) {
        uint64_t top = heap_pop(&w);
        int32_t i = (int32_t)(uint32_t)top;

        if (w.node[i].rank == (int32_t)(top >> 32))
            merge_at(&w, i);
    }
    for (int32_t i = 0; i >= 0; i = w.node[i].next)
        tokens_add(out, w.node[i].id);
    return true;
}
