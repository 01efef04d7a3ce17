/* SPDX-License-Identifier: MIT
 *
 * GGUF files, version 2 and 3: keys, tensor table, data, over one file or a split set.
 *
 * Parse only; every file is taken for hostile. All sizes, counts and offsets are checked
 * before use and nothing is allocated from a number that the file merely declares. What
 * is returned is valid until gguf_close. Format: spec/decoder.md 4.1, 4.2, 4.7
 * (source: gguf.md of ggml).
 */
#ifndef HADAL_MODEL_FORMAT_GGUF_H
#define HADAL_MODEL_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/quant.h"
#include "src/base/err.h"

struct gguf;

/* Value types of keys, numbers as in the file. */
enum gguf_kind {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
    GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
};

/* A string in the file: bytes, no NUL at the end, any content. */
struct gguf_text {
    const char *data;
    size_t len;
};

struct gguf_tensor {
    const char *name;       /* NUL-terminated copy, at most 63 bytes, valid UTF-8 */
    const struct quant_type *type;
    int n_dims;             /* 1 to 4 */
    int64_t ne[4];          /* innermost first; 1 beyond n_dims; each >= 1 */
    const unsigned char *data; /* inside the map; unaligned access must be allowed for */
    size_t bytes;
    size_t file;            /* index of the file of a split set; 0 for a single file */
};

/* Opens path, or the split set whose first part it is. Maps the files. Every failure is
 * ERR_MODEL and its text begins with the file's path: "x.gguf: truncated: ...".
 * Tensor types without code here are refused by name. */
struct gguf *gguf_open(const char *path, struct err *err) MUST_USE;
void gguf_close(struct gguf *g); /* accepts NULL */

const char *gguf_path(const struct gguf *g); /* of the first part */
size_t gguf_total_bytes(const struct gguf *g); /* all parts */

/* Keys. get_* return 0 when the key is absent (then *out is not touched), 1 when read,
 * -1 with err when it is there with a wrong type or out of range: "x.gguf: KEY is a
 * string, expected an integer". Any integer type is accepted for an integer. */
bool gguf_has(const struct gguf *g, const char *key);
int gguf_get_int(const struct gguf *g, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *err) MUST_USE;
int gguf_get_float(const struct gguf *g, const char *key, double *out,
                   struct err *err) MUST_USE; /* f32 or f64, finite */
int gguf_get_bool(const struct gguf *g, const char *key, bool *out,
                  struct err *err) MUST_USE;
int gguf_get_text(const struct gguf *g, const char *key, struct gguf_text *out,
                  struct err *err) MUST_USE;

/* Arrays: count and element kind; then elements by index. */
struct gguf_array {
    enum gguf_kind kind;    /* of the elements, never GGUF_ARRAY */
    size_t n;
    const unsigned char *data;   /* the elements as in the file (fixed-size kinds) */
    const struct gguf_text *text; /* n entries for GGUF_STRING, else NULL */
};
int gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *out,
                   struct err *err) MUST_USE;
/* Element i of an array of any integer kind, or of floats; the caller checked kind. */
int64_t gguf_array_int(const struct gguf_array *a, size_t i);
double gguf_array_float(const struct gguf_array *a, size_t i);
bool gguf_kind_is_int(enum gguf_kind kind);
const char *gguf_kind_name(enum gguf_kind kind);

/* All keys in file order, for `hadal show`. */
size_t gguf_n_keys(const struct gguf *g);
const char *gguf_key_name(const struct gguf *g, size_t i); /* NUL-terminated copy */
enum gguf_kind gguf_key_kind(const struct gguf *g, size_t i);

/* Tensors. find returns NULL when there is none of that name. */
size_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);

/* Whether this is one of the files that are open. */
struct stat;
bool gguf_has_file(const struct gguf *g, const struct stat *file);

/* False with err (ERR_MODEL, "changed while in use") when a mapped file has another size
 * than when it was opened. */
bool gguf_unchanged(const struct gguf *g, struct err *err) MUST_USE;

#endif
