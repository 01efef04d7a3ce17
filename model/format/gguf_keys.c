/* SPDX-License-Identifier: MIT
 *
 * Keys of a GGUF file: reading them, finding them, and their values with the type that
 * the caller wants.
 *
 * A key is: name (string), value type (u32), value. A string is a u64 length and that
 * many bytes; an array is an element type (u32), a count (u64) and the elements. Every
 * length is compared with the bytes that are left before anything is done with it, so
 * that loops and allocations are bounded by the size of the file.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"
#include "src/base/mem.h"

/* What there is to know about each kind: bytes of a value in the file, 0 where that
 * varies, and the word for messages. */
static const struct {
    size_t bytes;
    bool is_int;
    const char *name;
} kinds[] = {
    [GGUF_U8] = {1, true, "u8"},          [GGUF_I8] = {1, true, "i8"},
    [GGUF_U16] = {2, true, "u16"},        [GGUF_I16] = {2, true, "i16"},
    [GGUF_U32] = {4, true, "u32"},        [GGUF_I32] = {4, true, "i32"},
    [GGUF_F32] = {4, false, "f32"},       [GGUF_BOOL] = {1, false, "bool"},
    [GGUF_STRING] = {0, false, "string"}, [GGUF_ARRAY] = {0, false, "array"},
    [GGUF_U64] = {8, true, "u64"},        [GGUF_I64] = {8, true, "i64"},
    [GGUF_F64] = {8, false, "f64"},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]), MIN_STRING_BYTES = 8 };

/* A length and that many bytes. what: "key 3" or "key \"x.y\"". */
static bool take_string(struct gguf_cursor *c, const char *what, struct gguf_text *out,
                        struct err *err)
{
    const unsigned char *p;
    uint64_t len;

    if (!gguf_take_u64(c, &len))
        return gguf_fail_cut(c, what, err);
    if (!gguf_take(c, len, &p))
        return err_set(err, ERR_MODEL,
                       "%s: string length %" PRIu64 " is past the end of the file",
                       what, len);
    out->data = (const char *)p;
    out->len = (size_t)len;
    return true;
}

/* The elements of an array of strings: walked once to check, then once to note where
 * each is, so that the allocation is of a number of strings that are really there. */
static bool read_strings(struct gguf_keys *keys, struct gguf_key *key,
                         struct gguf_cursor *c, const char *what, struct err *err)
{
    struct gguf_cursor again = *c;
    struct gguf_text text;

    if (key->n > GGUF_MAX_STRINGS - keys->n_strings)
        return err_set(err, ERR_MODEL, "%s: too many strings (%d at most)", what,
                       GGUF_MAX_STRINGS);
    for (size_t i = 0; i < key->n; i++) {
        if (!take_string(c, what, &text, err))
            return false;
    }
    if (key->n == 0)
        return true;
    key->text = mem_try(key->n, sizeof(*key->text), "the strings of a model file", err);
    if (key->text == NULL)
        return false;
    for (size_t i = 0; i < key->n; i++) {
        if (!take_string(&again, what, &key->text[i], err))
            return false;
    }
    keys->n_strings += key->n;
    return true;
}

static bool read_array(struct gguf_keys *keys, struct gguf_key *key,
                       struct gguf_cursor *c, const char *what, struct err *err)
{
    uint32_t elem;
    uint64_t n;
    size_t min_bytes;

    if (!gguf_take_u32(c, &elem) || !gguf_take_u64(c, &n))
        return gguf_fail_cut(c, what, err);
    if (elem >= N_KINDS)
        return err_set(err, ERR_MODEL, "%s: unknown array element type %u", what, elem);
    if (elem == GGUF_ARRAY)
        return err_set(err, ERR_MODEL, "%s: arrays of arrays are not supported", what);
    min_bytes = elem == GGUF_STRING ? (size_t)MIN_STRING_BYTES : kinds[elem].bytes;
    if (n > gguf_bytes_left(c) / min_bytes)
        return err_set(err, ERR_MODEL,
                       "%s: an array of %" PRIu64
                       " %s values is past the end of the file",
                       what, n, kinds[elem].name);
    key->elem = (enum gguf_kind)elem;
    key->n = (size_t)n;
    key->data = c->data + c->at;
    if (elem == GGUF_STRING)
        return read_strings(keys, key, c, what, err);
    return gguf_take(c, n * min_bytes, &key->data);
}

