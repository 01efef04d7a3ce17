/* SPDX-License-Identifier: MIT
 *
 * Tests of model/tokenizer: what is refused and with which words, of the hostile set
 * and of files made here, each one fault away from one that is accepted.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/tokenizer.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/utf8.h"
#include "tests/gguf_build.h"
#include "tests/hostile.h"
#include "tests/test.h"
#include "tests/vocabulary.h"

#define KEY "tokenizer.ggml."

enum {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    BOOL = 7,
    TEXT = 8,
    ARRAY = 9
};

/* ---- a small valid vocabulary, and one fault in it ---- */

#define N_TOKENS 264

struct model {
    char token[N_TOKENS][16];
    uint32_t type[N_TOKENS];
    const char *merge[4];
};

/* The letter of the byte alphabet that stands for a byte. */
static void spell(int byte, char out[16])
{
    int n = 0; /* bytes before this one that have no letter of their own */
    uint32_t c = (uint32_t)byte;

    for (int b = 0; b <= byte; b++) {
        bool own = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;

        if (b == byte && !own)
            c = 0x100U + (uint32_t)n;
        n += !own;
    }
    out[utf8_encode(c, out)] = '\0';
}

static void model_init(struct model *m)
{
    static const char *const more[N_TOKENS - 256] = {"th", "the", "<b>",    "<e>",
                                                     "ö",  "<t>", "[PAD6]", "in"};
    static const uint32_t type[N_TOKENS - 256] = {1, 1, 3, 3, 4, 4, 4, 1};

    memset(m, 0, sizeof(*m));
    for (int i = 0; i < 256; i++) {
        spell(i, m->token[i]);
        m->type[i] = 1;
    }
    for (int i = 256; i < N_TOKENS; i++) {
        snprintf(m->token[i], sizeof(m->token[i]), "%s", more[i - 256]);
        m->type[i] = type[i - 256];
    }
    m->merge[0] = "t h";
    m->merge[1] = "th e";
    m->merge[2] = "i n";
}

static void put_array(struct gguf_build *b, const char *name, uint32_t kind, uint64_t n)
{
    build_key_begin(b, name, ARRAY);
    build_u32(&b->keys, kind);
    build_u64(&b->keys, n);
}

static void put_tokens(struct gguf_build *b, const struct model *m)
{
    put_array(b, KEY "tokens", TEXT, N_TOKENS);
    for (int i = 0; i < N_TOKENS; i++)
        build_text(&b->keys, m->token[i]);
}

static void put_types(struct gguf_build *b, const struct model *m)
{
    put_array(b, KEY "token_type", I32, N_TOKENS);
    for (int i = 0; i < N_TOKENS; i++)
        build_u32(&b->keys, m->type[i]);
}

static void put_merges(struct gguf_build *b, const struct model *m)
{
    uint64_t n = 0;

    while (n < 4 && m->merge[n] != NULL)
        n++;
    put_array(b, KEY "merges", TEXT, n);
    for (uint64_t i = 0; i < n; i++)
        build_text(&b->keys, m->merge[i]);
}

/* The keys of the model, but for `without`, then those of `more`. */
typedef void (*keys_fn)(struct gguf_build *b);

static struct tokenizer *open_model(const struct model *m, const char *without,
                                    keys_fn more, int n_rows, struct err *err)
{
    struct gguf_build b;
    char path[] = "/tmp/hadal-test-XXXXXX";
    int fd = mkstemp(path);
    unsigned char *file;
    size_t len;
    struct gguf *g = NULL;
    struct tokenizer *t = NULL;

    build_init(&b);
    if (strcmp(without, "model") != 0)
        build_key_text(&b, KEY "model", "gpt2");
    if (strcmp(without, "pre") != 0)
        build_key_text(&b, KEY "pre", "deepseek-llm");
    if (strcmp(without, "tokens") != 0)
        put_tokens(&b, m);
    if (strcmp(without, "token_type") != 0)
        put_types(&b, m);
    if (strcmp(without, "merges") != 0)
        put_merges(&b, m);
    if (strcmp(without, "bos_token_id") != 0)
        build_key_u32(&b, KEY "bos_token_id", 258);
    if (strcmp(without, "eos_token_id") != 0)
        build_key_u32(&b, KEY "eos_token_id", 259);
    if (more != NULL)
        more(&b);
    file = build_file(&b, &len);
    if (fd >= 0 && file_write_fd(fd, path, file, len, err))
        g = gguf_open(path, err);
    if (g != NULL)
        t = tokenizer_open_gguf(g, n_rows, err);
    if (t == NULL && strncmp(err->text, path, strlen(path)) != 0)
        FAIL("'%s' does not begin with the path", err->text);
    gguf_close(g);
    close(fd);
    unlink(path);
    free(file);
    build_release(&b);
    return t;
}

