/* SPDX-License-Identifier: MIT
 *
 * Byte-level BPE: see tokenizer.h.
 *
 * Text is repaired, cut at added tokens, normalized where the model asks for it, cut
 * into pieces (pretok.c) and merged piece by piece (bpe.c).
 */
#include "config.h"

#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "model/nfc.h"
#include "model/tokenizer_priv.h"
#include "src/base/mem.h"
#include "src/base/utf8.h"

/* Positions are int32_t in bpe.c, and repair or NFC may triple the text. */
#define MAX_TEXT_BYTES ((size_t)INT32_MAX / 4)

/* ---- building ---- */

struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *t = mem_zalloc(sizeof(*t));

    t->bos = -1;
    t->eos = -1;
    return t;
}

void tokenizer_close(struct tokenizer *t)
{
    if (t == NULL)
        return;
    vocab_release(&t->vocab);
    bpe_release(&t->bpe);
    added_release(&t->special);
    added_release(&t->letters);
    tokens_release(&t->ends);
    free(t->template_text);
    free(t);
}

const char *tokenizer_add_merge(struct tokenizer *t, const char *left, size_t left_len,
                                const char *right, size_t right_len)
{
    const struct vocab *v = &t->vocab;
    int32_t left_id = vocab_find_spelled(v, left, left_len);
    int32_t right_id = vocab_find_spelled(v, right, right_len);
    char small[512];
    char *joined = small;
    const char *bytes;
    size_t len;
    size_t len2;
    int32_t id;

    if (left_id < 0 || right_id < 0)
        return "has a part that is no token";
    bytes = vocab_bytes(v, left_id, &len);
    vocab_bytes(v, right_id, &len2);
    if (len + len2 > sizeof(small))
        joined = mem_alloc(len + len2);
    memcpy(joined, bytes, len);
    memcpy(joined + len, vocab_bytes(v, right_id, &len2), len2);
    id = vocab_find(v, joined, len + len2);
    if (joined != small)
        free(joined);
    if (id < 0)
        return "makes no token";
    bpe_add(&t->bpe, left_id, right_id, id);
    return NULL;
}

void tokenizer_add_end(struct tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->ends.len; i++)
        if (t->ends.id[i] == id)
            return;
    tokens_add(&t->ends, id);
}

/* Some vocabularies lack bytes that are rare (SmolLM2: a few controls) or no part of
 * UTF-8 (V2: C0, F5, ...). One without the printable ASCII is damaged. */
static bool find_bytes(struct tokenizer *t, const char *what, struct err *err)
{
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;

        t->bpe.byte_id[byte] = vocab_find(&t->vocab, &c, 1);
        if (t->bpe.byte_id[byte] < 0 && byte >= 0x20 && byte <= 0x7E)
            return err_set(
                err, ERR_MODEL,
                "%s: the vocabulary of %zu tokens has none for the byte 0x%02X", what,
                t->vocab.n, (unsigned)byte);
    }
    return true;
}

bool tokenizer_finish(struct tokenizer *t, const char *what, struct err *err)
{
    if (!find_bytes(t, what, err))
        return false;
    for (size_t i = 0; i < t->vocab.n; i++) {
        enum token_kind kind = t->vocab.token[i].kind;
        size_t len;
        const char *text = vocab_bytes(&t->vocab, (int32_t)i, &len);

        if (kind == TOKEN_NONE || kind == TOKEN_NORMAL)
            continue;
        if (len > TOKENIZER_MAX_ADDED_BYTES)
            return err_set(err, ERR_MODEL,
                           "%s: added token %zu has %zu bytes (at most %d)", what, i,
                           len, TOKENIZER_MAX_ADDED_BYTES);
        added_put(&t->special, text, len, (int32_t)i);
        if (kind == TOKEN_LETTER)
            added_put(&t->letters, text, len, (int32_t)i);
    }
    added_sort(&t->special);
    added_sort(&t->letters);
    if (t->eos >= 0)
        tokenizer_add_end(t, t->eos);
    return true;
}

/* ---- encoding ---- */

struct encoder {
    const struct tokenizer *t;
    struct bpe_scratch scratch;
    struct buf normal; /* NFC of the stretch at hand */
    struct tokens *out;
};

