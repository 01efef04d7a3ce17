/* SPDX-License-Identifier: MIT
 *
 * Writing the head of a GGUF file: see gguf_write.h; the layout is told in gguf.c,
 * gguf_keys.c and gguf_tensors.c, which read it.
 */
#include "config.h"

#include "model/format/gguf_write.h"

#include <string.h>

#include "model/format/gguf_priv.h"

enum { FORMAT_VERSION = 3 };

static void add_u32(struct buf *out, uint32_t v)
{
    unsigned char bytes[4];

    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(v >> 8 * i);
    buf_add(out, bytes, sizeof(bytes));
}

static void add_u64(struct buf *out, uint64_t v)
{
    add_u32(out, (uint32_t)v);
    add_u32(out, (uint32_t)(v >> 32));
}

static void add_string(struct buf *out, const char *data, size_t len)
{
    add_u64(out, len);
    buf_add(out, data, len);
}

void gguf_head_init(struct gguf_head *head)
{
    memset(head, 0, sizeof(*head));
    buf_init(&head->keys, BUF_UNLIMITED); /* bounded by the file that is copied */
    buf_init(&head->table, BUF_UNLIMITED);
}

static void add_array(struct buf *out, const struct gguf_key *key)
{
    add_u32(out, key->elem);
    add_u64(out, key->n);
    if (key->elem != GGUF_STRING) {
        buf_add(out, key->data, key->n * gguf_kind_bytes(key->elem));
        return;
    }
    for (size_t i = 0; i < key->n; i++)
        add_string(out, key->text[i].data, key->text[i].len);
}

void gguf_head_copy_key(struct gguf_head *head, const struct gguf *from, size_t i)
{
    const struct gguf_key *key = gguf_key_at(from, i);
    struct buf *out = &head->keys;

    head->n_keys++;
    add_string(out, key->name, strlen(key->name));
    add_u32(out, key->kind);
    if (key->kind == GGUF_ARRAY)
        add_array(out, key);
    else if (key->kind == GGUF_STRING)
        add_string(out, (const char *)key->data, key->n);
    else
        buf_add(out, key->data, gguf_kind_bytes(key->kind));
}

void gguf_head_add_u32(struct gguf_head *head, const char *name, uint32_t v)
{
    head->n_keys++;
    add_string(&head->keys, name, strlen(name));
    add_u32(&head->keys, GGUF_U32);
    add_u32(&head->keys, v);
}

size_t gguf_padding(uint64_t bytes)
{
    return (size_t)(-bytes % GGUF_ALIGNMENT);
}

void gguf_head_add_tensor(struct gguf_head *head, const struct gguf_tensor *like,
                          const struct quant_type *type)
{
    uint64_t bytes = quant_row_bytes(type, like->ne[0]);

    head->n_tensors++;
    add_string(&head->table, like->name, strlen(like->name));
    add_u32(&head->table, (uint32_t)like->n_dims);
    for (int d = 0; d < like->n_dims; d++) {
        add_u64(&head->table, (uint64_t)like->ne[d]);
        bytes *= d == 0 ? 1 : (uint64_t)like->ne[d];
    }
    add_u32(&head->table, (uint32_t)type->type);
    add_u64(&head->table, head->data_bytes);
    head->data_bytes += bytes + gguf_padding(bytes);
}

void gguf_head_finish(const struct gguf_head *head, struct buf *out)
{
    static const char zeros[GGUF_ALIGNMENT];

    buf_add(out, "GGUF", 4);
    add_u32(out, FORMAT_VERSION);
    add_u64(out, head->n_tensors);
    add_u64(out, head->n_keys);
    buf_add(out, head->keys.data, head->keys.len);
    buf_add(out, head->table.data, head->table.len);
    buf_add(out, zeros, gguf_padding(out->len));
}

void gguf_head_release(struct gguf_head *head)
{
    buf_release(&head->keys);
    buf_release(&head->table);
}
