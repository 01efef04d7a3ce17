/* SPDX-License-Identifier: MIT
 *
 * Least-squares fits: see fit.h.
 *
 * With the codes given, the best scale (and shift) of a group follows in closed form;
 * with scale and shift given, so do the codes. Each fit tries a row of starting scales
 * around the one that just spans the range, computes the closed form for each, keeps
 * the best and goes on from there as long as it becomes better. (The idea is that of
 * ggml's quantisers.)
 *
 * Sums run in LANES partial sums, which the compiler keeps in one register.
 */
#include "config.h"

#include "model/quant/fit.h"

#include <math.h>
#include <stddef.h>

enum {
    LANES = 8,
    MAX_REFINEMENTS = 4,
    SCALE_STEPS = 9, /* to either side */
    LINE_STEPS = 18,
};

static const float scale_step = 0.1f; /* of a code at the end of the range */
static const float line_step = 0.1f;
static const float line_first = -0.7f;

static float sum_lanes(const float lane[LANES])
{
    float sum = 0;

    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

void fit_weights(const float *x, int n, float *w)
{
    float square = 0;
    float rms;

    for (int i = 0; i < n; i++)
        square += x[i] * x[i];
    rms = sqrtf(square / (float)n);
    for (int i = 0; i < n; i++)
        w[i] = rms + fabsf(x[i]);
}

float fit_extreme(const float *x, int n)
{
    float best = 0;

    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(best))
            best = x[i];
    return best;
}

/* ---- scale ---- */

struct scale_fit {
    float scale; /* best for the codes that the start led to */
    float gain;  /* by how much it lowers the weighted square error */
};

/* The fit whose codes are the nearest to x * inverse. */
static struct scale_fit try_scale(const float *x, const float *w, int n, float inverse,
                                  float low, float high)
{
    float xq[LANES] = {0};
    float qq[LANES] = {0};
    struct scale_fit fit = {0, 0};
    float sum_xq;
    float sum_qq;

    for (int i = 0; i < n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            float q = fit_round(fit_clamp(x[i + l] * inverse, low, high));

            xq[l] += w[i + l] * x[i + l] * q;
            qq[l] += w[i + l] * q * q;
        }
    sum_xq = sum_lanes(xq);
    sum_qq = sum_lanes(qq);
    if (sum_qq > 0) {
        fit.scale = sum_xq / sum_qq;
        fit.gain = sum_xq * fit.scale;
    }
    return fit;
}

float fit_scale(const float *x, const float *w, int n, int low, int high)
{
    float most = fit_extreme(x, n);
    struct scale_fit best = {0, 0};

    if (fit_is_nothing(most))
        return 0;
    for (int step = -SCALE_STEPS; step <= SCALE_STEPS; step++) {
        float inverse = ((float)low + scale_step * (float)step) / most;
        struct scale_fit fit = try_scale(x, w, n, inverse, (float)low, (float)high);

        if (fit.gain > best.gain)
            best = fit;
    }
    for (int i = 0; i < MAX_REFINEMENTS && best.gain > 0; i++) {
        struct scale_fit fit =
            try_scale(x, w, n, 1 / best.scale, (float)low, (float)high);

        if (fit.gain <= best.gain)
            break;
        best = fit;
    }
    return best.scale;
}

/* ---- scale and shift ---- */

/* A group with the sums that do not depend on the codes. */
struct line_group {
    const float *x, *w;
    int n;
    float high;
    enum fit_shift shift;
    float sum_w, sum_x;
};

struct line_fit {
    struct fit_line line;
    float gain;
};

/* Best line for the codes whose sums are given. */
static struct line_fit solve_line(const struct line_group *g, float q, float qq,
                                  float xq)
{
    struct line_fit fit = {{0, 0}, 0};
    float determinant = g->sum_w * qq - q * q;
    float s;
    float m;

    if (!(determinant > 0))
        return fit;
    s = (g->sum_w * xq - g->sum_x * q) / determinant;
    m = (qq * g->sum_x - q * xq) / determinant;
    if (g->shift == FIT_SHIFT_BELOW_ZERO && m > 0) {
        m = 0;
        s = xq / qq;
    }
    fit.line.scale = s;
    fit.line.shift = m;
    /* Of the square error, what differs between fits, with the sign changed. */
    fit.gain =
        2 * (s * xq + m * g->sum_x) - (s * s * qq + 2 * s * m * q + m * m * g->sum_w);
    return fit;
}

/* The fit whose codes are the nearest to (x - shift) * inverse. */
static struct line_fit try_line(const struct line_group *g, float inverse, float shift)
{
    float sum_q[LANES] = {0};
    float sum_qq[LANES] = {0};
    float sum_xq[LANES] = {0};

    for (int i = 0; i < g->n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            float x = g->x[i + l];
            float q = fit_round(fit_clamp((x - shift) * inverse, 0, g->high));
            float wq = g->w[i + l] * q;

            sum_q[l] += wq;
            sum_qq[l] += wq * q;
            sum_xq[l] += wq * x;
        }
    return solve_line(g, sum_lanes(sum_q), sum_lanes(sum_qq), sum_lanes(sum_xq));
}

/* Starts of all widths from below the range of x to above it. */
static struct line_fit best_line(const struct line_group *g, float least, float most)
{
    struct line_fit best = {{0, least}, 0};

    best.gain = 2 * least * g->sum_x - least * least * g->sum_w;
    for (int step = 0; step < LINE_STEPS; step++) {
        float span = g->high + line_first + line_step * (float)step;
        struct line_fit fit = try_line(g, span / (most - least), least);

        if (fit.gain > best.gain && fit.line.scale > 0)
            best = fit;
    }
    for (int i = 0; i < MAX_REFINEMENTS && best.line.scale > 0; i++) {
        struct line_fit fit = try_line(g, 1 / best.line.scale, best.line.shift);

        if (fit.gain <= best.gain || !(fit.line.scale > 0))
            break;
        best = fit;
    }
    return best;
}

struct fit_line fit_line(const float *x, const float *w, int n, int high,
                         enum fit_shift shift)
{
    struct line_group g = {.x = x, .w = w, .n = n, .high = (float)high, .shift = shift};
    float least = x[0];
    float most = x[0];

    for (int i = 0; i < n; i++) {
        g.sum_w += w[i];
        g.sum_x += w[i] * x[i];
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    if (shift == FIT_SHIFT_BELOW_ZERO && least > 0)
        least = 0;
    if (fit_is_nothing(most - least))
        return (struct fit_line){0, least};
    return best_line(&g, least, most).line;
}

void fit_codes(const float *x, int n, float scale, float shift, int low, int high,
               int8_t *code)
{
    float inverse = fit_is_nothing(scale) ? 0 : 1 / scale;

    for (int i = 0; i < n; i++)
        code[i] = (int8_t)fit_round(
            fit_clamp((x[i] - shift) * inverse, (float)low, (float)high));
}
