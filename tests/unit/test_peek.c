/* SPDX-License-Identifier: MIT
 *
 * The first bytes of a GGUF file: the share of the weights that a token reads.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/fetch/peek.h"
#include "tests/gguf_build.h"
#include "tests/test.h"

enum { TYPE_STRING = 8, TYPE_ARRAY = 9 };

static void add_dimensions(struct gguf_build *b, uint32_t n_experts, uint32_t n_used)
{
    build_key_text(b, "general.architecture", "deepseek2");
    build_key_u32(b, "deepseek2.block_count", 27);
    build_key_u32(b, "deepseek2.leading_dense_block_count", 1);
    build_key_u32(b, "deepseek2.embedding_length", 2048);
    build_key_u32(b, "deepseek2.feed_forward_length", 10944);
    build_key_u32(b, "deepseek2.expert_feed_forward_length", 1408);
    build_key_u32(b, "deepseek2.expert_count", n_experts);
    build_key_u32(b, "deepseek2.expert_used_count", n_used);
    build_key_u32(b, "deepseek2.expert_shared_count", 2);
    build_key_f32(b, "deepseek2.rope.freq_base", 10000);
}

/* A vocabulary that breaks off, as it does in the first bytes of a file. */
static void add_vocabulary(struct gguf_build *b, uint64_t said)
{
    build_key_begin(b, "tokenizer.ggml.tokens", TYPE_ARRAY);
    build_u32(&b->keys, TYPE_STRING);
    build_u64(&b->keys, said);
    build_text(&b->keys, "token");
}

static void check_share(uint32_t n_experts, uint32_t n_used, double low, double high)
{
    struct gguf_build b;
    size_t len;
    unsigned char *file;
    double share;

    build_init(&b);
    add_dimensions(&b, n_experts, n_used);
    add_vocabulary(&b, 102400);
    file = build_file(&b, &len);
    share = peek_read_share(file, len);
    if (share < low || share > high)
        FAIL("%u of %u experts: share %g", n_used, n_experts, share);
    for (size_t cut = 0; cut < len; cut++) {
        unsigned char *copy =
            malloc(cut + 1); /* of its own: nothing may be read past it */

        memcpy(copy, file, cut);
        share = peek_read_share(copy, cut);
        CHECK(share > 0 && share <= 1);
        free(copy);
    }
    free(file);
    build_release(&b);
}

/* DeepSeek-V2-Lite: 2.7 of 15.7 thousand million. */
static void test_share(void)
{
    check_share(64, 6, 0.15, 0.19);
    check_share(64, 64, 1, 1);
    check_share(0, 0, 1, 1);
    check_share(4, 6, 1, 1);
    check_share(UINT32_MAX, 6, 1, 1);
}

static void test_hostile(void)
{
    static const uint64_t counts[] = {UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 61,
                                      0};
    struct gguf_build b;
    size_t len;
    unsigned char *file;

    for (size_t i = 0; i < 4; i++) {
        build_init(&b);
        add_dimensions(&b, 64, 6);
        build_key_begin(&b, "x.array", TYPE_ARRAY);
        build_u32(&b.keys,
                  (uint32_t)i * 5); /* bytes, integers, 64 bits, a type that is none */
        build_u64(&b.keys, counts[i]);
        add_vocabulary(&b, counts[i]);
        file = build_file(&b, &len);
        for (size_t at = 24; at < len; at++) {
            unsigned char was = file[at];

            file[at] = 0xff;
            CHECK(peek_read_share(file, len) > 0);
            file[at] = was;
        }
        free(file);
        build_release(&b);
    }
    CHECK(peek_read_share("", 0) >= 1);
    CHECK(peek_read_share("<html>no model</html>....", 24) >= 1);
}

static const struct test_case cases[] = {
    {"share", test_share},
    {"hostile", test_hostile},
};

int main(int argc, char **argv)
{
    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
