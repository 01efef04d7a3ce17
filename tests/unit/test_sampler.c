/* SPDX-License-Identifier: MIT
 *
 * The sampler: each truncation rule on a small distribution, the frequencies of many
 * draws, and draws that are the same on every machine.
 */
#include "config.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/sampler.h"
#include "tests/test.h"

enum { N = 6 };

/* ln of 0.4, 0.25, 0.15, 0.1, 0.06, 0.04, in an order of ids that is not sorted. */
static const float p[N] = {0.1F, 0.4F, 0.04F, 0.25F, 0.06F, 0.15F};

static void logits_of_p(float logit[N])
{
    for (int i = 0; i < N; i++)
        logit[i] = logf(p[i]) + 3.0F;
}

static const struct sampling plain = {
    .temperature = 1.0F, .top_p = 1.0F, .repeat_penalty = 1.0F, .seed = 7};

/* Draws n times and counts. */
static void count(const struct sampling *how, const float *logit, int n_allowed, int n,
                  int counts[N])
{
    struct sampler *s = sampler_open(how, N);

    for (int i = 0; i < N; i++)
        counts[i] = 0;
    for (int i = 0; i < n; i++) {
        int32_t id = sampler_pick(s, logit, n_allowed);

        if (!CHECK(id >= 0 && id < n_allowed))
            break;
        counts[id]++;
    }
    sampler_close(s);
}

/* Chi-square of counts against probabilities (those of 0 must not occur); 30 is beyond
 * the 99.999th percentile of 5 degrees of freedom, and the seed is fixed. */
static void check_frequencies(const int counts[N], const double want[N], int n)
{
    double chi2 = 0.0;

    for (int i = 0; i < N; i++) {
        double expected = want[i] * n;

        if (want[i] > 0.0)
            chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
        else if (counts[i] != 0)
            FAIL("id %d was drawn %d times", i, counts[i]);
    }
    if (chi2 > 30.0)
        FAIL("chi-square %.1f", chi2);
}

static void draw_and_check(const struct sampling *how, const double want[N])
{
    enum { DRAWS = 20000 };
    float logit[N];
    int counts[N];

    logits_of_p(logit);
    count(how, logit, N, DRAWS, counts);
    check_frequencies(counts, want, DRAWS);
}

static void greedy(void)
{
    const float logit[N] = {1.0F, 2.0F, 5.0F, 5.0F, NAN, 4.0F};
    struct sampling how = {.temperature = 0.0F, .top_k = 3, .repeat_penalty = 9.0F};
    struct sampler *s = sampler_open(&how, N);

    sampler_accept(s, 2);
    CHECK(sampler_pick(s, logit, N) == 2); /* lowest of the ties, nothing else counts */
    CHECK(sampler_pick(s, logit, 2) == 1);
    sampler_close(s);
}

static void plain_draw(void)
{
    const double want[N] = {0.1, 0.4, 0.04, 0.25, 0.06, 0.15};

    draw_and_check(&plain, want);
}

static void temperature(void)
{
    struct sampling how = plain;
    double want[N];
    double sum = 0.0;

    how.temperature = 0.5F;
    for (int i = 0; i < N; i++)
        sum += (double)p[i] * (double)p[i];
    for (int i = 0; i < N; i++)
        want[i] = (double)p[i] * (double)p[i] / sum;
    draw_and_check(&how, want);
}

static void top_k(void)
{
    const double want[N] = {0, 0.4 / 0.8, 0, 0.25 / 0.8, 0, 0.15 / 0.8};
    struct sampling how = plain;

    how.top_k = 3;
    draw_and_check(&how, want);
}

/* The smallest set that reaches p: 0.4 + 0.25 < 0.7 <= 0.4 + 0.25 + 0.15. */
static void top_p(void)
{
    const double want[N] = {0, 0.4 / 0.8, 0, 0.25 / 0.8, 0, 0.15 / 0.8};
    struct sampling how = plain;

    how.top_p = 0.7F;
    draw_and_check(&how, want);
    how.top_p = 0.0F;
    draw_and_check(&how, (const double[N]){0, 1, 0, 0, 0, 0});
}

/* top-p counts within what top-k left: 0.4 / 0.65 >= 0.6. */
static void top_k_then_top_p(void)
{
    struct sampling how = plain;

    how.top_k = 2;
    how.top_p = 0.6F;
    draw_and_check(&how, (const double[N]){0, 1, 0, 0, 0, 0});
}

