/* SPDX-License-Identifier: MIT
 *
 * A GGUF with joined kv_b: see joined.h.
 *
 * kv_b is [n_head * (nope_dim + v_dim)][kv_rank]: per head first the rows of W_UK,
 * whose transpose is the split file's k_b, then those of W_UV, its v_b
 * (spec/decoder.md 4.4).
 */
#include "config.h"

#include "tests/joined.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/format/gguf.h"
#include "model/shape.h"
#include "src/base/buf.h"
#include "tests/test.h"

enum { ALIGNMENT = 32, MAX_BYTES = 64 << 20, MAX_DIM = 4096 };

struct joiner {
    const struct gguf *g;
    struct shape shape;
    struct buf keys;
    struct buf infos;
    struct buf data;
    uint64_t n_keys;
    uint64_t n_tensors;
};

static void add_u32(struct buf *buf, uint32_t value)
{
    CHECK(buf_add(buf, &value, sizeof(value)));
}

static void add_u64(struct buf *buf, uint64_t value)
{
    CHECK(buf_add(buf, &value, sizeof(value)));
}

static void add_text(struct buf *buf, const char *text, size_t len)
{
    add_u64(buf, len);
    CHECK(buf_add(buf, text, len));
}

static void pad(struct buf *buf)
{
    static const char zeros[ALIGNMENT];

    CHECK(buf_add(buf, zeros, (ALIGNMENT - buf->len % ALIGNMENT) % ALIGNMENT));
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);

    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* What the older converter wrote instead: the heads' own widths. */
static int64_t older_value(const struct shape *s, const char *key, int64_t value)
{
    if (ends_with(key, ".attention.head_count_kv"))
        return s->n_head;
    if (ends_with(key, ".attention.key_length"))
        return s->nope_dim + s->rope_dim;
    if (ends_with(key, ".attention.value_length"))
        return s->v_dim;
    return value;
}

/* Keys of the vocabulary and the two that mark a split file stay behind. */
static void copy_key(struct joiner *j, const char *key, enum gguf_kind kind)
{
    struct gguf_text text;
    double real;
    int64_t whole;
    bool flag;

    if (kind == GGUF_ARRAY || ends_with(key, "_length_mla") ||
        strncmp(key, "tokenizer.", 10) == 0)
        return;
    add_text(&j->keys, key, strlen(key));
    j->n_keys++;
    if (kind == GGUF_STRING && CHECK(gguf_get_text(j->g, key, &text, NULL) == 1)) {
        add_u32(&j->keys, GGUF_STRING);
        add_text(&j->keys, text.data, text.len);
    } else if (kind == GGUF_BOOL && CHECK(gguf_get_bool(j->g, key, &flag, NULL) == 1)) {
        add_u32(&j->keys, GGUF_BOOL);
        CHECK(buf_add_char(&j->keys, (char)flag));
    } else if (gguf_kind_is_int(kind) &&
               CHECK(gguf_get_int(j->g, key, 0, INT64_MAX, &whole, NULL) == 1)) {
        add_u32(&j->keys, GGUF_U32);
        add_u32(&j->keys, (uint32_t)older_value(&j->shape, key, whole));
    } else if (CHECK(gguf_get_float(j->g, key, &real, NULL) == 1)) {
        add_u32(&j->keys, GGUF_F64);
        CHECK(buf_add(&j->keys, &real, sizeof(real)));
    }
}

/* The entry of a tensor whose data is appended next. */
static void add_info(struct joiner *j, const char *name, uint32_t type, int n_dims,
                     const int64_t *ne)
{
    pad(&j->data);
    add_text(&j->infos, name, strlen(name));
    add_u32(&j->infos, (uint32_t)n_dims);
    for (int i = 0; i < n_dims; i++)
        add_u64(&j->infos, (uint64_t)ne[i]);
    add_u32(&j->infos, type);
    add_u64(&j->infos, j->data.len);
    j->n_tensors++;
}

