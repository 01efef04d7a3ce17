/* SPDX-License-Identifier: MIT
 *
 * UTF-8: see utf8.h. The one table here is table 3-7 of Unicode 15: which second bytes
 * may follow which first byte; overlong forms, surrogates and values above U+10FFFF all
 * fail in the second byte, so later bytes need only be 80..BF.
 */
#include "config.h"

#include "src/base/utf8.h"

#include <string.h>

#define REPLACEMENT 0xFFFDU

/* What a first byte announces: the length, and the range of the second byte. */
struct lead {
    unsigned char len; /* 0: no character begins with this byte */
    unsigned char second_min;
    unsigned char second_max;
};

static struct lead lead_of(unsigned char byte)
{
    if (byte < 0x80)
        return (struct lead){1, 0, 0};
    if (byte < 0xC2 || byte > 0xF4)
        return (struct lead){0, 0, 0};
    if (byte < 0xE0)
        return (struct lead){2, 0x80, 0xBF};
    if (byte < 0xF0)
        return (struct lead){3, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF};
    return (struct lead){4, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF};
}

/* Bytes of text[0..len) that are a beginning of a character: the whole of it when the
 * result is lead_of().len. At least 1. */
static size_t match_length(const char *text, size_t len, struct lead lead)
{
    size_t n = 1;

    while (n < lead.len && n < len) {
        unsigned char c = (unsigned char)text[n];
        unsigned char min = n == 1 ? lead.second_min : 0x80;
        unsigned char max = n == 1 ? lead.second_max : 0xBF;

        if (c < min || c > max)
            break;
        n++;
    }
    return n;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *code_point, bool *valid)
{
    unsigned char first = (unsigned char)text[0];
    struct lead lead;
    uint32_t value = first;
    size_t n = 1;
    bool ok = true;

    if (first >= 0x80) { /* ASCII, nearly all there is, needs no more */
        lead = lead_of(first);
        n = match_length(text, len, lead);
        ok = n == lead.len;
        value = first & (0x7FU >> lead.len);
    }
    for (size_t i = 1; i < n; i++)
        value = value << 6 | ((unsigned char)text[i] & 0x3FU);
    *code_point = ok ? value : REPLACEMENT;
    if (valid != NULL)
        *valid = ok;
    return n;
}

size_t utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

/* Length of the well-formed beginning of text. */
static size_t valid_prefix(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        struct lead lead;

        if ((unsigned char)text[at] < 0x80) {
            at++;
            continue;
        }
        lead = lead_of((unsigned char)text[at]);
        if (match_length(text + at, len - at, lead) != lead.len)
            break;
        at += lead.len;
    }
    return at;
}

bool utf8_is_valid(const char *text, size_t len)
{
    return valid_prefix(text, len) == len;
}

static bool add_replacement(struct buf *out)
{
    return buf_add(out, "\xEF\xBF\xBD", 3);
}

bool utf8_repair(struct buf *out, const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t good = valid_prefix(text + at, len - at);

        if (!buf_add(out, text + at, good))
            return false;
        at += good;
        if (at == len)
            break;
        at += match_length(text + at, len - at, lead_of((unsigned char)text[at]));
        if (!add_replacement(out))
            return false;
    }
    return true;
}

size_t utf8_incomplete_tail(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        const char *start = text + len - back;
        struct lead lead = lead_of((unsigned char)*start);

        if (((unsigned char)*start & 0xC0) == 0x80)
            continue;
        if (lead.len > back && match_length(start, back, lead) == back)
            return back;
        return 0;
    }
    return 0;
}

/* What a stream holds back: beginnings, and two bytes of a surrogate, which end with
 * their third byte, as in the reference tokenizers' decoder (Python's incremental one).
 */
static size_t stream_tail(const char *text, size_t len)
{
    if (len >= 2 && text[len - 2] == '\xED' && ((unsigned char)text[len - 1] >> 5) == 5)
        return 2;
    return utf8_incomplete_tail(text, len);
}

void utf8_stream_add(struct utf8_stream *s, const char *bytes, size_t len,
                     struct buf *out)
{
    size_t tail;

    /* First the character that was begun: byte by byte, at most 3 rounds. */
    while (s->n_held > 0 && len > 0) {
        s->held[s->n_held++] = *bytes++;
        len--;
        tail = stream_tail(s->held, s->n_held);
        if (tail == s->n_held)
            continue;
        utf8_repair(out, s->held, s->n_held - tail);
        memmove(s->held, s->held + s->n_held - tail, tail);
        s->n_held = tail;
    }
    if (len == 0)
        return;
    tail = stream_tail(bytes, len);
    utf8_repair(out, bytes, len - tail);
    memcpy(s->held, bytes + len - tail, tail);
    s->n_held = tail;
}

void utf8_stream_end(struct utf8_stream *s, struct buf *out)
{
    utf8_repair(out, s->held, s->n_held);
    s->n_held = 0;
}
