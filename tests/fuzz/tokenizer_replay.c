/* SPDX-License-Identifier: MIT
 *
 * The tokenizer fuzz target without a fuzzer: the small vocabularies, a few texts, and
 * a fixed number of mutations of each.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/test.h"

enum { N_MUTATIONS = 300, HEAD_BYTES = 40000 };

/* xorshift64: the same numbers everywhere. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void run_mutations(const char *data, size_t size, uint64_t seed)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;

    LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    for (int i = 0; i < N_MUTATIONS; i++) {
        size_t cut = next(&state) % 16 == 0 ? 1 + next(&state) % size : size;
        uint8_t *copy = malloc(cut); /* exact, so that a read past the end is seen */
        int n = 1 + (int)(next(&state) % 4);

        memcpy(copy, data, cut);
        while (n-- > 0) {
            size_t at = next(&state) % (cut < HEAD_BYTES ? cut : HEAD_BYTES);

            if (next(&state) % 2 == 0)
                copy[at] = (uint8_t)next(&state);
            else
                copy[at] = (uint8_t)(copy[at] ^ 1U << next(&state) % 8);
        }
        LLVMFuzzerTestOneInput(copy, cut);
        free(copy);
    }
}

static void files(void)
{
    static const char *const names[] = {
        "tokenizer/mini/mini-v3.gguf", "tokenizer/mini/mini-llm.gguf",
        "tokenizer/mini/mini-llama3.gguf",
        "tokenizer/mini/mini-v3-compact-ascii.tokenizer.json",
        "tokenizer/mini/mini-llama3.tokenizer.json"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len;
        char *data = test_read(test_fixture(names[i]), &len);

        if (data != NULL)
            run_mutations(data, len, i + 1);
        free(data);
    }
}

static void texts(void)
{
    static const char *const seeds[] = {
        "0Hello, world! 12345 <｜User｜> don't\n\n",
        "1naïve  Ünïcödé øöúÿ 中文、かな \xE2\x80\xA8",
        "2\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 \xED\xA0\x80\xFF\xC0\xAF",
        "3aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    };

    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
        run_mutations(seeds[i], strlen(seeds[i]), i + 100);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"files", files}, {"texts", texts}};

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
