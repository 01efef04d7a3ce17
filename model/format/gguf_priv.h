/* SPDX-License-Identifier: MIT
 *
 * Inside model/format: the parts that gguf.c is put together from.
 *
 * gguf_keys.c reads the keys, gguf_tensors.c the tensor table, both with the means of
 * gguf_util.c; gguf.c owns files, split sets and the public face. Texts of errors do
 * not name the file here: gguf.c puts the path in front.
 */
#ifndef HADAL_MODEL_FORMAT_GGUF_PRIV_H
#define HADAL_MODEL_FORMAT_GGUF_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/format/gguf.h"
#include "src/base/err.h"

/* Limits, far above any real file: they bound what a file can make us allocate. */
enum {
    GGUF_MAX_KEYS = 1 << 16,
    GGUF_MAX_KEY_BYTES = 65535,
    GGUF_MAX_KEYS_BYTES = 1 << 24, /* of all names of keys, which are copied */
    GGUF_MAX_STRINGS = 1 << 22,    /* in all arrays of a file together */
    GGUF_MAX_TENSORS = 1 << 18,    /* of all parts together */
    GGUF_MAX_NAME_BYTES = 63,
    GGUF_MAX_ALIGNMENT = 65536,
    GGUF_MAX_PARTS = 512,
};

/* Reads forward through the bytes of a file. */
struct gguf_cursor {
    const unsigned char *data;
    size_t size;
    size_t at; /* <= size */
};

size_t gguf_bytes_left(const struct gguf_cursor *c);
/* The next n bytes; false, and nothing moved, when fewer are left. */
bool gguf_take(struct gguf_cursor *c, uint64_t n, const unsigned char **out);
bool gguf_take_u32(struct gguf_cursor *c, uint32_t *out);
bool gguf_take_u64(struct gguf_cursor *c, uint64_t *out);

uint32_t gguf_load_u32(const unsigned char *p); /* little-endian */
uint64_t gguf_load_u64(const unsigned char *p);

/* "truncated: the file of 7 bytes ends inside WHAT; ...". Returns false. */
bool gguf_fail_cut(const struct gguf_cursor *c, const char *what, struct err *err);

/* "32.7 KB": for messages. out holds 32 bytes and is returned. */
const char *gguf_size_text(char out[32], uint64_t bytes);

/* Names, sorted, with where each stands in the table that they belong to. */
struct gguf_name {
    const char *text; /* borrowed */
    size_t at;
};

struct gguf_index {
    struct gguf_name *name; /* owned */
    size_t n;
};

/* Sorts the n names that the caller has put in. Returns a name that is there twice, or
 * NULL. */
const char *gguf_index_sort(struct gguf_index *index);
/* Where the name stands in its table, or SIZE_MAX. */
size_t gguf_index_find(const struct gguf_index *index, const char *text);

/* A key and its value, which stays in the file. */
struct gguf_key {
    char *name; /* owned */
    enum gguf_kind kind;
    const unsigned char *data; /* the value; of a string its bytes */
    size_t n;                  /* bytes of a string, elements of an array, else 1 */
    enum gguf_kind elem;       /* of an array */
    struct gguf_text *text; /* [n], owned, of an array of strings; NULL where n is 0 */
};

struct gguf_keys {
    struct gguf_key *key; /* in file order */
    size_t n;
    struct gguf_index index;
    size_t n_strings;  /* in arrays so far */
    size_t name_bytes; /* of keys so far */
};

/* Reads n keys. On failure what was read stays for gguf_keys_release. */
bool gguf_keys_read(struct gguf_keys *keys, struct gguf_cursor *c, size_t n,
                    struct err *err) MUST_USE;
void gguf_keys_release(struct gguf_keys *keys); /* accepts zeroed storage */
const struct gguf_key *gguf_keys_find(const struct gguf_keys *keys, const char *name);

/* As gguf_get_int, without the path in the text. */
int gguf_keys_int(const struct gguf_keys *keys, const char *name, int64_t min,
                  int64_t max, int64_t *out, struct err *err) MUST_USE;
int gguf_keys_float(const struct gguf_keys *keys, const char *name, double *out,
                    struct err *err) MUST_USE;
int gguf_keys_bool(const struct gguf_keys *keys, const char *name, bool *out,
                   struct err *err) MUST_USE;
int gguf_keys_text(const struct gguf_keys *keys, const char *name,
                   struct gguf_text *out, struct err *err) MUST_USE;
int gguf_keys_array(const struct gguf_keys *keys, const char *name,
                    struct gguf_array *out, struct err *err) MUST_USE;

struct gguf_tensors {
    struct gguf_tensor *tensor; /* in file order, part after part */
    char **name;                /* [n] what the tensors' names point to; owned */
    size_t n, tensor_cap, name_cap;
    struct gguf_index index; /* made by gguf_tensors_index */
};

/* The table of one part: n entries at the cursor, then the data, aligned. */
struct gguf_table {
    size_t n;
    size_t file; /* index of the part */
    uint32_t alignment;
};

/* Reads a table and checks that every tensor's data lies inside the file and apart from
 * the others. */
bool gguf_tensors_read(struct gguf_tensors *tensors, struct gguf_cursor *c,
                       const struct gguf_table *table, struct err *err) MUST_USE;
/* Makes the index; false when a name appears twice. */
bool gguf_tensors_index(struct gguf_tensors *tensors, struct err *err) MUST_USE;
const struct gguf_tensor *gguf_tensors_find(const struct gguf_tensors *tensors,
                                            const char *name);
void gguf_tensors_release(struct gguf_tensors *tensors); /* accepts zeroed storage */

/* Key i, 0 <= i < gguf_n_keys(). */
const struct gguf_key *gguf_key_at(const struct gguf *g, size_t i);
/* Bytes of a value of this kind; 0 for strings and arrays. */
size_t gguf_kind_bytes(enum gguf_kind kind);

/* A single file that is already in memory; data is borrowed until gguf_close. For tests
 * and the fuzz target. */
struct gguf *gguf_open_bytes(const char *name, const unsigned char *data, size_t size,
                             struct err *err) MUST_USE;

#endif