/* ---- faults in keys ---- */

static void model_llama(struct gguf_build *b)
{
    build_key_text(b, KEY "model", "llama");
}

static void model_number(struct gguf_build *b)
{
    build_key_u32(b, KEY "model", 1);
}

static void pre_kimi(struct gguf_build *b)
{
    build_key_text(b, KEY "pre", "kimi-k2");
}

static void pre_long(struct gguf_build *b)
{
    build_key_text(
        b, KEY "pre",
        "deepseek-v3deepseek-v3deepseek-v3deepseek-v3deepseek-v3deepseek-v3");
}

static void tokens_numbers(struct gguf_build *b)
{
    put_array(b, KEY "tokens", U32, 2);
    build_u64(&b->keys, 0);
}

static void tokens_empty(struct gguf_build *b)
{
    put_array(b, KEY "tokens", TEXT, 0);
}

static void tokens_one(struct gguf_build *b)
{
    put_array(b, KEY "tokens", TEXT, 1);
    build_text(&b->keys, "a");
}

static void tokens_text(struct gguf_build *b)
{
    build_key_text(b, KEY "tokens", "a b c");
}

static void put_bytes(struct gguf_build *b, size_t n)
{
    while (n-- > 0)
        buf_add_char(&b->keys, 1);
}

static void types_i8(struct gguf_build *b)
{
    put_array(b, KEY "token_type", I8, N_TOKENS);
    put_bytes(b, N_TOKENS);
}

static void types_u16(struct gguf_build *b)
{
    put_array(b, KEY "token_type", U16, N_TOKENS);
    put_bytes(b, (size_t)2 * N_TOKENS);
}

static void types_short(struct gguf_build *b)
{
    put_array(b, KEY "token_type", I32, 3);
    build_u32(&b->keys, 1);
    build_u64(&b->keys, 1);
}

static void types_text(struct gguf_build *b)
{
    put_array(b, KEY "token_type", TEXT, 1);
    build_text(&b->keys, "1");
}

static void scores_u8(struct gguf_build *b)
{
    put_array(b, KEY "scores", U8, N_TOKENS);
    put_bytes(b, N_TOKENS);
}

static void scores_short(struct gguf_build *b)
{
    put_array(b, KEY "scores", F32, 1);
    build_u32(&b->keys, 0);
}

static void merges_numbers(struct gguf_build *b)
{
    put_array(b, KEY "merges", U32, 1);
    build_u32(&b->keys, 0);
}

static void eos_beyond(struct gguf_build *b)
{
    build_key_u32(b, KEY "eos_token_id", N_TOKENS);
}

static void eos_all_ones(struct gguf_build *b)
{
    build_key_u32(b, KEY "eos_token_id", UINT32_MAX);
}

static void bos_negative(struct gguf_build *b)
{
    build_key_begin(b, KEY "bos_token_id", I32);
    build_u32(&b->keys, UINT32_MAX);
}

static void eos_text(struct gguf_build *b)
{
    build_key_text(b, KEY "eos_token_id", "259");
}

static void eot_beyond(struct gguf_build *b)
{
    build_key_u32(b, KEY "eot_token_id", 9999);
}

static void fim_beyond(struct gguf_build *b)
{
    build_key_u32(b, KEY "fim_pre_token_id", 9999);
}

