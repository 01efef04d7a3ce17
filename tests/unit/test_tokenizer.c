/* SPDX-License-Identifier: MIT
 *
 * Tests of model/tokenizer: the ids of every fixture, pieces, classes, streams, and
 * what is refused.
 */
#include "config.h"

#include "model/tokenizer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        char cases[200];
        char folder[200];
        char file[200];

        vocabulary_model(model[i].cases, "tokenizer_cases.json", cases);
        vocabulary_model(model[i].cases, "", folder);
        vocabulary_model(model[i].cases, model[i].vocabulary, file);
        n += check_source(cases, folder, true);
        n += check_source(cases, file, true);
    }
    if (n == 0)
        test_skip("the models of the fixtures are not in this tree");
}

/* ---- classes of characters ---- */

static void classes(void)
{
    static const struct {
        const char *name;
        enum unicode_class class;
    } names[] = {
        {"L", UNICODE_LETTER},    {"N", UNICODE_NUMBER}, {"P", UNICODE_PUNCTUATION},
        {"S", UNICODE_SYMBOL},    {"M", UNICODE_MARK},   {"space", UNICODE_SPACE},
        {"other", UNICODE_OTHER},
    };
    bool missing;
    cJSON *json = vocabulary_json("tokenizer/cases/classes.json", &missing);
    const cJSON *item;

    if (json == NULL)
        test_skip("tokenizer/cases is not in this tree");
    cJSON_ArrayForEach(item, json_get(json, "classes"))
    {
        uint32_t c = (uint32_t)strtoul(item->string, NULL, 16);
        enum unicode_class class = unicode_class_of(c);

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (strcmp(names[i].name, item->valuestring) == 0 &&
                names[i].class != class)
                FAIL("U+%s is %s, the table says %c", item->string, item->valuestring,
                     (char)class);
    }
    cJSON_Delete(json);
}

/* The table has exactly the 25 characters of White_Space. */
static void white_space(void)
{
    int n = 0;

    for (uint32_t c = 0; c < 0x110000; c++)
        n += unicode_class_of(c) == UNICODE_SPACE;
    CHECK(n == 25);
    CHECK(unicode_class_of(0x180E) == UNICODE_OTHER);
    CHECK(unicode_class_of(0x200B) == UNICODE_OTHER);
    CHECK(unicode_class_of(0x1F) == UNICODE_OTHER);
}

/* ---- streams ---- */

static void check_stream(const struct tokenizer *t, const cJSON *item)
{
    struct utf8_stream stream = {.n_held = 0};
    struct buf whole;
    const cJSON *emit = json_get(item, "emit")->child;
    const cJSON *id;
    struct buf shown;

    buf_init(&whole, BIG);
    buf_init(&shown, BIG);
    cJSON_ArrayForEach(id, json_get(item, "ids"))
    {
        size_t len;
        const char *bytes = tokenizer_bytes(t, id->valueint, &len);

        buf_clear(&shown);
        utf8_stream_add(&stream, bytes, len, &shown);
        buf_add(&whole, buf_text(&shown), shown.len);
        if (emit == NULL || strcmp(buf_text(&shown), emit->valuestring) != 0)
            FAIL("%s: shows '%s'", json_get(item, "note")->valuestring,
                 buf_text(&shown));
        emit = emit == NULL ? NULL : emit->next;
    }
    buf_clear(&shown);
    utf8_stream_end(&stream, &shown);
    if (strcmp(buf_text(&shown), json_get(item, "flush")->valuestring) != 0)
        FAIL("%s: flushes '%s'", json_get(item, "note")->valuestring, buf_text(&shown));
    buf_add(&whole, buf_text(&shown), shown.len);
    CHECK(strcmp(buf_text(&whole), json_get(item, "text")->valuestring) == 0);
    buf_release(&whole);
    buf_release(&shown);
}

static void streams(void)
{
    static const struct source files[] = {
        {"v3", "tokenizer/data/deepseek-v3.tokenizer.json.gz"},
        {"v2", "tokenizer/data/deepseek-v2.tokenizer.json.gz"},
        {"coder", "tokenizer/data/ggml-vocab-deepseek-coder.gguf"},
        {"llm", "tokenizer/data/ggml-vocab-deepseek-llm.gguf"},
    };
    bool missing;
    cJSON *json = vocabulary_json("tokenizer/cases/stream.json", &missing);
    const cJSON *item;
    int n = 0;

    for (size_t i = 0; json != NULL && i < sizeof(files) / sizeof(files[0]); i++) {
        struct tokenizer *t = vocabulary_open(files[i].vocabulary, &missing);

        cJSON_ArrayForEach(item, json_get(json, "cases"))
        {
            const char *name = json_get(item, "tokenizer")->valuestring;

            if (t == NULL || strcmp(name, files[i].cases) != 0)
                continue;
            check_stream(t, item);
            n++;
        }
        tokenizer_close(t);
    }
    printf("streams: %d\n", n);
    if (n == 0)
        test_skip("tokenizer/cases is not in this tree");
    cJSON_Delete(json);
}

