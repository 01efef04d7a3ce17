/* SPDX-License-Identifier: MIT
 *
 * A back end: the table of operations that the decoder (forward.c) is written in.
 *
 * Three implementations: model/ref (slow, plain, the truth that the others are compared
 * with), model/cpu (threads, SIMD), model/cuda. Operations are shaped like the model,
 * not like a general graph. They are enqueued in order, cannot fail, and their faults
 * surface at read(), the one synchronisation point.
 *
 * Inside model/ only. One thread at a time.
 */
#ifndef HADAL_MODEL_BACKEND_H
#define HADAL_MODEL_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/shape.h"
#include "model/weights.h"
#include "src/base/err.h"

struct backend; /* defined by each implementation; begins with `const struct backend_ops *ops` */

/* Activations: float32 [n_rows][width], row-major, on the device. */
struct vec;

/* The cache of one timeline, all layers. MLA: one row [kv_rank + rope_dim] a token and
 * layer, the normed latent c and then the rotated k_pe. GQA: a k row (rotated) and a v
 * row [n_head_kv * head_dim]. Only positions below the caller's length are meaningful. */
struct kv;

enum cache_type { CACHE_F16, CACHE_F32, CACHE_Q8_0 };

/* The rows of one step. Row i is a token at position pos[i] of the timeline kv[i]; it
 * attends to the positions 0..pos[i] of that timeline. Rows of the same timeline are
 * adjacent, with consecutive positions. Host memory, valid for the calls of the step. */
struct rows {
    int n;
    const int32_t *token; /* [n] */
    const int32_t *pos;   /* [n] */
    struct kv *const *kv; /* [n] */
};

/* One of several products that read the same input, so that a back end may quantise
 * that input once. */
struct product {
    const struct weight *w; /* n_slab == 1 */
    const struct gain *bias; /* [n_out] or NULL */
    struct vec *y;          /* [n_rows][>= n_out]; written at column 0 */
    bool add;               /* y += W x instead of y = W x */
};

/* Where the experts of the rows went, for tests and for the expert map. Host memory,
 * [n_rows][n_expert_used], best first; NULL: not wanted. Filled when read() returns. */
struct route {
    int32_t *expert;
    float *weight;
};

struct backend_ops {
    const char *name; /* "ref", "cpu", "cuda" */

    /* n_threads: 0 = the back end's choice. */
    struct backend *(*open)(int n_threads, struct err *err);
    void (*close)(struct backend *be);
    int (*n_threads)(const struct backend *be);
    /* One line about the kernels in use, for doctor and bench: "avx2+fma+f16c". */
    const char *(*describe)(const struct backend *be);

    /* Makes all weights usable: upload, or nothing. Once, after weights_open. */
    bool (*adopt)(struct backend *be, struct weights *w, const struct shape *shape,
                  struct err *err);
    void (*disown)(struct backend *be, struct weights *w);

    struct vec *(*vec_open)(struct backend *be, int n_rows, int width, struct err *err);
    void (*vec_close)(struct backend *be, struct vec *v);
    struct kv *(*kv_open)(struct backend *be, const struct shape *shape,
                          enum cache_type type, int ctx_tokens, struct err *err);
    void (*kv_close)(struct backend *be, struct kv *kv);
    size_t (*kv_bytes_per_token)(const struct shape *shape, enum cache_type type);

    /* y[i] = table row id[i], as float. */
    void (*embed)(struct backend *be, struct vec *y, const struct weight *table,
                  const int32_t *id, int n_rows);
    /* y[i][0..gain->n) = RMSNorm of x[i][0..gain->n). y may be x. */
    void (*rms_norm)(struct backend *be, struct vec *y, const struct vec *x,
                     const struct gain *gain, float eps, int n_rows);
    /* Products that share their input x [n_rows][n_in]. */
    void (*matmul)(struct backend *be, const struct product *p, int n_products,
                   const struct vec *x, int n_rows);
    /* Rotates q [n][n_head * head_dim] and k [n][n_head_kv * head_dim], appends k and v
     * to layer `layer` of each row's cache, attends.
     * out: [n][n_head * head_dim]. May write into q. */
    void (*gqa_attend)(struct backend *be, struct vec *out, struct vec *q, struct vec *k,
                       const struct vec *v, const struct shape *shape, int layer,
                       const struct rows *rows);
    /* MLA in the absorbed form (decoder.md 2.3), or expanded where that is faster: the
     * same function. q: [n][n_head * (nope_dim + rope_dim)], kv_a: [n][kv_rank +
     * rope_dim] as projected: norms its latent with lw->kv_a_norm, rotates k_pe and q_pe,
     * appends, attends. out: [n][n_head * v_dim]. May write into q and kv_a. */
    void (*mla_attend)(struct backend *be, struct vec *out, struct vec *q,
                       struct vec *kv_a, const struct shape *shape,
                       const struct layer *lw, int layer, const struct rows *rows);
    /* y[i] += down(silu(gate x[i]) * up x[i]) */
    void (*ffn)(struct backend *be, struct vec *y, const struct vec *x,
                const struct layer *lw, const struct shape *shape, int n_rows);
    /* y[i] += sum over the chosen experts + the shared expert (decoder.md 2.6). */
    void (*moe)(struct backend *be, struct vec *y, const struct vec *x,
                const struct layer *lw, const struct shape *shape, int n_rows,
                struct route *route);
    /* y[i] = x[row[i]]: the rows whose logits are wanted, before the head. row: host. */
    void (*gather)(struct backend *be, struct vec *y, const struct vec *x,
                   const int32_t *row, int n_rows);
    /* Copies rows [row, row + n_rows) of the first `width` columns to host. Waits for
     * everything enqueued; false when the device failed. */
    bool (*read)(struct backend *be, const struct vec *v, int row, int n_rows, int width,
                 float *host, struct err *err);
    /* Bytes of weights read since open: counted by the operations, for bench. */
    uint64_t (*weight_bytes_read)(const struct backend *be);
};

extern const struct backend_ops backend_ref;
extern const struct backend_ops backend_cpu;
/* NULL-like table where CUDA was not built: open() fails with ERR_DEVICE. */
extern const struct backend_ops backend_cuda;

/* Chooses the experts of one row: the decoder's routing rule in plain C, shared by ref
 * and cpu (router.c). score: [n_expert] router logits, overwritten. bias: [n_expert] or
 * NULL. Writes n_expert_used ids (best first) and weights. NaN logits count as -inf, so
 * that a corrupt file cannot choose an expert that is not there; where a logit is not
 * finite all weights are NaN, so that the damage reaches the model's logits. */
void router_choose(const struct shape *shape, float *score, const float *bias,
                   int32_t *expert, float *weight);

#endif