static void add_bos_text(struct gguf_build *b)
{
    build_key_text(b, KEY "add_bos_token", "yes");
}

static void template_number(struct gguf_build *b)
{
    build_key_u32(b, "tokenizer.chat_template", 7);
}

static void faults_in_keys(void)
{
    static const struct {
        const char *without;
        keys_fn more;
        int n_rows;
        const char *why;
    } faults[] = {
        {"model", NULL, 0, "tokenizer.ggml.model is missing"},
        {"model", model_llama, 0, "tokenizer \"llama\" is not supported"},
        {"model", model_number, 0, "tokenizer.ggml.model"},
        {"pre", NULL, 0, "tokenizer.ggml.pre is missing"},
        {"pre", pre_kimi, 0, "pre-tokenizer \"kimi-k2\" is not supported"},
        {"pre", pre_long, 0, "is not supported"},
        {"tokens", NULL, 0, "tokenizer.ggml.tokens is missing"},
        {"tokens", tokens_numbers, 0, "tokens is an array of u32, expected string"},
        {"tokens", tokens_empty, 0, "tokens is missing or empty"},
        {"tokens", tokens_text, 0, "tokenizer.ggml.tokens"},
        {"tokens", tokens_one, 264, "tokens has 1 entries for 264 rows"},
        {"", NULL, 263, "tokens has 264 entries for 263 rows"},
        {"token_type", types_i8, 0, "token_type is an array of i8"},
        {"token_type", types_u16, 0, "token_type is an array of u16"},
        {"token_type", types_short, 0, "token_type has 3 entries for 264 tokens"},
        {"token_type", types_text, 0, "token_type is an array of string"},
        {"", scores_u8, 0, "scores is an array of u8"},
        {"", scores_short, 0, "scores has 1 entries"},
        {"merges", NULL, 0, "merges is missing"},
        {"merges", merges_numbers, 0, "merges is an array of u32"},
        {"eos_token_id", eos_beyond, 0, "eos_token_id 264 is outside 0..263"},
        {"eos_token_id", eos_all_ones, 0, "eos_token_id 4294967295 is outside 0..263"},
        {"eos_token_id", eos_text, 0, "eos_token_id"},
        {"bos_token_id", bos_negative, 0, "bos_token_id -1 is outside 0..263"},
        {"", eot_beyond, 0, "eot_token_id 9999 is outside"},
        {"", fim_beyond, 0, "fim_pre_token_id 9999 is outside"},
        {"", add_bos_text, 0, "add_bos_token"},
        {"", template_number, 0, "chat_template"},
    };
    struct model m;

    model_init(&m);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct err err = {.text = ""};
        struct tokenizer *t =
            open_model(&m, faults[i].without, faults[i].more, faults[i].n_rows, &err);

        if (t != NULL)
            FAIL("'%s': accepted", faults[i].why);
        else if (strstr(err.text, faults[i].why) == NULL || err.kind != ERR_MODEL)
            FAIL("'%s': says '%s'", faults[i].why, err.text);
        tokenizer_close(t);
    }
}

/* ---- faults in tokens and merges ---- */

static void expect(const struct model *m, const char *why)
{
    struct err err = {.text = ""};
    struct tokenizer *t = open_model(m, "", NULL, 0, &err);

    if (t != NULL)
        FAIL("'%s': accepted", why);
    else if (strstr(err.text, why) == NULL)
        FAIL("'%s': says '%s'", why, err.text);
    tokenizer_close(t);
}

static void faults_in_merges(void)
{
    static const struct {
        const char *merge, *why;
    } faults[] = {
        {"", "merge 2 is not two parts"},
        {"in", "merge 2 is not two parts"},
        {" in", "merge 2 is not two parts"},
        {"in ", "merge 2 is not two parts"},
        {" ", "merge 2 is not two parts"},
        {"i \xFF", "merge 2 is not two parts"},
        {"i xyz", "merge 2 has a part that is no token"},
        {"i \xE4\xB8\xAD", "merge 2 has a part that is no token"},
        {"i <e>", "merge 2 has a part that is no token"},
        {"i i", "merge 2 makes no token"},
        {"i n ", "merge 2 has a part that is no token"},
    };
    struct model m;

    model_init(&m);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        m.merge[2] = faults[i].merge;
        expect(&m, faults[i].why);
    }
}

