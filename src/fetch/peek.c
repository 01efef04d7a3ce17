/* SPDX-License-Identifier: MIT
 *
 * The head of a GGUF file, little-endian: "GGUF", u32 version, u64 tensors, u64 keys;
 * for each key u64 length, its bytes, u32 type, the value. Strings are u64 length and
 * bytes, arrays u32 type, u64 count, items. The real parser (model/format) wants the
 * whole file.
 */
#include "config.h"

#include "src/fetch/peek.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    TYPE_STRING = 8,
    TYPE_ARRAY = 9,
    N_TYPES = 13,
    MAX_VALUE = 1 << 24, /* of a dimension; more is none */
};

/* Bytes of a value by type: u8, i8, u16, i16, u32, i32, f32, bool, -, -, u64, i64, f64.
 */
static const unsigned char type_bytes[N_TYPES] = {1, 1, 2, 2, 4, 4, 4,
                                                  1, 0, 0, 8, 8, 8};
static const bool is_integer[N_TYPES] = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0};

enum dimension {
    LAYERS,
    DENSE_LAYERS,
    HIDDEN,
    FFN,
    EXPERT_FFN,
    EXPERTS,
    EXPERTS_USED,
    EXPERTS_SHARED,
    VOCABULARY,
    N_DIMENSIONS,
};

/* What follows the architecture's name in a key. */
static const char *const keys[N_DIMENSIONS] = {
    [LAYERS] = ".block_count",
    [DENSE_LAYERS] = ".leading_dense_block_count",
    [HIDDEN] = ".embedding_length",
    [FFN] = ".feed_forward_length",
    [EXPERT_FFN] = ".expert_feed_forward_length",
    [EXPERTS] = ".expert_count",
    [EXPERTS_USED] = ".expert_used_count",
    [EXPERTS_SHARED] = ".expert_shared_count",
    [VOCABULARY] = ".vocab_size",
};

struct cursor {
    const unsigned char *at;
    size_t left;
};

static bool skip(struct cursor *c, uint64_t n)
{
    if (n > c->left)
        return false;
    c->at += n;
    c->left -= (size_t)n;
    return true;
}

static bool take(struct cursor *c, size_t bytes, uint64_t *out)
{
    const unsigned char *from = c->at;

    if (!skip(c, bytes))
        return false;
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out |= (uint64_t)from[i] << (8 * i);
    return true;
}

static bool take_text(struct cursor *c, const unsigned char **text, uint64_t *len)
{
    if (!take(c, 8, len))
        return false;
    *text = c->at;
    return skip(c, *len);
}

/* The count of an array goes to *n even where its items break off. */
static bool skip_array(struct cursor *c, uint64_t *n)
{
    const unsigned char *text;
    uint64_t type, len;

    if (!take(c, 4, &type) || !take(c, 8, n) || type >= N_TYPES || type == TYPE_ARRAY)
        return false;
    if (type != TYPE_STRING)
        return *n <= c->left && skip(c, *n * type_bytes[type]);
    for (uint64_t i = 0; i < *n; i++)
        if (!take_text(c, &text, &len))
            return false;
    return true;
}

static void note(double dimension[N_DIMENSIONS], const unsigned char *key, uint64_t len,
                 uint64_t value)
{
    const unsigned char *dot = memchr(key, '.', (size_t)len);
    size_t n = dot == NULL ? 0 : (size_t)(key + len - dot);

    for (int i = 0; i < N_DIMENSIONS && value <= MAX_VALUE; i++)
        if (n > 0 && n == strlen(keys[i]) && memcmp(dot, keys[i], n) == 0)
            dimension[i] = (double)value;
}

static bool take_pair(struct cursor *c, double dimension[N_DIMENSIONS])
{
    static const char tokens[] = "tokenizer.ggml.tokens";
    const unsigned char *key, *text;
    uint64_t len, type, value = 0;
    bool ok;

    if (!take_text(c, &key, &len) || !take(c, 4, &type) || type >= N_TYPES)
        return false;
    if (type == TYPE_STRING)
        return take_text(c, &text, &value);
    if (type == TYPE_ARRAY) {
        ok = skip_array(c, &value);
        if (len == sizeof(tokens) - 1 && memcmp(key, tokens, len) == 0 &&
            value <= MAX_VALUE)
            dimension[VOCABULARY] = (double)value;
        return ok;
    }
    ok = take(c, type_bytes[type], &value);
    if (ok && is_integer[type])
        note(dimension, key, len, value);
    return ok;
}

/* Routed experts are counted exactly, the rest about: attention as 4 square matrices.
 */
static double share_of(const double d[N_DIMENSIONS])
{
    double width = d[EXPERT_FFN] > 0 ? d[EXPERT_FFN] : d[FFN];
    double one = 3 * d[HIDDEN] * width * (d[LAYERS] - d[DENSE_LAYERS]);
    double rest = 4 * d[HIDDEN] * d[HIDDEN] * d[LAYERS] + d[EXPERTS_SHARED] * one +
                  3 * d[HIDDEN] * d[FFN] * d[DENSE_LAYERS] +
                  2 * d[HIDDEN] * d[VOCABULARY];

    if (d[EXPERTS_USED] <= 0 || d[EXPERTS] <= d[EXPERTS_USED] || one <= 0)
        return 1;
    return (rest + d[EXPERTS_USED] * one) / (rest + d[EXPERTS] * one);
}

double peek_read_share(const void *data, size_t len)
{
    struct cursor c = {data, len};
    double dimension[N_DIMENSIONS] = {0};
    uint64_t magic, n_tensors, n_keys;
    uint64_t version = 0;

    if (!take(&c, 4, &magic) || magic != 0x46554747 || !take(&c, 4, &version) ||
        version < 2 || version > 3 || !take(&c, 8, &n_tensors) || !take(&c, 8, &n_keys))
        return 1;
    while (n_keys-- > 0 && take_pair(&c, dimension))
        continue;
    return share_of(dimension);
}
