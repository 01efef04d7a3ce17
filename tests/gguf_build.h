/* SPDX-License-Identifier: MIT
 *
 * Writes GGUF files for tests, wrong ones too: keys and tensors are put in by hand and
 * nothing is checked.
 */
#ifndef HADAL_TESTS_GGUF_BUILD_H
#define HADAL_TESTS_GGUF_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "model/quant.h"
#include "src/base/buf.h"

struct gguf_build {
    struct buf keys, table, data;
    uint64_t n_keys, n_tensors;
    uint32_t version;
    uint32_t alignment; /* of the data; the key is not written by itself */
};

void build_init(struct gguf_build *b);
void build_release(struct gguf_build *b);

/* Numbers, little-endian. */
void build_u32(struct buf *out, uint32_t v);
void build_u64(struct buf *out, uint64_t v);
void build_text(struct buf *out, const char *text); /* length and bytes */

/* A key and its value. begin: the name and type only, the caller writes the value. */
void build_key_begin(struct gguf_build *b, const char *name, uint32_t type);
void build_key_u32(struct gguf_build *b, const char *name, uint32_t v);
void build_key_f32(struct gguf_build *b, const char *name, float v);
void build_key_text(struct gguf_build *b, const char *name, const char *text);

/* A tensor with zeroed data behind the last one; ne ends at the first 0. */
void build_tensor(struct gguf_build *b, const char *name, enum tensor_type type,
                  const int64_t ne[4]);
/* An entry of the table alone. */
void build_entry(struct gguf_build *b, const char *name, uint32_t n_dims,
                 const uint64_t *ne, uint32_t type, uint64_t offset);

/* The file, as far as the builder's numbers say. Owned by the caller. */
unsigned char *build_file(const struct gguf_build *b, size_t *len);

#endif