static void faults_in_tokens(void)
{
    struct model m;

    model_init(&m);
    snprintf(m.token[263], sizeof(m.token[0]), "\xFF\xFE");
    expect(&m, "token 263 is not UTF-8");
    model_init(&m);
    snprintf(m.token[259], sizeof(m.token[0]), "\xED\xA0\x80");
    expect(&m, "token 259 is not UTF-8");
    model_init(&m);
    snprintf(m.token[263], sizeof(m.token[0]), "the");
    expect(&m, "tokens 257 and 263 are the same");
    model_init(&m);
    snprintf(m.token['A'], sizeof(m.token[0]), "AA");
    expect(&m, "none for the byte 0x41");
    model_init(&m);
    m.type[7] = 77;
    expect(&m, "token 7 has the unknown type 77");
    m.type[7] = UINT32_MAX;
    expect(&m, "token 7 has the unknown type -1");
}

/* ---- what is accepted ---- */

static void eos_i16(struct gguf_build *b)
{
    build_key_begin(b, KEY "eos_token_id", 3);
    buf_add(&b->keys, "\x03\x01", 2);
}

static bool encodes(const struct tokenizer *t, const char *text,
                    enum tokenizer_mode mode, int n, const int32_t *ids)
{
    struct tokens got = {.len = 0};
    bool same = tokenizer_encode(t, text, strlen(text), mode, &got, NULL) &&
                got.len == (size_t)n &&
                (n == 0 || memcmp(got.id, ids, (size_t)n * sizeof(*ids)) == 0);

    if (!same)
        FAIL("'%s': %zu tokens, the first %d", text, got.len,
             got.len > 0 ? (int)got.id[0] : -1);
    tokens_release(&got);
    return same;
}

static void kinds_of_tokens(void)
{
    struct model m;
    struct err err = {.text = ""};
    struct tokenizer *t;
    size_t len;

    model_init(&m);
    t = open_model(&m, "eos_token_id", eos_i16, N_TOKENS, &err);
    if (t == NULL) {
        FAIL("%s", err.text);
        return;
    }
    CHECK(tokenizer_bos(t) == 258 && tokenizer_eos(t) == 259);
    CHECK(tokenizer_wants_bos(t) && tokenizer_n_tokens(t) == N_TOKENS);
    CHECK(tokenizer_is_end(t, 259) && !tokenizer_is_end(t, 258));
    encodes(t, "the", TOKENIZER_PLAIN, 1, (const int32_t[]){257});
    encodes(t, "<t>", TOKENIZER_PLAIN, 3, (const int32_t[]){'<', 't', '>'});
    encodes(t, "<t><e>", TOKENIZER_SPECIAL, 2, (const int32_t[]){261, 259});
    encodes(t, "tö", TOKENIZER_PLAIN, 2, (const int32_t[]){'t', 260});
    encodes(t, "[PAD6]", TOKENIZER_SPECIAL, 6,
            (const int32_t[]){'[', 'P', 'A', 'D', '6', ']'});
    encodes(t, "", TOKENIZER_SPECIAL, 0, (const int32_t[]){0});
    CHECK(tokenizer_find(t, "<t>") == 261 && tokenizer_find(t, "<") == -1);
    CHECK(tokenizer_find(t, "") == -1 && tokenizer_find(t, "[PAD6]") == -1);
    CHECK(tokenizer_is_added(t, 261) && !tokenizer_is_normal(t, 261));
    CHECK(!tokenizer_is_added(t, 260) && tokenizer_is_normal(t, 260));
    CHECK(!tokenizer_is_added(t, 262) && !tokenizer_is_normal(t, 262));
    CHECK(strcmp(tokenizer_bytes(t, 262, &len), "") == 0 && len == 0);
    CHECK(tokenizer_bytes(t, N_TOKENS, &len) == NULL);
    CHECK(tokenizer_bytes(t, -1, &len) == NULL);
    CHECK(memcmp(tokenizer_bytes(t, 0, &len), "\0", 1) == 0 && len == 1);
    CHECK(tokenizer_template(t) == NULL);
    tokenizer_close(t);
}

