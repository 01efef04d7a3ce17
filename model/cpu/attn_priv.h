/* SPDX-License-Identifier: MIT
 *
 * What the files of attention share: the cache (kv.c), rotation and softmax over parts
 * of a context (attn.c), for grouped-query (attn.c) and latent attention (mla.c).
 */
#ifndef HADAL_MODEL_CPU_ATTN_PRIV_H
#define HADAL_MODEL_CPU_ATTN_PRIV_H

#include "model/cpu/cpu_priv.h"

/* The cache, in one mapping whose pages come into being when they are first written:
 * [layer][key rows | value rows][ctx][row]. A row is n_head_kv heads, each padded to
 * whole blocks of its type. MLA has key rows only, of one head: the latent and the
 * rotated key.
 *
 * Where the kernels have latent attention in integers, MLA's rows are made for it: of
 * 16 bits, in place of F16, or of Q8_0. Behind a layer's rows are then two scales of
 * each row, of the integers or of those that Q8_0 becomes.
 *
 * GQA's heads in Q8_0 are H k and H v with the H of struct cpu_kernels: a few channels
 * of keys are many times larger than the others, and would take the precision of these
 * (QuaRot, arXiv:2404.00456). Since H is its own inverse, (H q).(H k) = q.k, and H
 * times the sum of weights and H v is what attention gives. */
struct kv {
    const struct quant_type *type;
    bool scaled, int16, hadamard;
    int ctx, n_head_kv;
    int k_width, v_width;              /* values of a head; v_width 0: MLA */
    int rank, rank_padded;             /* MLA: of k_width, those of the latent */
    size_t k_head_bytes, v_head_bytes; /* of a head in a row */
    size_t layer_bytes, bytes;
    unsigned char *data;
};

/* A head's values with the padding. */
static inline int kv_padded(const struct quant_type *type, int width)
{
    return (width + type->block_elems - 1) / type->block_elems * type->block_elems;
}

static inline size_t kv_k_row_bytes(const struct kv *kv)
{
    return kv->k_head_bytes * (size_t)kv->n_head_kv;
}

static inline size_t kv_v_row_bytes(const struct kv *kv)
{
    return kv->v_head_bytes * (size_t)kv->n_head_kv;
}

/* A layer's key rows and value rows. MLA's values are the beginnings of its keys. */
unsigned char *kv_k_rows(const struct kv *kv, int layer);
unsigned char *kv_v_rows(const struct kv *kv, int layer);
/* Stores a head of n values. */
void kv_store(const struct kv *kv, const struct cpu_kernels *k, const float *x, int n,
              unsigned char *out);
/* n values of a row as floats, and some of the padding after them. */
void kv_load(const struct kv *kv, const struct cpu_kernels *k, const unsigned char *row,
             int n, float *out);

/* MLA: the k_width values of a position. */
void kv_store_latent(const struct kv *kv, const struct cpu_kernels *k, int layer,
                     int32_t pos, const float *x);
void kv_load_latent(const struct kv *kv, const struct cpu_kernels *k, int layer,
                    int32_t pos, float *out);
/* Of scaled rows: the integers of a row with their padding; n rows from p0, in the
 * cache or in `memory` [n][width]; and the scales [ctx][2] of a layer. */
int kv_latent_width(const struct kv *kv);
const int16_t *kv_latent_rows(const struct kv *kv, const struct latent_kernels *k,
                              int layer, int32_t p0, int n, int16_t *memory);
float *kv_latent_scales(const struct kv *kv, int layer);

enum {
    ATTN_TILE = 32
}; /* positions that are taken together; a multiple of panel_rows */

/* cos and sin of a position for rope->dim / 2 pairs each, and their use. */
void attn_angles(const struct rope *rope, int32_t pos, float *out);
void attn_rotate(const struct rope *rope, const float *angle, float *x);
/* Memory for one position's angles a thread, rope->dim apart. */
float *attn_angle_memory(struct backend *be, const struct rope *rope);

/* Softmax of one query, tile by tile (arXiv:2205.14135): m the largest score so far, l
 * the sum of exp(score - m), u the same sum of values. Turns n scores into weights, of
 * which the first `seen` count, and brings m, l and u to the new maximum. */
void attn_soften(const struct cpu_kernels *k, float *score, int n, int seen, float *m,
                 float *l, float *u, int v_width);

/* The attention of rows of one timeline. Query i (of n_queries) of key head j is head
 * j * per + i % per of row i / per. */
struct attend {
    const struct backend *be;
    const struct kv *kv;
    const unsigned char *k, *v;
    int v_width;
    const float *q; /* [rows][heads][k_width] */
    float *out;     /* [rows][heads][v_width] */
    int per, n_head;
    int n_queries; /* rows * per */
    const int32_t *pos;
    float scale;
    int n_blocks, n_parts, block; /* block: queries of one */
    float *partial;               /* [block][part][key head] of struct part, or NULL */
};

/* Sets kv, k, v, pos, n_queries and the units, and computes. q and out: of the first of
 * n_rows rows, which are those from `first` of `rows`. */
void attn_attend(struct backend *be, struct attend *t, int layer,
                 const struct rows *rows, int first, int n_rows);
/* How many rows from `first` on belong to the same timeline. */
int attn_same_timeline(const struct rows *rows, int first);

/* latent.c: the same for latent attention with scaled rows. */
struct latent_heads {
    int n;
    const float *q; /* [rows][n][rank + rope_dim] */
    float *out;     /* [rows][n][rank] */
    float scale;
};
void latent_attend(struct backend *be, const struct latent_heads *heads, int layer,
                   const struct rows *rows, int first, int n_rows);

/* A thread's memory for attention, at least n floats, aligned to 64 bytes. */
float *attn_memory(struct thread_scratch *scratch, size_t n);

#endif