/* Value [slab][row][col] of a tensor. */
static float value_at(const struct gguf_tensor *t, int64_t slab, int64_t row,
                      int64_t col)
{
    static float values[MAX_DIM];
    size_t row_bytes = quant_row_bytes(t->type, t->ne[0]);

    t->type->to_f32(t->data + (size_t)(slab * t->ne[1] + row) * row_bytes, values,
                    t->ne[0]);
    return values[col];
}

static void join_layer(struct joiner *j, int layer)
{
    const struct shape *s = &j->shape;
    int64_t ne[2] = {s->kv_rank, (int64_t)s->n_head * (s->nope_dim + s->v_dim)};
    const struct gguf_tensor *k_b;
    const struct gguf_tensor *v_b;
    char name[64];

    snprintf(name, sizeof(name), "blk.%d.attn_k_b.weight", layer);
    k_b = gguf_find_tensor(j->g, name);
    snprintf(name, sizeof(name), "blk.%d.attn_v_b.weight", layer);
    v_b = gguf_find_tensor(j->g, name);
    if (!CHECK(k_b != NULL && v_b != NULL && k_b->ne[0] <= MAX_DIM &&
               v_b->ne[0] <= MAX_DIM))
        return;
    snprintf(name, sizeof(name), "blk.%d.attn_kv_b.weight", layer);
    add_info(j, name, TYPE_F32, 2, ne);
    for (int64_t row = 0; row < ne[1]; row++) {
        int64_t head = row / (s->nope_dim + s->v_dim);
        int64_t d = row % (s->nope_dim + s->v_dim);

        for (int64_t r = 0; r < ne[0]; r++) {
            float v = d < s->nope_dim ? value_at(k_b, head, r, d)
                                      : value_at(v_b, head, d - s->nope_dim, r);

            CHECK(buf_add(&j->data, &v, sizeof(v)));
        }
    }
}

static void copy_tensors(struct joiner *j)
{
    for (size_t i = 0; i < gguf_n_tensors(j->g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(j->g, i);

        if (ends_with(t->name, ".attn_k_b.weight") ||
            ends_with(t->name, ".attn_v_b.weight"))
            continue;
        add_info(j, t->name, (uint32_t)t->type->type, t->n_dims, t->ne);
        CHECK(buf_add(&j->data, t->data, t->bytes));
    }
    for (int layer = 0; layer < j->shape.n_layer; layer++)
        join_layer(j, layer);
}

static bool write_file(const struct joiner *j, char *name)
{
    struct buf head;
    int fd = mkstemp(name);
    bool ok;

    buf_init(&head, MAX_BYTES);
    CHECK(buf_add(&head, "GGUF", 4));
    add_u32(&head, 3);
    add_u64(&head, j->n_tensors);
    add_u64(&head, j->n_keys);
    CHECK(buf_add(&head, j->keys.data, j->keys.len));
    CHECK(buf_add(&head, j->infos.data, j->infos.len));
    pad(&head);
    ok = CHECK(fd >= 0) && CHECK(write(fd, head.data, head.len) == (ssize_t)head.len) &&
         CHECK(write(fd, j->data.data, j->data.len) == (ssize_t)j->data.len);
    if (fd >= 0)
        close(fd);
    buf_release(&head);
    return ok;
}

bool joined_write(const char *path, char *name)
{
    struct joiner j = {.n_keys = 0};
    struct err err = {.text = ""};
    struct gguf *g = gguf_open(path, &err);
    bool ok = false;

    buf_init(&j.keys, MAX_BYTES);
    buf_init(&j.infos, MAX_BYTES);
    buf_init(&j.data, MAX_BYTES);
    j.g = g;
    if (g != NULL && shape_read(&j.shape, g, &err)) {
        for (size_t i = 0; i < gguf_n_keys(g); i++)
            copy_key(&j, gguf_key_name(g, i), gguf_key_kind(g, i));
        copy_tensors(&j);
        pad(&j.data);
        ok = write_file(&j, name);
    } else {
        FAIL("%s", err.text);
    }
    buf_release(&j.keys);
    buf_release(&j.infos);
    buf_release(&j.data);
    shape_release(&j.shape);
    gguf_close(g);
    return ok;
}