/* ---- long and odd texts, on a small stack ---- */

#define RUN_BYTES ((size_t)1 << 17)
#define STACK_BYTES ((size_t)256 << 10)

static const char *const units[] = {
    "a",
    "Z",
    " ",
    "7",
    "\n",
    " \n",
    "!",
    "'",
    "\t",
    "\xE6\xB7\xB1",
    "\xE3\x80\x80",
    "\xCC\x81",
    "\xCC\x81\xCC\xA7", /* marks in the wrong order: NFC has to sort */
    "\xF0\x9F\x91\xA8\xE2\x80\x8D",
    "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8",
    "\xFF",
    "\xE2\x82",
    "q\tZ9\xC3\xA9 _",
    "<|"};

static void *run_units(void *arg)
{
    const struct tokenizer *t = arg;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct tokens ids = {.len = 0};
        struct buf text;

        buf_init(&text, RUN_BYTES);
        while (buf_add_text(&text, units[i]))
            continue;
        CHECK(tokenizer_encode(t, buf_text(&text), text.len, TOKENIZER_PLAIN, &ids,
                               NULL));
        check_round_trip(t, &ids, &text, units[i]);
        tokens_release(&ids);
        buf_release(&text);
    }
    return NULL;
}

static void long_runs(void)
{
    static const char *const files[] = {
        "tokenizer/mini/mini-v3.gguf", "tokenizer/mini/mini-llm.gguf",
        "tokenizer/mini/mini-coder.gguf", "tokenizer/mini/mini-llama3.gguf",
        "tokenizer/models/qwen2"};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        bool missing;
        struct tokenizer *t = vocabulary_open(files[i], &missing);
        pthread_attr_t attr;
        pthread_t thread;

        if (t == NULL)
            continue;
        pthread_attr_init(&attr);
        CHECK(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
        if (CHECK(pthread_create(&thread, &attr, run_units, t) == 0))
            pthread_join(thread, NULL);
        pthread_attr_destroy(&attr);
        tokenizer_close(t);
    }
}

/* A long piece goes through the heap, a short one through the scan: both must agree. In
 * a run of one letter every merge but the last few is the same at any length. */
static void heap_and_scan_agree(void)
{
    bool missing;
    struct tokenizer *t = vocabulary_open("tokenizer/mini/mini-llama3.gguf", &missing);
    struct tokens ids = {.len = 0};
    char text[200];

    memset(text, 'a', sizeof(text));
    for (size_t len = 1; t != NULL && len <= sizeof(text); len++) {
        size_t n = 0;

        tokens_clear(&ids);
        CHECK(tokenizer_encode(t, text, len, TOKENIZER_PLAIN, &ids, NULL));
        for (size_t i = 0; i < ids.len; i++) {
            size_t bytes;

            tokenizer_bytes(t, ids.id[i], &bytes);
            n += bytes;
            /* doubling merges: powers of two, the largest first */
            CHECK((bytes & (bytes - 1)) == 0);
        }
        CHECK(n == len);
    }
    tokens_release(&ids);
    tokenizer_close(t);
}

static void nul_is_text(void)
{
    bool missing;
    struct tokenizer *t = vocabulary_open("tokenizer/mini/mini-v3.gguf", &missing);
    struct tokens ids = {.len = 0};
    size_t len;

    if (t == NULL)
        return;
    CHECK(tokenizer_encode(t, "a\0b", 3, TOKENIZER_PLAIN, &ids, NULL));
    CHECK(ids.len == 3);
    CHECK(ids.len == 3 && tokenizer_bytes(t, ids.id[1], &len)[0] == '\0' && len == 1);
    tokens_release(&ids);
    tokenizer_close(t);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"fixtures", fixtures},
        {"models", models},
        {"classes", classes},
        {"white_space", white_space},
        {"streams", streams},
        {"long_runs", long_runs},
        {"heap_and_scan_agree", heap_and_scan_agree},
        {"nul_is_text", nul_is_text},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
