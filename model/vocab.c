/* SPDX-License-Identifier: MIT
 *
 * The vocabulary: see vocab.h.
 *
 * Files spell normal tokens in GPT-2's byte alphabet: the bytes 21-7E, A1-AC and AE-FF
 * stand for the code points of the same number, the other 68 in order for U+0100 and
 * on. Spelling is undone once, here; everything else works on bytes.
 */
#include "config.h"

#include "model/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "model/unicode.h"
#include "src/base/mem.h"
#include "src/base/utf8.h"

#define MAX_TEXT_BYTES ((size_t)INT32_MAX)

void vocab_init(struct vocab *v, size_t n_expected)
{
    memset(v, 0, sizeof(*v));
    buf_init(&v->text, MAX_TEXT_BYTES);
    v->n_slots = 64;
    while (v->n_slots < 2 * n_expected)
        v->n_slots *= 2;
    v->slot = mem_array(v->n_slots, sizeof(*v->slot));
    memset(v->slot, 0xFF, v->n_slots * sizeof(*v->slot));
}

void vocab_release(struct vocab *v)
{
    free(v->token);
    free(v->slot);
    buf_release(&v->text);
    memset(v, 0, sizeof(*v));
}

static size_t hash_bytes(const char *bytes, size_t len)
{
    uint64_t hash = 0xCBF29CE484222325U ^ len;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3U;
    return (size_t)(hash ^ hash >> 32);
}

/* The slot that holds the token with these bytes, or the free one where it would be.
 * At most half of the slots are ever taken: vocab_add refuses more. */
static size_t find_slot(const struct vocab *v, const char *bytes, size_t len)
{
    size_t i = hash_bytes(bytes, len) & (v->n_slots - 1);

    while (v->slot[i] >= 0) {
        const struct vocab_token *t = &v->token[v->slot[i]];

        if (t->len == len && memcmp(v->text.data + t->at, bytes, len) == 0)
            break;
        i = (i + 1) & (v->n_slots - 1);
    }
    return i;
}

/* The byte that a letter of the alphabet stands for; -1. */
static int byte_of(uint32_t c)
{
    if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) ||
        (c >= 0xAE && c <= 0xFF))
        return (int)c;
    if (c >= 0x100 && c < 0x100 + 33)
        return (int)(c - 0x100);
    if (c >= 0x100 + 33 && c < 0x100 + 67)
        return (int)(0x7F + (c - 0x100 - 33));
    return c == 0x100 + 67 ? 0xAD : -1;
}

/* Appends the bytes that a spelling stands for; false, with *out as it was, when it has
 * a letter outside the alphabet. */
static bool add_unspelled(struct buf *out, const char *text, size_t len)
{
    size_t before = out->len;
    size_t at = 0;

    while (at < len) {
        uint32_t c;
        int byte;

        at += utf8_decode(text + at, len - at, &c, NULL);
        byte = byte_of(c);
        if (byte < 0 || !buf_add_char(out, (char)byte)) {
            out->len = before;
            return false;
        }
    }
    return true;
}

bool vocab_add(struct vocab *v, enum token_kind kind, const char *text, size_t len,
               int32_t *twin)
{
    struct vocab_token t = {.at = (uint32_t)v->text.len, .kind = kind};
    size_t slot;

    *twin = -1;
    if (len > MAX_TEXT_BYTES - v->text.len || v->n >= v->n_slots / 2)
        return false;
    v->token = mem_grow(v->token, &v->cap, v->n + 1, sizeof(*v->token));
    if (kind == TOKEN_NORMAL && add_unspelled(&v->text, text, len)) {
        t.len = (uint32_t)(v->text.len - t.at);
        slot = find_slot(v, v->text.data + t.at, t.len);
        *twin = v->slot[slot];
        if (*twin >= 0)
            return false;
        v->slot[slot] = (int32_t)v->n;
    } else if (kind != TOKEN_NONE) {
        /* A normal token that is not spelled in the alphabet is beyond the merges'
         * reach, but the model may have learnt it: its text is shown as it is. */
        if (!buf_add(&v->text, text, len))
            return false;
        t.len = (uint32_t)len;
    }
    if (t.len == 0)
        t.kind = TOKEN_NONE;
    v->token[v->n++] = t;
    return true;
}

int32_t vocab_find(const struct vocab *v, const char *bytes, size_t len)
{
    return v->slot[find_slot(v, bytes, len)];
}

int32_t vocab_find_spelled(const struct vocab *v, const char *text, size_t len)
{
    char bytes[256];
    struct buf out;
    size_t at = 0;
    size_t n = 0;
    int32_t id = -1;

    /* Nearly always short: without the heap. */
    while (at < len && n < sizeof(bytes)) {
        uint32_t c;
        int byte;

        at += utf8_decode(text + at, len - at, &c, NULL);
        byte = byte_of(c);
        if (byte < 0)
            return -1;
        bytes[n++] = (char)byte;
    }
    if (at == len)
        return vocab_find(v, bytes, n);
    buf_init(&out, MAX_TEXT_BYTES);
    if (add_unspelled(&out, text, len))
        id = vocab_find(v, out.data, out.len);
    buf_release(&out);
    return id;
}

const char *vocab_bytes(const struct vocab *v, int32_t id, size_t *len)
{
    const struct vocab_token *t = &v->token[id];

    *len = t->len;
    return t->len == 0 ? "" : v->text.data + t->at;
}

static bool is_filler(const char *text, size_t len)
{
    if (len < 6 || memcmp(text, "[PAD", 4) != 0 || text[len - 1] != ']')
        return false;
    for (size_t i = 4; i < len - 1; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

enum token_kind vocab_added_kind(const char *text, size_t len)
{
    uint32_t c;

    if (len == 0 || is_filler(text, len))
        return TOKEN_NONE;
    if (utf8_decode(text, len, &c, NULL) == len &&
        (unicode_class_of(c) == UNICODE_LETTER || c == 0xF7))
        return TOKEN_LETTER;
    return TOKEN_USER;
}
