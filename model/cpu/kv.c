/* SPDX-License-Identifier: MIT
 *
 * The CPU back end's cache of keys and values: its layout (attn_priv.h), opening, and
 * rows in its element types.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/cpu/attn_priv.h"
#include "src/base/mem.h"

enum { BLOCK = 32 }; /* elements of a Q8_0 block */

static const struct quant_type *cache_type(enum cache_type type)
{
    static const enum tensor_type types[] = {
        [CACHE_F16] = TYPE_F16,
        [CACHE_F32] = TYPE_F32,
        [CACHE_Q8_0] = TYPE_Q8_0,
    };

    return quant_find(types[type]);
}

static struct kv kv_layout(const struct shape *shape, enum cache_type type, int ctx)
{
    bool mla = shape->attention == ATTENTION_MLA;
    struct kv kv = {
        .type = cache_type(type),
        .ctx = ctx,
        .n_head_kv = mla ? 1 : shape->n_head_kv,
        .k_width = mla ? shape->kv_rank + shape->rope_dim : shape->head_dim,
        .v_width = mla ? 0 : shape->head_dim,
    };

    kv.k_head_bytes = quant_row_bytes(kv.type, kv_padded(kv.type, kv.k_width));
    kv.v_head_bytes = quant_row_bytes(kv.type, kv_padded(kv.type, kv.v_width));
    kv.layer_bytes =
        (size_t)ctx * (size_t)kv.n_head_kv * (kv.k_head_bytes + kv.v_head_bytes);
    kv.bytes = kv.layer_bytes * (size_t)shape->n_layer;
    return kv;
}

size_t attn_kv_bytes_per_token(const struct shape *shape, enum cache_type type)
{
    return kv_layout(shape, type, 1).bytes;
}

struct kv *attn_kv_open(struct backend *be, const struct shape *shape,
                        enum cache_type type, int ctx_tokens, struct err *err)
{
    struct kv *kv = mem_alloc(sizeof(*kv));
    void *data;

    (void)be;
    *kv = kv_layout(shape, type, ctx_tokens);
    data = mmap(NULL, kv->bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        err_set(err, ERR_MEMORY,
                "not enough memory for a cache of %d tokens (%.1f MiB)", ctx_tokens,
                (double)kv->bytes / (1024.0 * 1024.0));
        free(kv);
        return NULL;
    }
    kv->data = data;
    return kv;
}

void attn_kv_close(struct backend *be, struct kv *kv)
{
    (void)be;
    if (kv == NULL)
        return;
    munmap(kv->data, kv->bytes);
    free(kv);
}

unsigned char *kv_k_rows(const struct kv *kv, int layer)
{
    return kv->data + (size_t)layer * kv->layer_bytes;
}

unsigned char *kv_v_rows(const struct kv *kv, int layer)
{
    return kv->v_width == 0
               ? kv_k_rows(kv, layer)
               : kv_k_rows(kv, layer) + (size_t)kv->ctx * kv_k_row_bytes(kv);
}

/* n <= 32 values as one Q8_0 block: f16 scale, int8 codes, zeros after n. */
static void store_q8_block(const float *x, int n, unsigned char *out)
{
    float max = 0, inverse;
    uint16_t d;

    for (int i = 0; i < n; i++)
        max = fmaxf(max, fabsf(x[i]));
    d = quant_f32_to_f16(max / 127.0f);
    inverse = quant_f16_to_f32(d);
    inverse = inverse > 0 ? 1.0f / inverse : 0.0f;
    memset(out, 0, 2 + BLOCK);
    memcpy(out, &d, sizeof(d));
    for (int i = 0; i < n; i++) {
        float q = fminf(fmaxf(rintf(x[i] * inverse), -127.0f), 127.0f);
        out[2 + i] = (unsigned char)(signed char)q;
    }
}

void kv_store(const struct kv *kv, const struct cpu_kernels *k, const float *x, int n,
              unsigned char *out)
{
    if (kv->type->type == TYPE_F32) {
        memcpy(out, x, (size_t)n * sizeof(float));
    } else if (kv->type->type == TYPE_F16) {
        k->f32_to_f16(x, (uint16_t *)(void *)out, n);
    } else {
        for (int i = 0; i < n; i += BLOCK, out += 2 + BLOCK)
            store_q8_block(x + i, n - i < BLOCK ? n - i : BLOCK, out);
    }
}

void kv_load(const struct kv *kv, const struct cpu_kernels *k, const unsigned char *row,
             int n, float *out)
{
    if (kv->type->type == TYPE_F16)
        k->f16_to_f32((const uint16_t *)(const void *)row, out, n);
    else
        kv->type->to_f32(row, out, kv_padded(kv->type, n));
}
