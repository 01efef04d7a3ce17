/* SPDX-License-Identifier: MIT
 *
 * The GGUF fuzz target without a fuzzer: the hostile set, tiny models of every form,
 * and a fixed number of mutations of each. Finds less than libFuzzer does, but
 * everywhere and every time; under --enable-sanitizers it is worth the most.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/hostile.h"
#include "tests/test.h"
#include "tests/tiny.h"

enum { N_MUTATIONS = 3000, HEAD_BYTES = 6000 };

/* xorshift64: the same numbers everywhere. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Numbers at the edge of what some sum or product can hold. */
static uint64_t edge(uint64_t *state)
{
    uint64_t power = (uint64_t)1 << next(state) % 64;

    switch (next(state) % 4) {
    case 0:
        return power;
    case 1:
        return power - 1;
    case 2:
        return 0 - power;
    default:
        return next(state) % 64;
    }
}

/* Changes one to four places, most of them in the keys and the table. */
static void mutate(uint8_t *data, size_t size, uint64_t *state)
{
    int n = 1 + (int)(next(state) % 4);

    for (int i = 0; i < n; i++) {
        size_t end = next(state) % 8 != 0 && size > HEAD_BYTES ? HEAD_BYTES : size;
        size_t at = next(state) % end;
        uint64_t v = edge(state);
        size_t len = (size_t)1 << next(state) % 4;

        if (len > size - at)
            len = size - at;
        if (next(state) % 2 == 0)
            data[at] ^= (uint8_t)(1u << next(state) % 8);
        else
            memcpy(data + at, &v, len);
    }
}

static void run_mutations(const uint8_t *data, size_t size, uint64_t seed)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;

    for (int i = 0; i < N_MUTATIONS; i++) {
        size_t cut = next(&state) % 16 == 0 ? 1 + next(&state) % size : size;
        uint8_t *copy = malloc(cut); /* exact, so that a read past the end is seen */

        memcpy(copy, data, cut);
        mutate(copy, cut, &state);
        LLVMFuzzerTestOneInput(copy, cut);
        free(copy);
    }
}

static void replay(const struct hostile_case *c)
{
    size_t len = c->len;
    char *data = c->data == NULL ? test_read(c->path, &len) : c->data;

    if (data != NULL)
        LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    if (data != c->data)
        free(data);
}

static void test_hostile(void)
{
    hostile_each(replay);
}

static const struct tiny forms[] = {
    {.arch = "deepseek2"},
    {.arch = "deepseek2", .no_q_lora = true, .joined_kv_b = true},
    {.arch = "deepseek2", .fused_gate_up = true, .mtp = true},
    {.arch = "deepseek", .fused_qkv = true},
    {.arch = "llama", .tied = true},
};

enum { N_FORMS = sizeof(forms) / sizeof(forms[0]) };

static void test_mutations(void)
{
    for (size_t i = 0; i < N_FORMS; i++) {
        size_t len;
        unsigned char *data = tiny_build(&forms[i], &len);

        run_mutations(data, len, i + 1);
        free(data);
    }
}

/* Writes the tiny models to a folder: seeds for libFuzzer. */
static int write_seeds(const char *dir)
{
    bool ok = true;

    for (size_t i = 0; i < N_FORMS; i++) {
        size_t len;
        unsigned char *data = tiny_build(&forms[i], &len);
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s/tiny-%zu.gguf", dir, i);
        f = fopen(path, "wb");
        ok = ok && f != NULL && fwrite(data, 1, len, f) == len;
        if (f != NULL)
            ok = fclose(f) == 0 && ok;
        free(data);
    }
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"hostile", test_hostile},
        {"mutations", test_mutations},
    };

    if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
        return write_seeds(argv[2]);
    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
