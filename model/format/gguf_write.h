/* SPDX-License-Identifier: MIT
 *
 * Writing GGUF, version 3: the head of a file (keys and tensor table), made in memory;
 * the data follows it, tensor by tensor in the order of the table, each padded with
 * gguf_padding() zero bytes.
 */
#ifndef HADAL_MODEL_FORMAT_GGUF_WRITE_H
#define HADAL_MODEL_FORMAT_GGUF_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "model/format/gguf.h"
#include "src/base/buf.h"

enum { GGUF_ALIGNMENT = 32 }; /* the default, for which no key is needed */

struct gguf_head {
    struct buf keys, table;
    uint64_t n_keys, n_tensors;
    uint64_t data_bytes; /* of the tensors so far, with their padding */
};

void gguf_head_init(struct gguf_head *head);

/* Key i of another file, as it stands there. */
void gguf_head_copy_key(struct gguf_head *head, const struct gguf *from, size_t i);
void gguf_head_add_u32(struct gguf_head *head, const char *name, uint32_t v);

/* A tensor like this one, but of another type (rows fit its blocks). */
void gguf_head_add_tensor(struct gguf_head *head, const struct gguf_tensor *like,
                          const struct quant_type *type);

/* Zero bytes after data of this size, fewer than GGUF_ALIGNMENT. */
size_t gguf_padding(uint64_t bytes);

/* The whole head, up to where the data begins, appended to out. */
void gguf_head_finish(const struct gguf_head *head, struct buf *out);
void gguf_head_release(struct gguf_head *head);

#endif
