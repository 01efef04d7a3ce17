/* SPDX-License-Identifier: MIT
 *
 * model/rope: frequencies of released models, worked out by others
 * (spec/decoder.md 2.5, 10.4, 10.5; transformers agrees with them to float rounding).
 */
#include "config.h"

#include <math.h>
#include <stddef.h>

#include "model/rope.h"
#include "tests/test.h"

struct point {
    int i;
    double f;
};

static void check_points(const struct rope_params *p, const struct point *point,
                         size_t n)
{
    struct rope rope;
    struct err err;

    if (!CHECK(rope_init(&rope, p, &err)))
        return;
    CHECK(rope.dim == p->dim && rope.pair_stride == 1);
    for (size_t k = 0; k < n; k++) {
        double got = (double)rope.inv_freq[point[k].i];

        if (fabs(got / point[k].f - 1.0) > 2e-7)
            FAIL("pair %d: %.9g, expected %.9g", point[k].i, got, point[k].f);
    }
    rope_release(&rope);
}

static void test_plain(void)
{
    static const struct rope_params p = {.dim = 64, .base = 10000.0, .factor = 1.0};
    static const struct point point[] = {{0, 1.0}, {8, 0.1}, {16, 0.01}};

    check_points(&p, point, 3);
}

static void test_linear(void)
{
    static const struct rope_params p = {
        .dim = 128, .base = 100000.0, .scaling = ROPE_LINEAR, .factor = 4.0};
    static const struct point point[] = {{0, 0.25}, {32, 7.90569415e-4}};

    check_points(&p, point, 2);
}

static void test_yarn_v3(void)
{
    static const struct rope_params p = {.dim = 64,
                                         .base = 10000.0,
                                         .scaling = ROPE_YARN,
                                         .factor = 40.0,
                                         .ctx_train = 4096.0,
                                         .beta_fast = 32.0,
                                         .beta_slow = 1.0};
    static const struct point point[] = {
        {0, 1.0},     {9, 0.0749894209},   {10, 0.0562341325},  {11, 0.0390069266},
        {16, 0.0055}, {22, 1.77827941e-4}, {23, 3.33380358e-5}, {31, 3.33380358e-6},
    };

    check_points(&p, point, sizeof(point) / sizeof(point[0]));
    CHECK(fabs(rope_yarn_magnitude(40.0, 1.0) - 1.3688879) < 1e-7);
    CHECK(fabs(rope_yarn_magnitude(40.0, 0.707) - 1.2608038) < 1e-7);
    CHECK(rope_yarn_magnitude(1.0, 1.0) == 1.0);
}

/* Both betas 1: a step between pairs 19 and 20. */
static void test_yarn_k2(void)
{
    static const struct rope_params p = {.dim = 64,
                                         .base = 50000.0,
                                         .scaling = ROPE_YARN,
                                         .factor = 32.0,
                                         .ctx_train = 4096.0,
                                         .beta_fast = 1.0,
                                         .beta_slow = 1.0};
    static const struct point point[] = {
        {19, 0.00162175991}, {20, 3.61404677e-5}, {31, 8.76441291e-7}};

    check_points(&p, point, 3);
}

static void test_yarn_qwen3(void)
{
    static const struct rope_params p = {.dim = 128,
                                         .base = 1000000.0,
                                         .scaling = ROPE_YARN,
                                         .factor = 4.0,
                                         .ctx_train = 32768.0,
                                         .beta_fast = 32.0,
                                         .beta_slow = 1.0};
    static const struct point point[] = {{23, 0.00697830599},
                                         {30, 0.00106436096},
                                         {40, 4.44569851e-5},
                                         {63, 3.10234441e-7}};

    check_points(&p, point, 4);
}

static void test_llama3(void)
{
    static const double ramp[] = {1.20748, 1.55341, 2.02631, 2.69453, 3.68425, 5.25733};
    static const struct point point[] = {{35, 9.55621217e-5}, {63, 3.06892588e-7}};
    struct rope_params p = {.dim = 128, .base = 500000.0, .factor = 1.0};
    float divisor[64];

    for (int i = 0; i < 64; i++)
        divisor[i] = i <= 28 ? 1.0F : i >= 35 ? 8.0F : (float)ramp[i - 29];
    p.divisor = divisor;
    check_points(&p, point, 2);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"plain", test_plain},           {"linear", test_linear},
        {"yarn_v3", test_yarn_v3},       {"yarn_k2", test_yarn_k2},
        {"yarn_qwen3", test_yarn_qwen3}, {"llama3", test_llama3},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