static bool encode_pieces(struct encoder *e, const char *text, size_t len,
                          struct err *err)
{
    struct pretok_scan scan;
    const char *piece;
    size_t n;

    pretok_start(&scan, e->t->pretok, text, len);
    while (pretok_next(&scan, &piece, &n)) {
        int32_t whole = -1;

        if (e->t->ignore_merges)
            whole = vocab_find(&e->t->vocab, piece, n);
        if (whole >= 0)
            tokens_add(e->out, whole);
        else if (!bpe_encode(&e->t->bpe, &e->scratch, piece, n, e->out, err))
            return false;
    }
    return true;
}

/* Text without added tokens. */
static bool encode_stretch(struct encoder *e, const char *text, size_t len,
                           struct err *err)
{
    if (!e->t->nfc || nfc_is_plain(text, len))
        return encode_pieces(e, text, len, err);
    buf_clear(&e->normal);
    return nfc_add(&e->normal, text, len, err) &&
           encode_pieces(e, buf_text(&e->normal), e->normal.len, err);
}

static bool encode_valid(struct encoder *e, const char *text, size_t len,
                         enum tokenizer_mode mode, struct err *err)
{
    const struct added *added =
        mode == TOKENIZER_SPECIAL ? &e->t->special : &e->t->letters;
    size_t from = 0;

    for (;;) {
        size_t at = len;
        const struct added_token *found = added_find(added, text, len, from, &at);

        if (!encode_stretch(e, text + from, at - from, err))
            return false;
        if (found == NULL)
            return true;
        tokens_add(e->out, found->id);
        from = at + found->len;
    }
}

bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                      enum tokenizer_mode mode, struct tokens *out, struct err *err)
{
    struct encoder e = {.t = t, .out = out};
    struct buf repaired;
    size_t before = out->len;
    bool ok = false;

    buf_init(&repaired, 3 * MAX_TEXT_BYTES);
    buf_init(&e.normal, 4 * MAX_TEXT_BYTES);
    if (len > MAX_TEXT_BYTES) {
        err_set(err, ERR_FAILED, "the text is too long: %zu bytes (at most %zu)", len,
                MAX_TEXT_BYTES);
    } else if (utf8_is_valid(text, len)) {
        ok = encode_valid(&e, text, len, mode, err);
    } else {
        utf8_repair(&repaired, text, len);
        ok = encode_valid(&e, buf_text(&repaired), repaired.len, mode, err);
    }
    if (!ok)
        out->len = before;
    bpe_scratch_release(&e.scratch);
    buf_release(&e.normal);
    buf_release(&repaired);
    return ok;
}

/* ---- asking ---- */

static bool in_range(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.n;
}

static enum token_kind kind_of(const struct tokenizer *t, int32_t id)
{
    return in_range(t, id) ? t->vocab.token[id].kind : TOKEN_NONE;
}

const char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *len)
{
    *len = 0;
    return in_range(t, id) ? vocab_bytes(&t->vocab, id, len) : NULL;
}

int tokenizer_n_tokens(const struct tokenizer *t)
{
    return (int)t->vocab.n;
}

bool tokenizer_is_added(const struct tokenizer *t, int32_t id)
{
    enum token_kind kind = kind_of(t, id);

    return kind == TOKEN_USER || kind == TOKEN_CONTROL;
}

bool tokenizer_is_normal(const struct tokenizer *t, int32_t id)
{
    enum token_kind kind = kind_of(t, id);

    return kind == TOKEN_NORMAL || kind == TOKEN_LETTER;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *text)
{
    const struct added_token *found = added_get(&t->special, text, strlen(text));

    return found == NULL ? -1 : found->id;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

bool tokenizer_wants_bos(const struct tokenizer *t)
{
    return t->wants_bos && t->bos >= 0;
}

bool tokenizer_is_end(const struct tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->ends.len; i++)
        if (t->ends.id[i] == id)
            return true;
    return false;
}

const char *tokenizer_pre(const struct tokenizer *t)
{
    return pretok_name(t->pretok);
}

const char *tokenizer_template(const struct tokenizer *t)
{
    return t->template_text;
}
