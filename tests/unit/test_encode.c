/* SPDX-License-Identifier: MIT
 *
 * Encoders: the error of every type on values like a model's, values that blocks hold
 * exactly, and values that nobody would expect.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/quant.h"
#include "model/quant/encode.h"
#include "tests/ops/random.h"
#include "tests/test.h"

enum { N = 64 * 256, MAX_BYTES = N * 4 };

/* Error of each type, root mean square, in units of the values' own, over normally
 * distributed values: what llama.cpp's quantiser reaches there, and a little. */
static const struct {
    enum tensor_type type;
    double error;
} types[] = {
    {TYPE_F32, 0},       {TYPE_F16, 3e-4},     {TYPE_BF16, 2e-3},
    {TYPE_Q8_0, 0.0056}, {TYPE_Q6_K, 0.0185},  {TYPE_Q5_K, 0.0375},
    {TYPE_Q5_1, 0.0390}, {TYPE_Q5_0, 0.0440},  {TYPE_Q4_K, 0.0750},
    {TYPE_Q4_1, 0.0800}, {TYPE_IQ4_NL, 0.078}, {TYPE_IQ4_XS, 0.079},
    {TYPE_Q4_0, 0.0890}, {TYPE_Q3_K, 0.155},   {TYPE_Q2_K, 0.300},
};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

static float x[N];
static float back[N];
static unsigned char blocks[MAX_BYTES];

static bool round_trip(const struct quant_type *type, const float *in, int n)
{
    if (!encode_row(type, in, n, blocks))
        return false;
    type->to_f32(blocks, back, n);
    return true;
}

