/* SPDX-License-Identifier: MIT
 *
 * Sampling: see sampler.h.
 *
 * A vocabulary has 100,000 entries and more, of which a handful matter: candidates far
 * below the best are dropped before the exponential is taken, and the rest is a heap
 * from which only as many are taken as the nucleus needs, so that no sampling step
 * sorts the vocabulary.
 *
 * Arithmetic is in double, so that the last bit of exp() on some machine decides a
 * draw once in 10^15, not once in 10^7.
 */
#include "config.h"

#include "model/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "src/base/clock.h"
#include "src/base/mem.h"

#define N_RECENT 64 /* tokens that the repetition penalty looks back on */

/* Candidates below e^-30 = 1e-13 of the best are never drawn: together 1e-8 for the
 * largest vocabularies, and with real logits that is nearly all of them. */
#define NEGLIGIBLE 30.0

struct candidate {
    double weight; /* the probability but for a common factor: 1 for the best */
    int32_t id;
};

struct sampler {
    struct sampling how;
    int vocab;
    uint64_t rng[4];
    int32_t recent[N_RECENT]; /* ring of the last tokens */
    size_t n_accepted;
    float *logit;           /* [vocab], with the penalty applied */
    struct candidate *cand; /* [vocab] */
};

/* SplitMix64 (Steele, Lea, Flood 2014), to fill the state from one seed. */
static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15U);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

/* xoshiro256** (Blackman, Vigna 2018), as a number in [0, 1) of 53 bits. */
static double next_uniform(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return (double)(result >> 11) * 0x1.0p-53;
}

uint64_t sampler_draw_seed(void)
{
    uint32_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint32_t)clock_utc_ms();
    return seed;
}

struct sampler *sampler_open(const struct sampling *how, int vocab)
{
    struct sampler *s = mem_zalloc(sizeof(*s));
    uint64_t seed = how->seed;

    s->how = *how;
    s->vocab = vocab;
    for (int i = 0; i < 4; i++)
        s->rng[i] = split_mix(&seed);
    s->logit = mem_array((size_t)vocab, sizeof(*s->logit));
    s->cand = mem_array((size_t)vocab, sizeof(*s->cand));
    return s;
}

void sampler_close(struct sampler *s)
{
    if (s == NULL)
        return;
    free(s->logit);
    free(s->cand);
    free(s);
}

void sampler_accept(struct sampler *s, int32_t id)
{
    s->recent[s->n_accepted % N_RECENT] = id;
    s->n_accepted++;
}

/* -1 when none is finite. */
static int32_t argmax(const float *logit, int n)
{
    int32_t best = -1;

    for (int32_t id = 0; id < n; id++)
        if (isfinite(logit[id]) && (best < 0 || logit[id] > logit[best]))
            best = id;
    return best;
}

/* Once for each token among the recent ones, however often it came (Keskar and others,
 * arXiv:1909.05858). */
static void penalise(struct sampler *s, int n)
{
    float penalty = s->how.repeat_penalty;
    size_t n_recent = s->n_accepted < N_RECENT ? s->n_accepted : N_RECENT;

    for (size_t i = 0; i < n_recent; i++) {
        int32_t id = s->recent[i];
        bool seen = false;

        for (size_t j = 0; j < i && !seen; j++)
            seen = s->recent[j] == id;
        if (seen || id < 0 || id >= n)
            continue;
        if (s->logit[id] > 0.0F)
            s->logit[id] /= penalty;
        else
            s->logit[id] *= penalty;
    }
}

/* Fills s->cand in the order of ids; returns how many. */
static int collect(struct sampler *s, int n, int32_t best)
{
    double max = s->logit[best];
    double temperature = s->how.temperature;
    float lowest = (float)(max - NEGLIGIBLE * temperature);
    int n_cand = 0;

    for (int32_t id = 0; id < n; id++) {
        /* False for NaN too; +inf is no candidate either. */
        if (!(s->logit[id] >= lowest) || !isfinite(s->logit[id]))
            continue;
        s->cand[n_cand].id = id;
        s->cand[n_cand].weight = exp((s->logit[id] - max) / temperature);
        n_cand++;
    }
    return n_cand;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->weight > b->weight || (a->weight == b->weight && a->id < b->id);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate t = *a;

    *a = *b;
    *b = t;
}

/* Restores the heap order (a parent is better than its children) below `at`. */
static void sift_down(struct candidate *heap, int n, int at)
{
    for (;;) {
        int child = 2 * at + 1;

        if (child >= n)
            return;
        if (child + 1 < n && is_better(&heap[child + 1], &heap[child]))
            child++;
        if (!is_better(&heap[child], &heap[at]))
            return;
        swap(&heap[at], &heap[child]);
        at = child;
    }
}

static void make_heap(struct candidate *cand, int n)
{
    for (int at = n / 2 - 1; at >= 0; at--)
        sift_down(cand, n, at);
}

/* Moves the best of cand[0..n_heap) to its end, and so out of the heap. The sorted
 * candidates grow downwards from the array's end, best last. */
static const struct candidate *take_best(struct candidate *cand, int n_heap)
{
    swap(&cand[0], &cand[n_heap - 1]);
    sift_down(cand, n_heap - 1, 0);
    return &cand[n_heap - 1];
}

static double sum_weights(const struct candidate *cand, int n)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++)
        sum += cand[i].weight;
    return sum;
}

/* Drops what top-k, top-p and min-p leave out. Returns how many stay: the last ones of
 * cand[0..n). */
static int truncate_tail(const struct sampling *how, struct candidate *cand, int n)
{
    int n_top = n;
    int n_sorted = 0;
    double mass = 0.0;
    double nucleus;
    int kept = 0;

    make_heap(cand, n);
    if (how->top_k > 0 && how->top_k < n) {
        n_top = how->top_k;
        for (; n_sorted < n_top; n_sorted++)
            take_best(cand, n - n_sorted);
    }
    nucleus = how->top_p * sum_weights(cand + n - n_top, n_top);
    while (kept < n_top) {
        if (kept == n_sorted) {
            take_best(cand, n - n_sorted);
            n_sorted++;
        }
        if (kept > 0 && cand[n - 1 - kept].weight < how->min_p)
            break;
        mass += cand[n - 1 - kept].weight;
        kept++;
        if (how->top_p < 1.0F && mass >= nucleus)
            break;
    }
    return kept;
}

static int32_t draw(uint64_t rng[4], const struct candidate *cand, int n)
{
    double left = next_uniform(rng) * sum_weights(cand, n);

    for (int i = 0; i < n - 1; i++) {
        left -= cand[i].weight;
        if (left < 0.0)
            return cand[i].id;
    }
    return cand[n - 1].id;
}

int32_t sampler_pick(struct sampler *s, const float *logits, int n_allowed)
{
    const struct sampling *how = &s->how;
    int n = n_allowed < s->vocab ? n_allowed : s->vocab;
    int32_t best = argmax(logits, n);
    int n_cand;
    int kept;

    if (best < 0 || !(how->temperature > 0.0F))
        return best;
    for (int id = 0; id < n; id++)
        s->logit[id] = logits[id];
    if (how->repeat_penalty > 0.0F && how->repeat_penalty != 1.0F) {
        penalise(s, n);
        best = argmax(s->logit, n);
        if (best < 0)
            return -1;
    }
    n_cand = collect(s, n, best);
    kept = n_cand;
    if (how->top_k > 0 || how->top_p < 1.0F || how->min_p > 0.0F)
        kept = truncate_tail(how, s->cand, n_cand);
    return draw(s->rng, s->cand + n_cand - kept, kept);
}
