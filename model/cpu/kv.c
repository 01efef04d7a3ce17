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

enum {
    BLOCK = 32, /* elements of a Q8_0 block */
    LARGE_PAGE = 2 << 20,
};

static const struct quant_type *cache_type(enum cache_type type)
{
    static const enum tensor_type types[] = {
        [CACHE_F16] = TYPE_F16,
        [CACHE_F32] = TYPE_F32,
        [CACHE_Q8_0] = TYPE_Q8_0,
    };

    return quant_find(types[type]);
}

static int padded(int n)
{
    return (n + BLOCK - 1) / BLOCK * BLOCK;
}

/* scaled: if the type allows it. */
static struct kv kv_layout(const struct shape *shape, enum cache_type type, bool scaled,
                           int ctx)
{
    bool mla = shape->attention == ATTENTION_MLA;
    struct kv kv = {
        .type = cache_type(type),
        .ctx = ctx,
        .n_head_kv = mla ? 1 : shape->n_head_kv,
        .k_width = mla ? shape->kv_rank + shape->rope_dim : shape->head_dim,
        .v_width = mla ? 0 : shape->head_dim,
        .hadamard = !mla && type == CACHE_Q8_0,
    };

    kv.k_head_bytes = quant_row_bytes(kv.type, kv_padded(kv.type, kv.k_width));
    kv.v_head_bytes = quant_row_bytes(kv.type, kv_padded(kv.type, kv.v_width));
    if (mla) {
        kv.rank = shape->kv_rank;
        kv.rank_padded = padded(kv.rank);
        kv.int16 = scaled && type == CACHE_F16;
        kv.scaled = kv.int16 || (scaled && type == CACHE_Q8_0 && kv.rank % BLOCK == 0);
    }
    if (kv.int16)
        kv.k_head_bytes = (size_t)kv_latent_width(&kv) * sizeof(int16_t);
    kv.layer_bytes =
        (size_t)ctx * (size_t)kv.n_head_kv * (kv.k_head_bytes + kv.v_head_bytes);
    if (kv.scaled)
        kv.layer_bytes += (size_t)ctx * 2 * sizeof(float);
    kv.bytes = kv.layer_bytes * (size_t)shape->n_layer;
    return kv;
}

size_t attn_kv_bytes_per_token(const struct shape *shape, enum cache_type type)
{
    return kv_layout(shape, type, true, 1).bytes;
}

/* Large pages for what comes behind the first one: deep rows are read with a miss less
 * for each page, and a short context takes no more memory than it needs. */