static bool read_value(struct gguf_keys *keys, struct gguf_key *key,
                       struct gguf_cursor *c, const char *what, struct err *err)
{
    struct gguf_text text;
    uint32_t kind;

    if (!gguf_take_u32(c, &kind))
        return gguf_fail_cut(c, what, err);
    if (kind >= N_KINDS)
        return err_set(err, ERR_MODEL, "%s: unknown value type %u", what, kind);
    key->kind = (enum gguf_kind)kind;
    key->n = 1;
    if (kind == GGUF_ARRAY)
        return read_array(keys, key, c, what, err);
    if (kind == GGUF_STRING) {
        if (!take_string(c, what, &text, err))
            return false;
        key->data = (const unsigned char *)text.data;
        key->n = text.len;
        return true;
    }
    if (!gguf_take(c, kinds[kind].bytes, &key->data))
        return gguf_fail_cut(c, what, err);
    return true;
}

/* Reads the name of the key; fills what for messages about its value. */
static bool read_name(struct gguf_keys *keys, struct gguf_key *key,
                      struct gguf_cursor *c, char what[128], struct err *err)
{
    struct gguf_text name;

    if (!take_string(c, what, &name, err))
        return false;
    if (name.len == 0)
        return err_set(err, ERR_MODEL, "%s: its name is empty", what);
    if (name.len > GGUF_MAX_KEY_BYTES)
        return err_set(err, ERR_MODEL,
                       "%s: a name of %zu bytes is too long (%d at most)", what,
                       name.len, GGUF_MAX_KEY_BYTES);
    keys->name_bytes += name.len;
    if (keys->name_bytes > GGUF_MAX_KEYS_BYTES)
        return err_set(err, ERR_MODEL,
                       "%s: the names of the keys are too long (%d bytes)", what,
                       GGUF_MAX_KEYS_BYTES);
    if (memchr(name.data, '\0', name.len) != NULL)
        return err_set(err, ERR_MODEL, "%s: its name has a NUL byte", what);
    key->name = mem_dup_n(name.data, name.len);
    snprintf(what, 128, "key \"%.100s\"", key->name);
    return true;
}

static bool index_keys(struct gguf_keys *keys, struct err *err)
{
    struct gguf_index *index = &keys->index;
    const char *twice;

    index->name = mem_try(keys->n, sizeof(*index->name), "the keys of a model", err);
    if (index->name == NULL)
        return false;
    for (index->n = 0; index->n < keys->n; index->n++) {
        index->name[index->n].text = keys->key[index->n].name;
        index->name[index->n].at = index->n;
    }
    twice = gguf_index_sort(index);
    if (twice != NULL)
        return err_set(err, ERR_MODEL, "key \"%.100s\" appears twice", twice);
    return true;
}

bool gguf_keys_read(struct gguf_keys *keys, struct gguf_cursor *c, size_t n,
                    struct err *err)
{
    char what[128];

    memset(keys, 0, sizeof(*keys));
    if (n == 0)
        return true;
    keys->key = mem_try(n, sizeof(*keys->key), "the keys of a model file", err);
    if (keys->key == NULL)
        return false;
    while (keys->n < n) {
        struct gguf_key *key = &keys->key[keys->n++];

        snprintf(what, sizeof(what), "key %zu", keys->n);
        if (!read_name(keys, key, c, what, err) || !read_value(keys, key, c, what, err))
            return false;
    }
    return index_keys(keys, err);
}

void gguf_keys_release(struct gguf_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++) {
        free(keys->key[i].name);
        free(keys->key[i].text);
    }
    free(keys->key);
    free(keys->index.name);
    memset(keys, 0, sizeof(*keys));
}

const struct gguf_key *gguf_keys_find(const struct gguf_keys *keys, const char *name)
{
    size_t at = gguf_index_find(&keys->index, name);

    return at == SIZE_MAX ? NULL : &keys->key[at];
}

bool gguf_kind_is_int(enum gguf_kind kind)
{
    return (size_t)kind < N_KINDS && kinds[kind].is_int;
}

size_t gguf_kind_bytes(enum gguf_kind kind)
{
    return (size_t)kind < N_KINDS ? kinds[kind].bytes : 0;
}

const char *gguf_kind_name(enum gguf_kind kind)
{
    return (size_t)kind < N_KINDS ? kinds[kind].name : "unknown";
}

