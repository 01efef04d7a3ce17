/* SPDX-License-Identifier: MIT
 *
 * The routing rules against choices worked out by hand: groups, bias, ties, damaged
 * numbers.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/backend.h"
#include "tests/test.h"

enum { MAX_EXPERT = 64, MAX_USED = 8 };

struct choice {
    int32_t expert[MAX_USED];
    float weight[MAX_USED];
};

static struct shape shape_of(enum gating_kind gating, int n_expert, int n_used,
                             int n_group, int n_group_used)
{
    return (struct shape){
        .n_expert = n_expert,
        .n_expert_used = n_used,
        .gating = gating,
        .n_group = n_group,
        .n_group_used = n_group_used,
        .weight_scale = 1.0F,
    };
}

static struct choice choose(const struct shape *shape, const float *logit,
                            const float *bias)
{
    float score[MAX_EXPERT];
    struct choice c;

    memcpy(score, logit, (size_t)shape->n_expert * sizeof(*score));
    router_choose(shape, score, bias, c.expert, c.weight);
    return c;
}

static void expect(const struct choice *c, int n, const int32_t *expert)
{
    for (int k = 0; k < n; k++)
        if (c->expert[k] != expert[k])
            FAIL("place %d: expert %d, expected %d", k, c->expert[k], expert[k]);
}

static void near(float got, double want)
{
    if (!(fabs(got - want) <= 1e-6))
        FAIL("%.9g, expected %.9g", (double)got, want);
}

/* Logits of given probabilities. */
static void logits_of(const float *p, float *logit, int n, enum gating_kind gating)
{
    for (int e = 0; e < n; e++)
        logit[e] = gating == GATING_SOFTMAX ? logf(p[e]) : logf(p[e] / (1.0F - p[e]));
}

static void greedy(void)
{
    struct shape shape = shape_of(GATING_SOFTMAX, 4, 2, 1, 1);
    const float p[4] = {0.1F, 0.4F, 0.2F, 0.3F};
    const int32_t best[2] = {1, 3};
    float logit[4];
    struct choice c;

    logits_of(p, logit, 4, GATING_SOFTMAX);
    c = choose(&shape, logit, NULL);
    expect(&c, 2, best);
    near(c.weight[0], 0.4);
    near(c.weight[1], 0.3);

    shape.norm_weights = true;
    shape.weight_scale = 16.0F;
    c = choose(&shape, logit, NULL);
    near(c.weight[0], 16.0 * 0.4 / 0.7);
    near(c.weight[1], 16.0 * 0.3 / 0.7);
}

/* V2 ranks groups by their best expert, V3 by the sum of the best two: the same
 * numbers, another group. */
static void groups_by_max_and_by_sum(void)
{
    const float p[6] = {0.50F, 0.02F, 0.30F, 0.28F, 0.10F, 0.11F};
    const int32_t by_max[2] = {0, 1};
    const int32_t by_sum[2] = {2, 3};
    struct shape shape = shape_of(GATING_SOFTMAX, 6, 2, 3, 1);
    float logit[6];
    struct choice c;

    logits_of(p, logit, 6, GATING_SOFTMAX);
    c = choose(&shape, logit, NULL);
    expect(&c, 2, by_max);

    shape.gating = GATING_SIGMOID;
    logits_of(p, logit, 6, GATING_SIGMOID);
    c = choose(&shape, logit, NULL);
    expect(&c, 2, by_sum);
    near(c.weight[0], 0.30);
}

/* The bias takes part in the choice, not in the weight. */
static void bias_selects_only(void)
{
    struct shape shape = shape_of(GATING_SIGMOID, 4, 2, 1, 1);
    const float p[4] = {0.6F, 0.5F, 0.4F, 0.3F};
    const float bias[4] = {-0.5F, 0.0F, 0.0F, 0.9F};
    const int32_t want[2] = {3, 1};
    float logit[4];
    struct choice c;

    shape.norm_weights = true;
    shape.weight_scale = 2.5F;
    logits_of(p, logit, 4, GATING_SIGMOID);
    c = choose(&shape, logit, bias);
    expect(&c, 2, want);
    near(c.weight[0], 2.5 * 0.3 / 0.8);
    near(c.weight[1], 2.5 * 0.5 / 0.8);
}