/* Of the difference to the values that went in, relative to theirs. */
static double relative_error(const float *in, int n)
{
    double error = 0;
    double size = 0;

    for (int i = 0; i < n; i++) {
        double d = (double)back[i] - (double)in[i];

        error += d * d;
        size += (double)in[i] * (double)in[i];
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

/* Nearly normally distributed, of mean 0 and variance 1: twelve uniform ones. */
static float random_normal(struct random *random)
{
    float sum = 0;

    for (int i = 0; i < 12; i++)
        sum += random_float(random);
    return sum / 2;
}

static void fill_normal(uint64_t seed, float scale)
{
    struct random random = {.state = seed};

    for (int i = 0; i < N; i++)
        x[i] = scale * random_normal(&random);
}

static void test_error(void)
{
    fill_normal(1, 0.02f);
    for (int t = 0; t < N_TYPES; t++) {
        const struct quant_type *type = quant_find(types[t].type);
        double error;

        if (!CHECK(round_trip(type, x, N)))
            continue;
        error = relative_error(x, N);
        if (error > types[t].error)
            FAIL("%s: error %.5f, at most %.5f is due", type->name, error,
                 types[t].error);
    }
}

/* Where sizes and centres of neighbours differ by much. */
static void test_uneven(void)
{
    fill_normal(2, 1);
    for (int i = 0; i < N; i++)
        x[i] = ldexpf(x[i], i / 16 % 12 - 10) + (i / 32 % 5 == 0 ? 0.5f : 0);
    for (int t = 0; t < N_TYPES; t++) {
        const struct quant_type *type = quant_find(types[t].type);

        CHECK(round_trip(type, x, N));
        if (relative_error(x, N) > 2 * types[t].error + 1e-3)
            FAIL("%s: error %.5f", type->name, relative_error(x, N));
    }
}

/* What comes out of blocks goes in again without loss, or nearly so. */
static void test_again(void)
{
    fill_normal(3, 0.02f);
    for (int t = 0; t < N_TYPES; t++) {
        const struct quant_type *type = quant_find(types[t].type);

        CHECK(round_trip(type, x, N));
        memcpy(x, back, sizeof(x));
        CHECK(round_trip(type, x, N));
        if (relative_error(x, N) > 0.35 * types[t].error + 1e-7)
            FAIL("%s: error %.5f the second time", type->name, relative_error(x, N));
    }
}

/* Fills a block of 256 with one of the odd patterns. Returns false after the last. */
static bool odd_pattern(int which, float out[256])
{
    static const float levels[] = {0,        -0.0f,  FLT_MIN,  0x1p-149f, -0x1p-149f,
                                   0x1p-25f, 1e-20f, 1e-30f,   65504,     -65504,
                                   1,        -1,     0x1p-14f, 3e4f,      1e-8f};
    enum { N_LEVELS = sizeof(levels) / sizeof(levels[0]) };
    float a;
    float b;

    if (which >= N_LEVELS * N_LEVELS)
        return false;
    a = levels[which / N_LEVELS];
    b = levels[which % N_LEVELS];
    for (int i = 0; i < 256; i++) /* all a; one b; then both by turns */
        out[i] = i < 128 ? (i == 77 ? b : a) : (i % 3 == 0 ? a : b);
    return true;
}

static float greatest(const float *v, int n)
{
    float most = 0;

    for (int i = 0; i < n; i++)
        most = fmaxf(most, fabsf(v[i]));
    return most;
}

static void test_odd_values(void)
{
    for (int which = 0; odd_pattern(which, x); which++)
        for (int t = 0; t < N_TYPES; t++) {
            const struct quant_type *type = quant_find(types[t].type);
            float limit = 2 * greatest(x, 256) + 0x1p-20f;

            CHECK(round_trip(type, x, 256));
            for (int i = 0; i < 256; i++)
                if (!(fabsf(back[i]) <= limit)) {
                    FAIL("%s, pattern %d: %g becomes %g", type->name, which,
                         (double)x[i], (double)back[i]);
                    break;
                }
            for (int i = 0; i < 256; i++) /* and the bytes do not matter either */
                if (greatest(x, 256) == 0 && back[i] != 0)
                    FAIL("%s: zero becomes %g", type->name, (double)back[i]);
        }
}

/* Values that a type cannot hold are refused, and nothing is written. */
static void check_refused(const struct quant_type *type, float bad)
{
    for (int i = 0; i < 256; i++) {
        float kept = x[i];

        memset(blocks, 0x5a, 1024);
        x[i] = bad;
        if (encode_row(type, x, 256, blocks) || blocks[0] != 0x5a)
            FAIL("%s takes %g at %d", type->name, (double)bad, i);
        x[i] = kept;
    }
}

static void test_refused(void)
{
    fill_normal(4, 1);
    for (int t = 0; t < N_TYPES; t++) {
        check_refused(quant_find(types[t].type), NAN);
        check_refused(quant_find(types[t].type), -NAN);
        check_refused(quant_find(types[t].type), INFINITY);
        check_refused(quant_find(types[t].type), -INFINITY);
    }
    x[3] = 65536;
    CHECK(!encode_row(quant_find(TYPE_F16), x, 256, blocks));
    CHECK(!encode_row(quant_find(TYPE_Q4_K), x, 256, blocks));
    CHECK(encode_row(quant_find(TYPE_BF16), x, 256, blocks));
    x[3] = FLT_MAX; /* would round to infinity */
    CHECK(!encode_row(quant_find(TYPE_BF16), x, 256, blocks));
    x[3] = 0;
    CHECK(!encode_row(quant_find(TYPE_I32), x, 256, blocks));
}

/* Q8_0 and the types without blocks have one right answer. */
static void test_exact(void)
{
    static const float in[32] = {127, -127, 1, -1, 0.5f, -0.5f, 1.49f, 2.5f};
    static const int8_t codes[] = {127, -127, 1, -1, 1, -1, 1, 3, 0};
    static const float halves[] = {1 + 0x1p-8f, 1 + 0x1.8p-7f, -3};
    uint16_t half[3];

    CHECK(encode_row(quant_find(TYPE_Q8_0), in, 32, blocks));
    CHECK(blocks[0] == 0 && blocks[1] == 0x3c); /* 1 as a half */
    CHECK(memcmp(blocks + 2, codes, sizeof(codes)) == 0);
    CHECK(encode_row(quant_find(TYPE_BF16), halves, 3, half)); /* ties to even */
    CHECK(half[0] == 0x3f80 && half[1] == 0x3f82 && half[2] == 0xc040);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"error", test_error},     {"uneven", test_uneven},
        {"again", test_again},     {"odd values", test_odd_values},
        {"refused", test_refused}, {"exact", test_exact},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