/* Those with at least 0.2 of the best one's probability: 0.4 * 0.2 = 0.08. */
static void min_p(void)
{
    const double want[N] = {0.1 / 0.9, 0.4 / 0.9, 0, 0.25 / 0.9, 0, 0.15 / 0.9};
    struct sampling how = plain;

    how.min_p = 0.2F;
    draw_and_check(&how, want);
}

static void repeat_penalty(void)
{
    struct sampling how = {
        .temperature = 1.0F, .top_k = 1, .top_p = 1.0F, .repeat_penalty = 2.0F};
    const float logit[N] = {3.0F, 2.0F, -1.0F, -1.5F, -9.0F, -9.0F};
    struct sampler *s = sampler_open(&how, N);

    CHECK(sampler_pick(s, logit, N) == 0);
    sampler_accept(s, 0);
    sampler_accept(s, 0);
    CHECK(sampler_pick(s, logit, N) == 1); /* 3 / 2, once although it came twice */
    sampler_accept(s, 1);
    CHECK(sampler_pick(s, logit, N) == 0); /* 1.5 against 2 / 2 */
    for (int i = 0; i < 64; i++)
        sampler_accept(s, 5); /* 0 and 1 are forgotten */
    CHECK(sampler_pick(s, logit, N) == 0);
    sampler_close(s);
}

static void rows_without_a_token(void)
{
    float logit[N];
    int counts[N];

    logits_of_p(logit);
    logit[5] = 100.0F;
    count(&plain, logit, 5, 1000, counts);
    CHECK(counts[5] == 0);
}

static void nothing_finite(void)
{
    const float logit[N] = {NAN, INFINITY, -INFINITY, NAN, NAN, NAN};
    struct sampling greedy_how = {.temperature = 0.0F};
    struct sampler *a = sampler_open(&plain, N);
    struct sampler *b = sampler_open(&greedy_how, N);

    CHECK(sampler_pick(a, logit, N) == -1);
    CHECK(sampler_pick(b, logit, N) == -1);
    CHECK(sampler_pick(a, logit, 0) == -1);
    sampler_close(a);
    sampler_close(b);
}

static void some_not_finite(void)
{
    float logit[N] = {NAN, 1.0F, INFINITY, 1.0F, -INFINITY, NAN};
    struct sampling how = plain;
    int counts[N];

    count(&how, logit, N, 1000, counts);
    CHECK(counts[1] + counts[3] == 1000);
    how.top_p = 0.9F;
    count(&how, logit, N, 1000, counts);
    CHECK(counts[1] + counts[3] == 1000);
}

/* Settings at their limits: no fault, and an id that is there. */
static void odd_settings(void)
{
    const float odd[] = {NAN, INFINITY, -INFINITY, -1.0F, 0.0F, 1e-30F, 1e30F};
    float logit[N];

    logits_of_p(logit);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct sampling how[4] = {plain, plain, plain, plain};
        int counts[N];

        how[0].temperature = odd[i];
        how[1].top_p = odd[i];
        how[2].min_p = odd[i];
        how[3].repeat_penalty = odd[i];
        for (int j = 0; j < 4; j++) {
            how[j].top_k = -1;
            count(&how[j], logit, N, 50, counts);
        }
    }
}

/* The same ids on every machine and in every later version. Worked out by a second
 * implementation of the same rules, in Python. */
static void fixed_draws(void)
{
    static const int32_t want[] = {344, 838, 996, 554, 765, 686, 231, 620,
                                   963, 396, 541, 581, 409, 792, 20,  99,
                                   640, 132, 53,  818, 898, 601, 904, 185};
    enum { VOCAB = 1000 };
    struct sampling how = {.temperature = 0.8F,
                           .top_p = 0.95F,
                           .min_p = 0.01F,
                           .repeat_penalty = 1.1F,
                           .seed = 42};
    struct sampler *s = sampler_open(&how, VOCAB);
    float logit[VOCAB];

    for (int i = 0; i < VOCAB; i++)
        logit[i] = (float)(i * 7919 % 1009) / 100.0F;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        int32_t id = sampler_pick(s, logit, VOCAB);

        if (id != want[i])
            FAIL("draw %zu: %d, expected %d", i, id, want[i]);
        sampler_accept(s, id);
    }
    sampler_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"greedy", greedy},
        {"plain_draw", plain_draw},
        {"temperature", temperature},
        {"top_k", top_k},
        {"top_p", top_p},
        {"top_k_then_top_p", top_k_then_top_p},
        {"min_p", min_p},
        {"repeat_penalty", repeat_penalty},
        {"rows_without_a_token", rows_without_a_token},
        {"nothing_finite", nothing_finite},
        {"some_not_finite", some_not_finite},
        {"odd_settings", odd_settings},
        {"fixed_draws", fixed_draws},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