static void types_may_be_absent(void)
{
    struct model m;
    struct err err = {.text = ""};
    struct tokenizer *t;

    model_init(&m);
    snprintf(m.token[260], sizeof(m.token[0]), "<o>"); /* as normal, ö is a byte */
    t = open_model(&m, "token_type", NULL, 0, &err);
    if (t == NULL)
        FAIL("%s", err.text);
    else
        encodes(t, "the in", TOKENIZER_PLAIN, 3, (const int32_t[]){257, 32, 263});
    tokenizer_close(t);
}

/* ---- the hostile set ---- */

static int n_hostile;

static void check_hostile(const struct hostile_case *c)
{
    char path[] = "/tmp/hadal-test-XXXXXX";
    struct err err = {.text = ""};
    struct gguf *g;
    struct tokenizer *t = NULL;
    const struct gguf_tensor *rows;
    int fd;

    if (c->data == NULL ||
        (strcmp(c->family, "tokenizer") != 0 && strcmp(c->family, "content") != 0))
        return;
    fd = mkstemp(path);
    CHECK(fd >= 0 && file_write_fd(fd, path, c->data, c->len, &err));
    g = gguf_open(path, &err);
    rows = g == NULL ? NULL : gguf_find_tensor(g, "token_embd.weight");
    if (rows != NULL)
        t = tokenizer_open_gguf(g, (int)rows->ne[1], &err);
    if (strcmp(c->what, "reject") == 0) {
        n_hostile++;
        if (t != NULL)
            FAIL("%s: accepted", c->name);
        else if (!hostile_is_named(c, err.text))
            FAIL("%s: says '%s'", c->name, err.text);
    } else if (t == NULL) {
        FAIL("%s: %s", c->name, err.text);
    }
    tokenizer_close(t);
    gguf_close(g);
    close(fd);
    unlink(path);
}

static void hostile_files(void)
{
    n_hostile = 0;
    hostile_each(check_hostile);
    CHECK(n_hostile >= 5);
}

/* ---- folders ---- */

static const char *const folder_files[] = {"config.json", "tokenizer_config.json",
                                           "tokenizer.json", "generation_config.json",
                                           "chat_template.jinja"};
#define N_FILES (sizeof(folder_files) / sizeof(folder_files[0]))

/* Opens the base folder with one file replaced by text (NULL: none is). */
static struct tokenizer *open_with(const char *name, const char *text, struct err *err)
{
    char folder[] = "/tmp/hadal-test-XXXXXX";
    char path[4200];
    struct tokenizer *t = NULL;

    if (mkdtemp(folder) == NULL)
        return NULL;
    for (size_t i = 0; i < N_FILES; i++) {
        bool own = name != NULL && strcmp(folder_files[i], name) == 0;
        const char *from;
        char *copy = NULL;

        snprintf(path, sizeof(path), "hostile/hf-base/%s", folder_files[i]);
        from = test_fixture(path);
        if (!own && from == NULL)
            continue;
        if (!own)
            copy = test_read(from, NULL);
        snprintf(path, sizeof(path), "%s/%s", folder, folder_files[i]);
        CHECK(file_replace(path, own ? text : copy, strlen(own ? text : copy), err));
        free(copy);
    }
    t = tokenizer_open_folder(folder, err);
    for (size_t i = 0; i < N_FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, folder_files[i]);
        unlink(path);
    }
    rmdir(folder);
    return t;
}

static void expect_folder(const char *name, const char *text, const char *why)
{
    struct err err = {.text = ""};
    struct tokenizer *t = open_with(name, text, &err);

    if (t != NULL)
        FAIL("%s '%s': accepted", name, why);
    else if (strstr(err.text, why) == NULL || strstr(err.text, name) == NULL ||
             err.kind != ERR_MODEL)
        FAIL("%s '%s': says '%s'", name, why, err.text);
    tokenizer_close(t);
}

