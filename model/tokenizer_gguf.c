/* SPDX-License-Identifier: MIT
 *
 * A tokenizer from the keys tokenizer.ggml.* of a GGUF file (spec/tokenizer.md 8).
 *
 * The file is taken for hostile: the type and the length of every array are compared,
 * every id is compared with the vocabulary, and what llama.cpp would guess (special ids
 * by default, another splitter) is refused or left out.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_priv.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/utf8.h"

#define KEY "tokenizer.ggml."

/* Values of tokenizer.ggml.token_type. */
enum gguf_token_type {
    TYPE_NORMAL = 1,
    TYPE_UNKNOWN = 2,
    TYPE_CONTROL = 3,
    TYPE_USER_DEFINED = 4,
    TYPE_UNUSED = 5,
    TYPE_BYTE = 6,
};

static bool fail(const struct gguf *g, struct err *err, const char *why)
{
    return err_set(err, ERR_MODEL, "%s: %s", gguf_path(g), why);
}

/* ---- model and pre-tokenizer ---- */

static bool text_is(const struct gguf_text *t, const char *word)
{
    return t->len == strlen(word) && memcmp(t->data, word, t->len) == 0;
}

static bool read_model(const struct gguf *g, struct err *err)
{
    struct gguf_text model;
    int got = gguf_get_text(g, KEY "model", &model, err);

    if (got < 0)
        return false;
    if (got == 0)
        return fail(g, err, KEY "model is missing: the file has no tokenizer");
    if (!text_is(&model, "gpt2"))
        return err_set(err, ERR_MODEL,
                       "%s: tokenizer \"%.*s\" is not supported; hadal reads \"gpt2\" "
                       "(byte-level BPE)",
                       gguf_path(g), model.len > 40 ? 40 : (int)model.len, model.data);
    return true;
}

static bool read_pretok(struct tokenizer *t, const struct gguf *g, struct err *err)
{
    struct gguf_text pre;
    char name[64];
    int got = gguf_get_text(g, KEY "pre", &pre, err);

    if (got < 0)
        return false;
    if (got == 0)
        return fail(g, err,
                    KEY "pre is missing, and another splitter would give wrong tokens; "
                        "convert the model again with a newer converter");
    snprintf(name, sizeof(name), "%.*s", pre.len > 60 ? 60 : (int)pre.len, pre.data);
    t->pretok = text_is(&pre, name) ? pretok_find(name) : NULL;
    if (t->pretok == NULL)
        return err_set(
            err, ERR_MODEL,
            "%s: pre-tokenizer \"%s\" is not supported; hadal knows those of "
            "DeepSeek, Qwen2, Llama 3, GPT-2 and SmolLM",
            gguf_path(g), name);
    t->nfc = pretok_uses_nfc(t->pretok);
    t->ignore_merges = pretok_ignores_merges(t->pretok);
    t->wants_bos = pretok_wants_bos(t->pretok);
    return true;
}

/* ---- vocabulary ---- */

/* An array that is absent (*out has n = 0) or of this kind and length. */
static bool read_parallel(const struct gguf *g, const char *key, enum gguf_kind kind,
                          enum gguf_kind or_kind, size_t n, struct gguf_array *out,
                          struct err *err)
{
    int got;

    memset(out, 0, sizeof(*out));
    got = gguf_get_array(g, key, out, err);
    if (got <= 0)
        return got == 0;
    if (out->kind != kind && out->kind != or_kind)
        return err_set(err, ERR_MODEL, "%s: %s is an array of %s, expected %s",
                       gguf_path(g), key, gguf_kind_name(out->kind),
                       gguf_kind_name(kind));
    if (out->n != n)
        return err_set(err, ERR_MODEL, "%s: %s has %zu entries for %zu tokens",
                       gguf_path(g), key, out->n, n);
    return true;
}

static bool kind_of(int64_t type, const struct gguf_text *text, enum token_kind *out)
{
    switch (type) {
    case TYPE_NORMAL:
        *out = TOKEN_NORMAL;
        return true;
    case TYPE_UNKNOWN:
    case TYPE_CONTROL:
        *out = TOKEN_CONTROL;
        return true;
    case TYPE_USER_DEFINED:
        *out = vocab_added_kind(text->data, text->len);
        return true;
    case TYPE_UNUSED:
    case TYPE_BYTE: /* of SentencePiece vocabularies; here no text leads to it */
        *out = TOKEN_NONE;
        return true;
    default:
        return false;
    }
}

static bool add_token(struct tokenizer *t, const struct gguf *g,
                      const struct gguf_text *text, int64_t type, struct err *err)
{
    size_t id = t->vocab.n;
    enum token_kind kind;
    int32_t twin;

    if (!utf8_is_valid(text->data, text->len))
        return err_set(err, ERR_MODEL, "%s: " KEY "tokens: token %zu is not UTF-8",
                       gguf_path(g), id);
    if (!kind_of(type, text, &kind))
        return err_set(err, ERR_MODEL,
                       "%s: " KEY "token_type: token %zu has the unknown type %lld",
                       gguf_path(g), id, (long long)type);
    if (vocab_add(&t->vocab, kind, text->data, text->len, &twin))
        return true;
    if (twin < 0)
        return fail(g, err, KEY "tokens: more than 2 GiB of text");
    return err_set(err, ERR_MODEL, "%s: " KEY "tokens: tokens %d and %zu are the same",
                   gguf_path(g), (int)twin, id);
}

static bool read_tokens(struct tokenizer *t, const struct gguf *g, int n_rows,
                        struct err *err)
{
    struct gguf_array tokens;
    struct gguf_array types;
    struct gguf_array scores; /* of no use here, yet a sign of damage when wrong */
    int got = gguf_get_array(g, KEY "tokens", &tokens, err);

