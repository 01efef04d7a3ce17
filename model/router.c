/* SPDX-License-Identifier: MIT
 *
 * The router of a mixture of experts: which experts a token goes to, and with what
 * weights (spec/decoder.md 2.6). Owns the rule alone; the scores come from a product
 * that the back end made.
 *
 *   greedy (V1, V2-Lite)      softmax, the best K
 *   group limited (V2)        softmax, groups ranked by their BEST expert
 *   noaux_tc (V3, R1, ...)    sigmoid plus bias, groups ranked by the SUM OF THE BEST
 * TWO
 *
 * Sources: DeepSeek-V2 (arXiv:2405.04434) 2.2.2, DeepSeek-V3 (arXiv:2412.19437) 2.1.2,
 * and the reference code of both for what the papers leave open.
 */
#include "config.h"

#include <assert.h>
#include <math.h>

#include "model/backend.h"

/* Probabilities are never negative, so this marks an expert that cannot be chosen any
 * more: of a group that was left out, or chosen already. */
static const float OUT = -1.0F;

/* A model's router gives finite logits unless its weights are damaged. */
static bool all_finite(const float *score, int n)
{
    for (int e = 0; e < n; e++)
        if (!isfinite(score[e]))
            return false;
    return true;
}

static void softmax(float *score, int n)
{
    float max = -INFINITY;
    double sum = 0.0;

    for (int e = 0; e < n; e++)
        if (score[e] > max)
            max = score[e];
    for (int e = 0; e < n; e++) {
        float p = expf(score[e] - max);

        score[e] = p >= 0.0F ? p : 0.0F; /* NaN, and -inf where all are -inf */
        sum += score[e];
    }
    for (int e = 0; e < n && sum > 0.0; e++)
        score[e] = (float)(score[e] / sum);
}

static void sigmoid(float *score, int n)
{
    for (int e = 0; e < n; e++) {
        float p = 1.0F / (1.0F + expf(-score[e]));

        score[e] = p >= 0.0F ? p : 0.0F;
    }
}

/* What experts are compared by: the probability with the bias, which takes part in the
 * choice only. -inf, not 0, for what is out: biased values may be negative. */
static float selection(const float *score, const float *bias, int e)
{
    float z = score[e];

    if (z < 0.0F)
        return -INFINITY;
    if (bias != NULL)
        z += bias[e];
    return isnan(z) ? -INFINITY : z;
}

/* What groups are compared by: the best expert under softmax (V2), the sum of the best
 * two under sigmoid (V3). */
static float group_score(const struct shape *shape, const float *score,
                         const float *bias, int group)
{
    int size = shape->n_expert / shape->n_group;
    float best = -INFINITY;
    float second = -INFINITY;

    for (int e = group * size; e < (group + 1) * size; e++) {
        float z = selection(score, bias, e);

        if (z > best) {
            second = best;
            best = z;
        } else if (z > second) {
            second = z;
        }
    }
    if (shape->gating == GATING_SOFTMAX || size == 1)
        return best;
    return best + second;
}

/* Puts the experts of the worst group out. Ties: the higher group goes. */
static void drop_worst_group(const struct shape *shape, float *score, const float *bias)
{
    int size = shape->n_expert / shape->n_group;
    float worst_score = INFINITY;
    int worst = -1;

    for (int g = 0; g < shape->n_group; g++) {
        float s;

        if (score[g * size] < 0.0F)
            continue;
        s = group_score(shape, score, bias, g);
        if (worst < 0 || s <= worst_score) {
            worst_score = s;
            worst = g;
        }
    }
    assert(worst >= 0);
    for (int e = worst * size; e < (worst + 1) * size; e++)
        score[e] = OUT;
}

/* The best expert that is not out. Ties: the lower index. */
static int best_expert(const float *score, const float *bias, int n)
{
    float best_z = -INFINITY;
    int best = -1;

    for (int e = 0; e < n; e++) {
        float z = selection(score, bias, e);

        if (score[e] >= 0.0F && (best < 0 || z > best_z)) {
            best_z = z;
            best = e;
        }
    }
    return best;
}

void router_choose(const struct shape *shape, float *score, const float *bias,
                   int32_t *expert, float *weight)
{
    double sum = 1e-20; /* as the reference has it: never a division by zero */
    /* Damage is passed on to the logits, where it is reported: experts chosen without
     * sense would still give text. */
    float scale = all_finite(score, shape->n_expert) ? shape->weight_scale : NAN;

    assert(shape->n_expert % shape->n_group == 0);
    assert(shape->n_expert_used <=
           shape->n_expert / shape->n_group * shape->n_group_used);
    if (shape->gating == GATING_SOFTMAX)
        softmax(score, shape->n_expert);
    else
        sigmoid(score, shape->n_expert);
    for (int dropped = 0; dropped < shape->n_group - shape->n_group_used; dropped++)
        drop_worst_group(shape, score, bias);
    for (int k = 0; k < shape->n_expert_used; k++) {
        int e = best_expert(score, bias, shape->n_expert);

        assert(e >= 0);
        expert[k] = e;
        weight[k] = score[e]; /* without the bias */
        sum += score[e];
        score[e] = OUT;
    }
    if (shape->norm_weights)
        scale = (float)(scale / sum);
    for (int k = 0; k < shape->n_expert_used; k++)
        weight[k] *= scale;
}
