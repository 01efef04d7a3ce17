/* SPDX-License-Identifier: MIT
 *
 * Fits of small integer codes to a group of values, by weighted least squares: what the
 * encoders of all block types have in common. Inside model/quant.
 *
 * A group is 16 or 32 values. Values are finite, at most 65504 in magnitude.
 */
#ifndef HADAL_MODEL_QUANT_FIT_H
#define HADAL_MODEL_QUANT_FIT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Weight of each value: its magnitude over the group's root mean square, so that what
 * stands out keeps its value, and small ones are not ignored. Never negative. */
void fit_weights(const float *x, int n, float *w);

/* The value of largest magnitude, with its sign. */
float fit_extreme(const float *x, int n);

/* The scale s (of either sign; 0 for a group of nothing) for which s * q with integer
 * codes q in low..high, low < 0 < high, -low >= high, comes nearest to x. */
float fit_scale(const float *x, const float *w, int n, int low, int high);

/* The scale s >= 0 and shift m for which s * q + m with codes q in 0..high comes
 * nearest. */
struct fit_line {
    float scale, shift;
};
enum fit_shift { FIT_SHIFT_FREE, FIT_SHIFT_BELOW_ZERO };
struct fit_line fit_line(const float *x, const float *w, int n, int high,
                         enum fit_shift shift);

/* The codes in low..high nearest to (x - shift) / scale; 0 (or the nearest to it in
 * the range) where the scale is 0. */
void fit_codes(const float *x, int n, float scale, float shift, int low, int high,
               int8_t *code);

/* Rounds to nearest, ties to even; |v| < 2^22. */
static inline float fit_round(float v)
{
    const float magic = 0x1.8p23f; /* from here on floats are integers */

    return (v + magic) - magic;
}

static inline float fit_clamp(float v, float low, float high)
{
    v = v > low ? v : low; /* a NaN becomes low */
    return v < high ? v : high;
}

/* So small that a group of it is nothing: no type could hold it, and 1 / v must stay
 * finite. */
static inline bool fit_is_nothing(float v)
{
    return fabsf(v) < 1e-20f;
}

/* The integer scale in low..high with which unit comes nearest to value. */
static inline int fit_level(float value, float unit, int low, int high)
{
    float v = unit == 0 ? 0 : value / unit;

    return (int)fit_round(fit_clamp(v, (float)low, (float)high));
}

#endif