/* The integer at p. Values of u64 above INT64_MAX come out as INT64_MAX: no caller has
 * a use for them but to find them out of range. */
static int64_t load_int(enum gguf_kind kind, const unsigned char *p)
{
    uint64_t v;

    switch (kind) {
    case GGUF_U8:
        return p[0];
    case GGUF_I8:
        return (int8_t)p[0];
    case GGUF_U16:
        return p[0] | p[1] << 8;
    case GGUF_I16:
        return (int16_t)(uint16_t)(p[0] | p[1] << 8);
    case GGUF_U32:
        return gguf_load_u32(p);
    case GGUF_I32:
        return (int32_t)gguf_load_u32(p);
    case GGUF_I64:
        return (int64_t)gguf_load_u64(p);
    case GGUF_U64:
        v = gguf_load_u64(p);
        return v > INT64_MAX ? INT64_MAX : (int64_t)v;
    default:
        return 0;
    }
}

static double load_float(enum gguf_kind kind, const unsigned char *p)
{
    uint32_t bits = gguf_load_u32(p);
    uint64_t wide;
    double d;
    float f;

    if (kind == GGUF_F64) {
        wide = gguf_load_u64(p);
        memcpy(&d, &wide, sizeof(d));
        return d;
    }
    memcpy(&f, &bits, sizeof(f));
    return (double)f;
}

int64_t gguf_array_int(const struct gguf_array *a, size_t i)
{
    return load_int(a->kind, a->data + i * kinds[a->kind].bytes);
}

double gguf_array_float(const struct gguf_array *a, size_t i)
{
    return load_float(a->kind, a->data + i * kinds[a->kind].bytes);
}

static int fail_kind(const struct gguf_key *key, const char *expected, struct err *err)
{
    err_set(err, ERR_MODEL, "%.100s is of type %s, expected %s", key->name,
            kinds[key->kind].name, expected);
    return -1;
}

int gguf_keys_int(const struct gguf_keys *keys, const char *name, int64_t min,
                  int64_t max, int64_t *out, struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(keys, name);
    int64_t v;

    if (key == NULL)
        return 0;
    if (!gguf_kind_is_int(key->kind))
        return fail_kind(key, "an integer", err);
    v = load_int(key->kind, key->data);
    if (v < min || v > max) {
        if (key->kind == GGUF_U64)
            err_set(err, ERR_MODEL,
                    "%s is %" PRIu64 ", out of range (%" PRId64 " to %" PRId64 ")",
                    name, gguf_load_u64(key->data), min, max);
        else
            err_set(err, ERR_MODEL,
                    "%s is %" PRId64 ", out of range (%" PRId64 " to %" PRId64 ")",
                    name, v, min, max);
        return -1;
    }
    *out = v;
    return 1;
}

int gguf_keys_float(const struct gguf_keys *keys, const char *name, double *out,
                    struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(keys, name);
    double v;

    if (key == NULL)
        return 0;
    if (key->kind != GGUF_F32 && key->kind != GGUF_F64)
        return fail_kind(key, "a float", err);
    v = load_float(key->kind, key->data);
    if (!isfinite(v)) {
        err_set(err, ERR_MODEL, "%s is not a finite number", name);
        return -1;
    }
    *out = v;
    return 1;
}

int gguf_keys_bool(const struct gguf_keys *keys, const char *name, bool *out,
                   struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(keys, name);

    if (key == NULL)
        return 0;
    if (key->kind != GGUF_BOOL)
        return fail_kind(key, "a bool", err);
    if (key->data[0] > 1) {
        err_set(err, ERR_MODEL, "%s is a bool of value %d", name, key->data[0]);
        return -1;
    }
    *out = key->data[0] == 1;
    return 1;
}

int gguf_keys_text(const struct gguf_keys *keys, const char *name,
                   struct gguf_text *out, struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(keys, name);

    if (key == NULL)
        return 0;
    if (key->kind != GGUF_STRING)
        return fail_kind(key, "a string", err);
    out->data = (const char *)key->data;
    out->len = key->n;
    return 1;
}

int gguf_keys_array(const struct gguf_keys *keys, const char *name,
                    struct gguf_array *out, struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(keys, name);

    if (key == NULL)
        return 0;
    if (key->kind != GGUF_ARRAY)
        return fail_kind(key, "an array", err);
    out->kind = key->elem;
    out->n = key->n;
    out->data = key->data;
    out->text = key->text;
    return 1;
}