    if (got < 0)
        return false;
    if (got == 0 || tokens.n == 0)
        return fail(g, err,
                    KEY "tokens is missing or empty: the file has no vocabulary");
    if (tokens.kind != GGUF_STRING)
        return err_set(err, ERR_MODEL,
                       "%s: " KEY "tokens is an array of %s, expected string",
                       gguf_path(g), gguf_kind_name(tokens.kind));
    if (n_rows > 0 && tokens.n != (size_t)n_rows)
        return err_set(err, ERR_MODEL,
                       "%s: " KEY "tokens has %zu entries for %d rows of the embedding",
                       gguf_path(g), tokens.n, n_rows);
    if (tokens.n > INT32_MAX / 2)
        return fail(g, err, KEY "tokens has too many entries");
    if (!read_parallel(g, KEY "token_type", GGUF_I32, GGUF_U32, tokens.n, &types,
                       err) ||
        !read_parallel(g, KEY "scores", GGUF_F32, GGUF_F32, tokens.n, &scores, err))
        return false;
    vocab_init(&t->vocab, tokens.n);
    for (size_t i = 0; i < tokens.n; i++) {
        int64_t type = types.n > 0 ? gguf_array_int(&types, i) : TYPE_NORMAL;

        if (!add_token(t, g, &tokens.text[i], type, err))
            return false;
    }
    return true;
}

/* ---- merges ---- */

/* "left right": cut at the first space after index 0. */
static bool add_merge(struct tokenizer *t, const struct gguf *g,
                      const struct gguf_text *merge, size_t i, struct err *err)
{
    const char *space = NULL;
    const char *why = "is not two parts with a space between";
    size_t left;

    if (merge->len > 2)
        space = memchr(merge->data + 1, ' ', merge->len - 2);
    if (space != NULL && utf8_is_valid(merge->data, merge->len)) {
        left = (size_t)(space - merge->data);
        why =
            tokenizer_add_merge(t, merge->data, left, space + 1, merge->len - left - 1);
    }
    if (why == NULL)
        return true;
    return err_set(err, ERR_MODEL, "%s: " KEY "merges: merge %zu %s", gguf_path(g), i,
                   why);
}

static bool read_merges(struct tokenizer *t, const struct gguf *g, struct err *err)
{
    struct gguf_array merges;
    int got = gguf_get_array(g, KEY "merges", &merges, err);

    if (got < 0)
        return false;
    if (got == 0)
        return fail(g, err, KEY "merges is missing");
    if (merges.kind != GGUF_STRING)
        return err_set(err, ERR_MODEL,
                       "%s: " KEY "merges is an array of %s, expected string",
                       gguf_path(g), gguf_kind_name(merges.kind));
    if (merges.n > INT32_MAX / 2)
        return fail(g, err, KEY "merges has too many entries");
    bpe_init(&t->bpe, merges.n);
    for (size_t i = 0; i < merges.n; i++)
        if (!add_merge(t, g, &merges.text[i], i, err))
            return false;
    return true;
}

/* ---- special ids ---- */

static bool read_id(const struct tokenizer *t, const struct gguf *g, const char *key,
                    int32_t *out, struct err *err)
{
    int64_t id;
    int got = gguf_get_int(g, key, INT64_MIN, INT64_MAX, &id, err);

    if (got <= 0)
        return got == 0;
    if (id < 0 || (size_t)id >= t->vocab.n)
        return err_set(err, ERR_MODEL, "%s: %s %lld is outside 0..%zu", gguf_path(g),
                       key, (long long)id, t->vocab.n - 1);
    *out = (int32_t)id;
    return true;
}

/* Every id that the file names must exist, whether it is used here or not. */
static bool check_ids(const struct tokenizer *t, const struct gguf *g, struct err *err)
{
    for (size_t i = 0; i < gguf_n_keys(g); i++) {
        const char *key = gguf_key_name(g, i);
        int32_t id;

        if (text_starts_with(key, KEY) && text_ends_with(key, "_token_id") &&
            !read_id(t, g, key, &id, err))
            return false;
    }
    return true;
}

static bool read_special(struct tokenizer *t, const struct gguf *g, struct err *err)
{
    static const char *const ends[] = {KEY "eot_token_id", KEY "eom_token_id"};

    if (!check_ids(t, g, err) || !read_id(t, g, KEY "bos_token_id", &t->bos, err) ||
        !read_id(t, g, KEY "eos_token_id", &t->eos, err))
        return false;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        int32_t id = -1;

        if (!read_id(t, g, ends[i], &id, err))
            return false;
        if (id >= 0)
            tokenizer_add_end(t, id);
    }
    return gguf_get_bool(g, KEY "add_bos_token", &t->wants_bos, err) >= 0;
}

static bool read_template(struct tokenizer *t, const struct gguf *g, struct err *err)
{
    struct gguf_text text;
    int got = gguf_get_text(g, "tokenizer.chat_template", &text, err);

    if (got > 0)
        t->template_text = mem_dup_n(text.data, text.len);
    return got >= 0;
}

struct tokenizer *tokenizer_open_gguf(const struct gguf *g, int n_rows, struct err *err)
{
    struct tokenizer *t = tokenizer_new();

    if (read_model(g, err) && read_pretok(t, g, err) &&
        read_tokens(t, g, n_rows, err) && read_merges(t, g, err) &&
        read_special(t, g, err) && read_template(t, g, err) &&
        tokenizer_finish(t, gguf_path(g), err))
        return t;
    tokenizer_close(t);
    return NULL;
}