static void hostile_folders(void)
{
    static const struct {
        const char *folder, *why;
    } cases[] = {
        {"tok_added_no_content", "added_tokens[3] has no content"},
        {"tok_cut", "ends inside a string"},
        {"tok_id_a_million", "token id 1000000 is outside 0..263"},
        {"tok_id_twice", "two tokens have the id"},
        {"tok_merge_of_one", "is not two parts"},
        {"tok_vocab_is_list", "model.vocab is not an object"},
    };
    struct err err = {.text = ""};
    struct tokenizer *t;

    if (test_fixture("hostile/hf-base") == NULL) {
        test_skip("the hostile folders are not in this tree");
        return;
    }
    t = open_with(NULL, NULL, &err);
    if (t == NULL)
        FAIL("hf-base: %s", err.text);
    tokenizer_close(t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[200];
        char *text;

        snprintf(path, sizeof(path), "hostile/%s/tokenizer.json", cases[i].folder);
        text = test_read(test_fixture(path), NULL);
        if (text != NULL)
            expect_folder("tokenizer.json", text, cases[i].why);
        free(text);
    }
}

/* text with the first `from` in it replaced; owned. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    struct buf out;

    buf_init(&out, 1 << 20);
    if (at == NULL) {
        FAIL("'%s' is not in the file", from);
        at = text + strlen(text);
        from = "";
    }
    buf_add(&out, text, (size_t)(at - text));
    buf_add_text(&out, to);
    buf_add_text(&out, at + strlen(from));
    return buf_take(&out, NULL);
}

static void faults_in_tokenizer_json(void)
{
    static const struct {
        const char *from, *to, *why;
    } edits[] = {
        {"\"type\":\"BPE\"", "\"type\":\"WordPiece\"", "model.type"},
        {"\"dropout\":null", "\"dropout\":0.1", "model.dropout"},
        {"\"byte_fallback\":false", "\"byte_fallback\":true", "byte_fallback"},
        {"\\\\p{N}{1,3}", "\\\\p{N}{1,4}", "pre_tokenizer is not supported"},
        {"\\\\p{N}{1,3}", "(a+)+$", "pre_tokenizer is not supported"},
        {"\"behavior\":\"Isolated\"", "\"behavior\":\"Removed\"", "pre_tokenizer"},
        {"\"invert\":false", "\"invert\":true", "pre_tokenizer"},
        {"\"pre_tokenizer\":{", "\"pre_tokenizer\":5,\"x\":{", "pre_tokenizer"},
        {"\"normalizers\":[]", "\"normalizers\":[{\"type\":\"Lowercase\"}]",
         "normalizer is not supported"},
        {"\"normalizer\":{", "\"normalizer\":7,\"x\":{", "normalizer is not supported"},
        {"\"merges\":[", "\"merges\":[7,", "merge 0 is not two parts"},
        {"\"merges\":[", "\"merges\":[\"i\",", "merge 0 is not two parts"},
        {"\"merges\":[", "\"merges\":[[\"i\",\"n\",\"g\"],",
         "merge 0 is not two parts"},
        {"\"merges\":[", "\"merges\":[\"i zzz\",", "merge 0 has a part"},
        {"\"merges\":[", "\"merges\":[\"i i\",", "merge 0 makes no token"},
        {"\"merges\":[", "\"merges\":{},\"x\":[", "merges is not a list"},
        {"\"added_tokens\":[", "\"added_tokens\":7,\"x\":[",
         "added_tokens is not a list"},
        {"\"id\":261", "\"id\":-1", "an id is not a whole number"},
        {"\"id\":261", "\"id\":260.5", "an id is not a whole number"},
        {"\"id\":261", "\"id\":264", "token id 264 is outside 0..263"},
        {"\"id\":261", "\"id\":4294967296", "an id is not a whole number"},
        {"\"id\":261", "\"id\":260", "two tokens have the id 260"},
        {"\"content\":\"<｜User｜>\"", "\"content\":\"\"", "has no content"},
        {"\"version\"", "\"added_tokens\"", "duplicate key"},
        {"\"vocab\":{", "\"vocab\":{\"\\u4e2d\\u0000\":7,", "NUL in a string"},
        {"\"vocab\":{", "\"vocab\":{\"zz\":\"5\",", "an id is not a whole number"},
    };
    char *base = test_read(test_fixture("hostile/hf-base/tokenizer.json"), NULL);

    for (size_t i = 0; base != NULL && i < sizeof(edits) / sizeof(edits[0]); i++) {
        char *text = replaced(base, edits[i].from, edits[i].to);

        expect_folder("tokenizer.json", text, edits[i].why);
        free(text);
    }
    free(base);
    expect_folder("tokenizer.json", "[]", "not a JSON object");
    expect_folder("tokenizer.json", "{}", "model.type");
    expect_folder("tokenizer.json", "", "the text ends");
}

static void faults_in_configs(void)
{
    expect_folder("config.json", "{\"vocab_size\":264,\"eos_token_id\":99999}",
                  "eos_token_id 99999 is outside 0..263");
    expect_folder("config.json", "{\"vocab_size\":264,\"eos_token_id\":[261,-1]}",
                  "eos_token_id -1 is outside");
    expect_folder("config.json", "{\"vocab_size\":264,\"bos_token_id\":\"x\"}",
                  "bos_token_id is not a token id");
    expect_folder("config.json", "{\"vocab_size\":0}", "vocab_size");
    expect_folder("config.json", "{\"vocab_size\":1e12}", "vocab_size");
    expect_folder("config.json", "[]", "not a JSON object");
    expect_folder("generation_config.json", "{\"eos_token_id\":264}",
                  "eos_token_id 264 is outside");
    expect_folder("tokenizer_config.json", "{\"bos_token\":\"<nope>\"}",
                  "bos_token '<nope>' is not in the vocabulary");
    expect_folder("tokenizer_config.json", "{\"eos_token\":{\"content\":\"\"}}",
                  "eos_token '' is not in the vocabulary");
    expect_folder("tokenizer_config.json", "{", "expected a key");
}

/* The end tokens and the template of a folder, and which file goes before which. */
static void configs_are_read(void)
{
    static const struct {
        const char *file, *text;
        int32_t end;
        const char *template_text;
    } cases[] = {
        {"generation_config.json", "{\"eos_token_id\":[261,263]}", 263, NULL},
        {"config.json", "{\"eos_token_id\":262,\"vocab_size\":300}", 262, NULL},
        {"chat_template.jinja", "{{ x }}", 261, "{{ x }}"},
        {"tokenizer_config.json", "{\"chat_template\":\"abc\"}", 261, "abc"},
        {"tokenizer_config.json",
         "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"t\"},"
         "{\"name\":\"default\",\"template\":\"d\"}]}",
         261, "d"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {.text = ""};
        struct tokenizer *t = open_with(cases[i].file, cases[i].text, &err);
        const char *text = t == NULL ? NULL : tokenizer_template(t);

        if (t == NULL) {
            FAIL("%s: %s", cases[i].file, err.text);
            continue;
        }
        CHECK(tokenizer_is_end(t, cases[i].end));
        CHECK((text == NULL) == (cases[i].template_text == NULL));
        if (text != NULL)
            CHECK(strcmp(text, cases[i].template_text) == 0);
        CHECK(tokenizer_bos(t) == 260);
        tokenizer_close(t);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"faults_in_keys", faults_in_keys},
        {"faults_in_merges", faults_in_merges},
        {"faults_in_tokens", faults_in_tokens},
        {"kinds_of_tokens", kinds_of_tokens},
        {"types_may_be_absent", types_may_be_absent},
        {"hostile_files", hostile_files},
        {"hostile_folders", hostile_folders},
        {"faults_in_tokenizer_json", faults_in_tokenizer_json},
        {"faults_in_configs", faults_in_configs},
        {"configs_are_read", configs_are_read},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