/* All biased scores are negative: a left-out group masked with 0 instead of -inf would
 * win. */
static void negative_scores_stay_in_their_group(void)
{
    struct shape shape = shape_of(GATING_SIGMOID, 6, 2, 3, 1);
    const float p[6] = {0.1F, 0.2F, 0.5F, 0.4F, 0.3F, 0.3F};
    const float bias[6] = {-1.0F, -1.0F, -1.0F, -1.0F, -1.0F, -1.0F};
    const int32_t want[2] = {2, 3};
    float logit[6];
    struct choice c;

    logits_of(p, logit, 6, GATING_SIGMOID);
    c = choose(&shape, logit, bias);
    expect(&c, 2, want);
    near(c.weight[0], 0.5);
    near(c.weight[1], 0.4);
}

static void ties_go_to_the_lower(void)
{
    struct shape shape = shape_of(GATING_SOFTMAX, 8, 3, 4, 2);
    const float same[8] = {0.0F};
    const int32_t want[3] = {0, 1, 2};
    struct choice c = choose(&shape, same, NULL);

    expect(&c, 3, want);
    shape.gating = GATING_SIGMOID;
    c = choose(&shape, same, NULL);
    expect(&c, 3, want);
}

/* Two of three groups are kept, and the best experts come out in order across them. */
static void several_groups(void)
{
    struct shape shape = shape_of(GATING_SIGMOID, 9, 4, 3, 2);
    const float p[9] = {0.20F, 0.70F, 0.10F, 0.60F, 0.05F, 0.05F, 0.30F, 0.65F, 0.40F};
    const int32_t want[4] = {1, 7, 8, 6};
    float logit[9];
    struct choice c;

    logits_of(p, logit, 9, GATING_SIGMOID);
    c = choose(&shape, logit, NULL);
    expect(&c, 4, want);
}

static void check_distinct(const struct shape *shape, const struct choice *c)
{
    for (int k = 0; k < shape->n_expert_used; k++) {
        CHECK(c->expert[k] >= 0 && c->expert[k] < shape->n_expert);
        for (int j = 0; j < k; j++)
            CHECK(c->expert[j] != c->expert[k]);
    }
}

/* Whatever the numbers, the experts are there, and differ; and the weights carry the
 * damage on. */
static void damaged_numbers(void)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float logit[16];
    float bias[16];

    for (int kind = 0; kind < 3; kind++) {
        for (int where = 0; where <= 16; where++) {
            for (int i = 0; i < 16; i++) {
                logit[i] = where == 16 || i == where ? bad[kind] : (float)i * 0.1F;
                bias[i] = where == 16 || i == where ? bad[kind] : -0.2F;
            }
            for (int gating = 0; gating < 2; gating++) {
                struct shape shape = shape_of((enum gating_kind)gating, 16, 4, 4, 2);
                struct choice c = choose(&shape, logit, NULL);

                check_distinct(&shape, &c);
                CHECK(isnan(c.weight[0]) && isnan(c.weight[3]));
                c = choose(&shape, logit, bias);
                check_distinct(&shape, &c);
            }
        }
    }
}

static void nan_is_never_preferred(void)
{
    struct shape shape = shape_of(GATING_SIGMOID, 4, 2, 1, 1);
    const float logit[4] = {NAN, -3.0F, -2.0F, NAN};
    const int32_t want[2] = {2, 1};
    struct choice c = choose(&shape, logit, NULL);

    expect(&c, 2, want);
    shape.gating = GATING_SOFTMAX;
    c = choose(&shape, logit, NULL);
    expect(&c, 2, want);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"greedy", greedy},
        {"groups_by_max_and_by_sum", groups_by_max_and_by_sum},
        {"bias_selects_only", bias_selects_only},
        {"negative_scores_stay_in_their_group", negative_scores_stay_in_their_group},
        {"ties_go_to_the_lower", ties_go_to_the_lower},
        {"several_groups", several_groups},
        {"damaged_numbers", damaged_numbers},
        {"nan_is_never_preferred", nan_is_never_preferred},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
