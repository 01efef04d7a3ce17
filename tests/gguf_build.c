/* SPDX-License-Identifier: MIT
 *
 * Writing GGUF files for tests: see gguf_build.h.
 */
#include "tests/gguf_build.h"

#include <stdlib.h>
#include <string.h>

static const size_t max_bytes = (size_t)1 << 30;

void build_init(struct gguf_build *b)
{
    memset(b, 0, sizeof(*b));
    buf_init(&b->keys, max_bytes);
    buf_init(&b->table, max_bytes);
    buf_init(&b->data, max_bytes);
    b->version = 3;
    b->alignment = 32;
}

void build_release(struct gguf_build *b)
{
    buf_release(&b->keys);
    buf_release(&b->table);
    buf_release(&b->data);
}

void build_u32(struct buf *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        buf_add_char(out, (char)(v >> 8 * i));
}

void build_u64(struct buf *out, uint64_t v)
{
    build_u32(out, (uint32_t)v);
    build_u32(out, (uint32_t)(v >> 32));
}

void build_text(struct buf *out, const char *text)
{
    build_u64(out, strlen(text));
    buf_add_text(out, text);
}

void build_key_begin(struct gguf_build *b, const char *name, uint32_t type)
{
    b->n_keys++;
    build_text(&b->keys, name);
    build_u32(&b->keys, type);
}

void build_key_u32(struct gguf_build *b, const char *name, uint32_t v)
{
    build_key_begin(b, name, 4);
    build_u32(&b->keys, v);
}

void build_key_f32(struct gguf_build *b, const char *name, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof(bits));
    build_key_begin(b, name, 6);
    build_u32(&b->keys, bits);
}

void build_key_text(struct gguf_build *b, const char *name, const char *text)
{
    build_key_begin(b, name, 8);
    build_text(&b->keys, text);
}

void build_entry(struct gguf_build *b, const char *name, uint32_t n_dims,
                 const uint64_t *ne, uint32_t type, uint64_t offset)
{
    b->n_tensors++;
    build_text(&b->table, name);
    build_u32(&b->table, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        build_u64(&b->table, ne[d]);
    build_u32(&b->table, type);
    build_u64(&b->table, offset);
}

static void pad(struct buf *out, size_t alignment, size_t len)
{
    for (; len % alignment != 0; len++)
        buf_add_char(out, '\0');
}

void build_tensor(struct gguf_build *b, const char *name, enum tensor_type type,
                  const int64_t ne[4])
{
    uint64_t dims[4] = {0};
    uint32_t n_dims = 0;
    size_t bytes = quant_row_bytes(quant_find((uint32_t)type), ne[0]);

    for (; n_dims < 4 && ne[n_dims] != 0; n_dims++) {
        dims[n_dims] = (uint64_t)ne[n_dims];
        bytes *= n_dims == 0 ? 1 : (size_t)ne[n_dims];
    }
    build_entry(b, name, n_dims, dims, (uint32_t)type, b->data.len);
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&b->data, '\0');
    pad(&b->data, b->alignment, b->data.len);
}

unsigned char *build_file(const struct gguf_build *b, size_t *len)
{
    struct buf out;

    buf_init(&out, max_bytes);
    buf_add(&out, "GGUF", 4);
    build_u32(&out, b->version);
    build_u64(&out, b->n_tensors);
    build_u64(&out, b->n_keys);
    buf_add(&out, buf_text(&b->keys), b->keys.len);
    buf_add(&out, buf_text(&b->table), b->table.len);
    if (b->data.len > 0) {
        pad(&out, b->alignment, out.len);
        buf_add(&out, b->data.data, b->data.len);
    }
    return (unsigned char *)buf_take(&out, len);
}
