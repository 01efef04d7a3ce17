/* SPDX-License-Identifier: MIT
 *
 * Tests of model/tokenizer: the ids of every fixture, pieces, classes, streams, and
 * what is refused.
 */
#include "config.h"

#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "model/nfc.h"
#include "model/pretok.h"
#include "model/unicode.h"
#include "src/base/json.h"
#include "src/base/utf8.h"
#include "tests/test.h"
#include "tests/vocabulary.h"

#define BIG (64 << 20)

/* ---- every case of the fixtures ---- */

struct source {
    const char *cases, *vocabulary;
};

static const struct source sources[] = {
    {"tokenizer/mini/mini-v3.cases.json", "tokenizer/mini/mini-v3.gguf"},
    {"tokenizer/mini/mini-llm.cases.json", "tokenizer/mini/mini-llm.gguf"},
    {"tokenizer/mini/mini-coder.cases.json", "tokenizer/mini/mini-coder.gguf"},
    {"tokenizer/mini/mini-llama3.cases.json", "tokenizer/mini/mini-llama3.gguf"},
    {"tokenizer/mini/mini-v3.cases.json", "tokenizer/mini/mini-v3.tokenizer.json"},
    {"tokenizer/mini/mini-v3.cases.json",
     "tokenizer/mini/mini-v3-compact-ascii.tokenizer.json"},
    {"tokenizer/mini/mini-llm.cases.json", "tokenizer/mini/mini-llm.tokenizer.json"},
    {"tokenizer/mini/mini-coder.cases.json",
     "tokenizer/mini/mini-coder.tokenizer.json"},
    {"tokenizer/mini/mini-llama3.cases.json",
     "tokenizer/mini/mini-llama3.tokenizer.json"},
    {"tokenizer/cases/llm.json", "tokenizer/data/ggml-vocab-deepseek-llm.gguf"},
    {"tokenizer/cases/coder.json", "tokenizer/data/ggml-vocab-deepseek-coder.gguf"},
    {"tokenizer/cases/qwen2.json", "tokenizer/data/ggml-vocab-qwen2.gguf"},
    {"tokenizer/cases/v3.json", "tokenizer/data/deepseek-v3.tokenizer.json.gz"},
    {"tokenizer/cases/v4.json", "tokenizer/data/deepseek-v4.tokenizer.json.gz"},
    {"tokenizer/cases/v2.json", "tokenizer/data/deepseek-v2.tokenizer.json.gz"},
};

static void check_pieces(const struct tokenizer *t, const struct buf *text,
                         const cJSON *pre, const char *what)
{
    const struct pretok *pretok = pretok_find(tokenizer_pre(t));
    struct buf repaired;
    struct buf normal;
    const struct buf *use = &repaired;
    struct pretok_scan scan;
    const char *piece;
    size_t len;
    const cJSON *expected = pre == NULL ? NULL : pre->child;

    if (pre == NULL)
        return;
    buf_init(&repaired, BIG);
    buf_init(&normal, BIG);
    utf8_repair(&repaired, buf_text(text), text->len);
    if (pretok_uses_nfc(pretok)) {
        CHECK(nfc_add(&normal, buf_text(&repaired), repaired.len, NULL));
        use = &normal;
    }
    pretok_start(&scan, pretok, buf_text(use), use->len);
    while (pretok_next(&scan, &piece, &len)) {
        if (expected == NULL || (size_t)expected->valueint != len) {
            FAIL("%s: a piece of %zu bytes at %td", what, len, piece - use->data);
            break;
        }
        expected = expected->next;
    }
    CHECK(expected == NULL);
    buf_release(&repaired);
    buf_release(&normal);
}

