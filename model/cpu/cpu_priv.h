/* SPDX-License-Identifier: MIT
 *
 * What the files of the CPU back end share: its state, scratch memory, and products.
 */
#ifndef HADAL_MODEL_CPU_CPU_PRIV_H
#define HADAL_MODEL_CPU_CPU_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/cpu/blas.h"
#include "model/cpu/kernels.h"
#include "model/cpu/pool.h"
#include "model/host_vec.h"

/* Buffers that live from one operation to the next and only grow, each for one use. */
enum scratch_slot {
    SCRATCH_ACT,         /* quantised input of a product */
    SCRATCH_QUERY,       /* MLA: q~ and rotated q_pe */
    SCRATCH_LATENT,      /* MLA: weighted sums u of the latents */
    SCRATCH_QUERY_INT16, /* ... the queries as integers */
    SCRATCH_QUERY_SCALE, /* ... and their scales */
    SCRATCH_ANGLE,       /* cos and sin of the step's positions */
    SCRATCH_PARTIAL,     /* attention: results of parts of a context */
    SCRATCH_GATE,        /* feed-forward: gate x, then silu(gate x) * up x */
    SCRATCH_UP,          /* up x */
    SCRATCH_HIDDEN,      /* quantised hidden rows */
    SCRATCH_SORTED,      /* MoE: rows in the order of their experts, quantised */
    SCRATCH_SORTED_F32,  /* the same as floats */
    SCRATCH_DOWN,        /* MoE: what each expert gave */
    SCRATCH_ROUTE,       /* MoE: logits, choices, order */
    SCRATCH_JOBS,        /* MoE: list of products */
    SCRATCH_SLOTS,
};

/* One thread's own memory: see kernels.h for the panel. */
struct thread_scratch {
    struct panel panel;
    float *panel_f32; /* [PANEL_K_F32][PANEL_ROWS_MAX] */
    float *attend;    /* grown by attn.c */
    size_t attend_cap;
    void *memory;
};
enum { PANEL_K_F32 = 1024 };

struct backend {
    const struct backend_ops *ops;
    const struct cpu_kernels *kernels;
    struct blas blas; /* only where the kernels have no product of their own */
    const struct wide_kernels *wide[ACT_FORMS]; /* or NULL: none here */
    struct pool *pool;
    struct thread_scratch *thread; /* [n_threads] */
    bool residual; /* activations keep 16 bits instead of 8: set by adopt */
    struct {
        void *p;
        size_t cap;
    } scratch[SCRATCH_SLOTS];
    uint64_t weight_bytes;
};

/* At least `bytes` of the slot's memory; what was in it is lost when it grows. */
void *scratch_get(struct backend *be, enum scratch_slot slot, size_t bytes);

/* y[c * ldy + r] (+)= sum over i of w[r][i] a[c][i] + bias[r]: one of the products that
 * gemm_run computes together. */
struct job {
    const struct quant_type *type;
    const unsigned char *w; /* [n_out][row_bytes] */
    size_t row_bytes;
    int n_out;
    struct act a;
    int n_cols; /* rows of a */
    float *y;
    size_t ldy;
    const float *bias; /* [n_out] or NULL */
    bool add;
    enum act_form form; /* these of gemm_run's own use */
    int unit_rows, first_unit;
};

struct job gemm_job(const struct weight *w, int slab, struct act a, int n_cols,
                    float *y, size_t ldy);
/* Computes all jobs as one list of work. */
void gemm_run(struct backend *be, struct job *job, int n_jobs);

/* The forms, as bits, that a product of this type with n_rows rows reads; 0: floats. */
unsigned gemm_forms(const struct backend *be, const struct quant_type *type,
                    int n_rows);
/* Bytes of a row's records of these forms. */
size_t gemm_record_bytes(const struct backend *be, int n_in, unsigned forms);
/* n_rows rows of n_in floats as activations, with room for their records in `memory`;
 * gemm_fill writes those of one row. */
struct act gemm_place(const struct backend *be, const float *x, size_t x_stride,
                      int n_in, int n_rows, unsigned forms, unsigned char *memory);
void gemm_fill(const struct backend *be, const struct act *a, int row,
               unsigned char *memory);
/* Both, in the slot's memory. */
struct act gemm_act(struct backend *be, enum scratch_slot slot, const float *x,
                    size_t x_stride, int n_in, int n_rows, unsigned forms);
/* The rows first, first + step, first + 2 * step, ... of a. */
static inline struct act act_rows(struct act a, int first, int step)
{
    a.x += (size_t)first * a.x_stride;
    a.x_stride *= (size_t)step;
    for (int f = 0; f < ACT_FORMS; f++)
        if (a.form[f].q != NULL) {
            a.form[f].q += (size_t)first * a.form[f].q_stride;
            a.form[f].q_stride *= (size_t)step;
        }
    return a;
}

/* attn.c */
struct kv *attn_kv_open(struct backend *be, const struct shape *shape,
                        enum cache_type type, int ctx_tokens, struct err *err);
void attn_kv_close(struct backend *be, struct kv *kv);
size_t attn_kv_bytes_per_token(const struct shape *shape, enum cache_type type);
void attn_gqa(struct backend *be, struct vec *out, struct vec *q, struct vec *k,
              const struct vec *v, const struct shape *shape, int layer,
              const struct rows *rows);
void attn_mla(struct backend *be, struct vec *out, struct vec *q, struct vec *kv_a,
              const struct shape *shape, const struct layer *lw, int layer,
              const struct rows *rows);

/* moe.c */
void moe_ffn(struct backend *be, struct vec *y, const struct vec *x,
             const struct layer *lw, const struct shape *shape, int n_rows);
void moe_experts(struct backend *be, struct vec *y, const struct vec *x,
                 const struct layer *lw, const struct shape *shape, int n_rows,
                 struct route *route);

#endif
