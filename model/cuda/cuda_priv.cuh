/* SPDX-License-Identifier: MIT
 *
 * What the CUDA files share: the back end's structs, launching, sums over a warp.
 *
 * One device, one stream: operations are enqueued in order; the first fault is kept in
 * struct backend and reported by read(). Included by model/cuda/ only.
 */
#ifndef HADAL_MODEL_CUDA_PRIV_CUH
#define HADAL_MODEL_CUDA_PRIV_CUH

#ifdef HADAL_CUDA_EMULATED
#include "tests/cuda/emulate.h"
#else
#include "model/cuda/launch.cuh"
#endif

#include <stdint.h>

extern "C" {
#include "model/backend.h"
#include "model/blocks.h"
}

enum {
    WARP = 32,
    WARPS_A_BLOCK = 4,
    ROWS_A_WARP = 8,      /* activations rows that share one decoding of the weights */
    MAX_KEY_DIM = 576,    /* widest row a query is multiplied with (MLA of all releases) */
    MAX_VALUE_DIM = 512,
    NORM_THREADS = 256,
};

struct vec {
    float *data; /* device, [n_rows][width] */
    int n_rows, width;
};

struct kv {
    unsigned char *k, *v; /* device, [n_layer][ctx][k_dim or v_dim]; v NULL with MLA */
    enum cache_type type; /* F16 or F32 */
    int ctx, k_dim, v_dim;
    size_t elem_bytes;
};

/* Where a row attends, on the device. */
struct row_ref {
    unsigned char *k, *v; /* of the layer at hand */
    int pos;
};

/* A growing device buffer that is reused; its content does not outlive an operation. */
struct scratch {
    void *data;
    size_t bytes;
};

struct backend {
    const struct backend_ops *ops;
    cudaStream_t stream;
    cudaError_t fault; /* the first one */
    char description[288];
    float *inv_freq;   /* device copy of the shape's */
    struct scratch rows, hidden, query, latent, choice, logits, ids;
    uint64_t weight_bytes;
};

/* A weight as a kernel sees it. */
struct matrix {
    const uint8_t *data; /* device */
    int type;            /* enum tensor_type */
    int n_out, n_in;
    size_t row_bytes, slab_bytes;
};

static inline struct matrix matrix_of(const struct weight *w)
{
    struct matrix m;

    m.data = (const uint8_t *)w->device;
    m.type = (int)w->type->type;
    m.n_out = w->n_out;
    m.n_in = w->n_in;
    m.row_bytes = w->row_bytes;
    m.slab_bytes = w->slab_bytes;
    return m;
}

/* Keeps the first fault. */
static inline void note(struct backend *be, cudaError_t code)
{
    if (be->fault == cudaSuccess && code != cudaSuccess)
        be->fault = code;
}

/* At least `bytes` of device memory; NULL after a fault. */
void *scratch_get(struct backend *be, struct scratch *s, size_t bytes);
/* Host memory to the device, in stream order; the host copy may be reused at once. */
void upload(struct backend *be, void *device, const void *host, size_t bytes);

/* y[row][slab * y_slab + o] (+)= W[slab] row o . x[row][slab * x_slab ..] */
struct product_place {
    const float *x;
    int x_stride, x_slab;
    float *y;
    int y_stride, y_slab;
    const float *bias; /* [n_out] or NULL */
    bool add;
};
void product_launch(struct backend *be, const struct weight *w,
                    const struct product_place *at, int n_rows);

/* The rows of table `ops` that live in other files. */
void cuda_embed(struct backend *be, struct vec *y, const struct weight *table,
                const int32_t *id, int n_rows);
void cuda_matmul(struct backend *be, const struct product *p, int n_products,
                 const struct vec *x, int n_rows);
void cuda_ffn(struct backend *be, struct vec *y, const struct vec *x,
              const struct layer *lw, const struct shape *shape, int n_rows);
void cuda_moe(struct backend *be, struct vec *y, const struct vec *x,
              const struct layer *lw, const struct shape *shape, int n_rows,
              struct route *route);
void cuda_gather(struct backend *be, struct vec *y, const struct vec *x,
                 const int32_t *row, int n_rows);
void cuda_rms_norm(struct backend *be, struct vec *y, const struct vec *x,
                   const struct gain *gain, float eps, int n_rows);
void cuda_gqa_attend(struct backend *be, struct vec *out, struct vec *q, struct vec *k,
                     const struct vec *v, const struct shape *shape, int layer,
                     const struct rows *rows);
void cuda_mla_attend(struct backend *be, struct vec *out, struct vec *q,
                     struct vec *kv_a, const struct shape *shape,
                     const struct layer *lw, int layer, const struct rows *rows);

/* Sum over the 32 lanes, the same in all of them. */
static __device__ inline float warp_sum(float x)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

#endif