static void use_large_pages(unsigned char *rows, size_t bytes)
{
    uintptr_t from = ((uintptr_t)rows + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    uintptr_t to = (uintptr_t)rows + bytes;

    if (from < to)                                             /* only a wish */
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* NOLINT: address */
}

struct kv *attn_kv_open(struct backend *be, const struct shape *shape,
                        enum cache_type type, int ctx_tokens, struct err *err)
{
    struct kv *kv = mem_alloc(sizeof(*kv));
    void *data;

    /* eight positions' scales are what a layer's alignment to 64 bytes needs */
    *kv = kv_layout(shape, type, be->kernels->latent != NULL, (ctx_tokens + 7) / 8 * 8);
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
    for (int i = 0; i < shape->n_layer; i++) {
        size_t keys = (size_t)kv->ctx * kv_k_row_bytes(kv);

        use_large_pages(kv_k_rows(kv, i), keys);
        if (kv->v_width > 0)
            use_large_pages(kv_v_rows(kv, i), kv->layer_bytes - keys);
    }
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

void kv_store(const struct kv *kv, const struct cpu_kernels *k, const float *x, int n,
              unsigned char *out)
{
    if (kv->type->type == TYPE_F32) {
        memcpy(out, x, (size_t)n * sizeof(float));
    } else if (kv->type->type == TYPE_F16) {
        k->f32_to_f16(x, (uint16_t *)(void *)out, n);
    } else {
        k->f32_to_q8_0(x, n, out);
    }
}

void kv_load(const struct kv *kv, const struct cpu_kernels *k, const unsigned char *row,
             int n, float *out)
{
    if (kv->type->type == TYPE_F16)
        k->f16_to_f32((const uint16_t *)(const void *)row, out, n);
    else if (kv->type->type == TYPE_Q8_0)
        k->q8_0_to_f32(row, out, kv_padded(kv->type, n));
    else
        memcpy(out, row, (size_t)n * sizeof(float));
}

/* ---- latent rows ---- */

static unsigned char *latent_row(const struct kv *kv, int layer, int32_t pos)
{
    return kv_k_rows(kv, layer) + (size_t)pos * kv->k_head_bytes;
}

int kv_latent_width(const struct kv *kv)
{
    return kv->rank_padded + padded(kv->k_width - kv->rank);
}

float *kv_latent_scales(const struct kv *kv, int layer)
{
    return (float *)(void *)latent_row(kv, layer, kv->ctx);
}

/* The scale of the integers that n values of Q8_0 become: as struct latent_kernels
 * wants them, where no block's own scale is more than 2^15 of LATENT_Q8_UNIT. One per
 * cent is for what rounding adds. */
static float q8_scale(const unsigned char *block, int n)
{
    float squares = 0, largest = 0, by_length;

    for (int i = 0; i < n; i += BLOCK, block += 2 + BLOCK) {
        const signed char *q = (const signed char *)(block + 2);
        uint16_t h;
        float d;
        int sum = 0;

        memcpy(&h, block, sizeof(h));
        d = quant_f16_to_f32(h);
        for (int j = 0; j < BLOCK; j++)
            sum += q[j] * q[j];
        squares += d * d * (float)sum;
        largest = fmaxf(largest, d);
    }
    by_length = sqrtf(squares) / LATENT_ROW_LENGTH;
    largest *= LATENT_Q8_UNIT / 32767.0F;
    return 1.01F * fmaxf(by_length, largest);
}

void kv_store_latent(const struct kv *kv, const struct cpu_kernels *k, int layer,
                     int32_t pos, const float *x)
{
    unsigned char *row = latent_row(kv, layer, pos);
    const int n_key = kv->k_width - kv->rank;
    int16_t *q = (int16_t *)(void *)row;
    float *scale = kv_latent_scales(kv, layer) + 2 * (size_t)pos;

    if (kv->int16) {
        scale[0] = k->latent->narrow(x, kv->rank, LATENT_ROW_LENGTH, q);
        scale[1] = k->latent->narrow(x + kv->rank, n_key, LATENT_ROW_LENGTH,
                                     q + kv->rank_padded);
        return;
    }
    kv_store(kv, k, x, kv->k_width, row);
    if (kv->scaled) {
        scale[0] = q8_scale(row, kv->rank);
        scale[1] = q8_scale(row + quant_row_bytes(kv->type, kv->rank), n_key);
    }
}

void kv_load_latent(const struct kv *kv, const struct cpu_kernels *k, int layer,
                    int32_t pos, float *out)
{
    const unsigned char *row = latent_row(kv, layer, pos);
    const int16_t *q = (const int16_t *)(const void *)row;
    const float *scale = kv_latent_scales(kv, layer) + 2 * (size_t)pos;

    if (kv->int16) {
        k->latent->widen(q, scale[0], kv->rank, out);
        k->latent->widen(q + kv->rank_padded, scale[1], kv->k_width - kv->rank,
                         out + kv->rank);
    } else {
        kv_load(kv, k, row, kv->k_width, out);
    }
}

const int16_t *kv_latent_rows(const struct kv *kv, const struct latent_kernels *k,
                              int layer, int32_t p0, int n, int16_t *memory)
{
    const size_t width = (size_t)kv_latent_width(kv);
    const size_t key_at = quant_row_bytes(kv->type, kv->rank_padded);
    const float *scale = kv_latent_scales(kv, layer) + 2 * (size_t)p0;
    const unsigned char *row = latent_row(kv, layer, p0);

    if (kv->int16)
        return (const int16_t *)(const void *)row;
    for (int i = 0; i < n; i++, row += kv->k_head_bytes, scale += 2) {
        int16_t *out = memory + (size_t)i * width;

        k->from_q8_0(row, kv->rank_padded, scale[0], out);
        k->from_q8_0(row + key_at, (int)width - kv->rank_padded, scale[1],
                     out + kv->rank_padded);
    }
    return memory;
}