/* The bytes of the ids are the text again, repaired and normalized. */
static void check_round_trip(const struct tokenizer *t, const struct tokens *ids,
                             const struct buf *text, const char *what)
{
    struct buf expected;
    struct buf back;

    buf_init(&expected, BIG);
    buf_init(&back, BIG);
    utf8_repair(&back, buf_text(text), text->len);
    if (pretok_uses_nfc(pretok_find(tokenizer_pre(t)))) {
        CHECK(nfc_add(&expected, buf_text(&back), back.len, NULL));
    } else {
        buf_add(&expected, buf_text(&back), back.len);
    }
    buf_clear(&back);
    for (size_t i = 0; i < ids->len; i++) {
        size_t len;
        const char *bytes = tokenizer_bytes(t, ids->id[i], &len);

        buf_add(&back, bytes, len);
    }
    if (back.len != expected.len ||
        memcmp(buf_text(&back), buf_text(&expected), back.len) != 0)
        FAIL("%s: does not come back", what);
    buf_release(&expected);
    buf_release(&back);
}

/* special_only: `ids` are with added tokens recognised. */
static void check_case(const struct tokenizer *t, const cJSON *item, const char *file,
                       bool special_only)
{
    const cJSON *id = json_get(item, "id");
    const cJSON *special = json_get(item, "ids_parse_special");
    const cJSON *plain = json_get(item, "ids");
    struct tokens got = {.len = 0};
    struct buf text;
    char what[200];

    snprintf(what, sizeof(what), "%s %s", file,
             cJSON_IsString(id) ? id->valuestring : "?");
    buf_init(&text, BIG);
    vocabulary_text(item, &text);
    CHECK(tokenizer_encode(t, buf_text(&text), text.len, TOKENIZER_PLAIN, &got, NULL));
    if (!special_only)
        vocabulary_check_ids(&got, plain, what);
    check_round_trip(t, &got, &text, what);
    tokens_clear(&got);
    CHECK(
        tokenizer_encode(t, buf_text(&text), text.len, TOKENIZER_SPECIAL, &got, NULL));
    vocabulary_check_ids(&got, special != NULL ? special : plain, what);
    check_pieces(t, &text, json_get(item, "pre"), what);
    tokens_release(&got);
    buf_release(&text);
}

/* Returns how many cases were checked; 0 when something is missing. */
static int check_source(const char *cases, const char *vocabulary, bool special_only)
{
    bool missing;
    cJSON *json = vocabulary_json(cases, &missing);
    struct tokenizer *t = NULL;
    int n = 0;
    const cJSON *item;

    if (json != NULL)
        t = vocabulary_open(vocabulary, &missing);
    if (t != NULL) {
        cJSON_ArrayForEach(item, json_get(json, "cases"))
        {
            check_case(t, item, vocabulary, special_only);
            n++;
        }
        printf("%s: %d cases\n", vocabulary, n);
    }
    tokenizer_close(t);
    cJSON_Delete(json);
    return n;
}

static void fixtures(void)
{
    int n_missing = 0;

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        n_missing += check_source(sources[i].cases, sources[i].vocabulary, false) == 0;
    if (n_missing > 0)
        printf("SKIP %d of the vocabularies: not in this tree\n", n_missing);
}

/* The models of the fixtures, each as a folder and as a file. */
static void models(void)
{
    static const struct source model[] = {
        {"dense-gqa", "model-f16.gguf"}, {"moe-v1", "model-f16.gguf"},
        {"v2-lite", "model-f16.gguf"},   {"v2", "model-f16.gguf"},
        {"v3", "model-f16.gguf"},        {"v3-fp8", "model-f32.gguf"},
        {"v32", "model-f16.gguf"},       {"v4", "none: hadal has no MXFP4"},
        {"qwen2", "model-f16.gguf"},     {"qwen3", "model-f16.gguf"},
        {"llama3", "model-f16.gguf"},
    };
    int n = 0;

    for (size_t i = 0; i < sizeof(model) / sizeof(model[0]); i++) {
        char cases[100];
        char file[100];

        snprintf(cases, sizeof(cases), "%s/tokenizer_cases.json", model[i].cases);
        snprintf(file, sizeof(file), "%s/%s", model[i].cases, model[i].vocabulary);
        n += check_source(cases, model[i].cases, true);
        n += check_source(cases, file, true);
    }
    if (n == 0)
        test_skip("the models of the fixtures are not in this tree");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"fixtures", fixtures},
        {"models", models},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
