/* SPDX-License-Identifier: MIT
 *
 * The CUDA back end: device, memory, and the table of operations.
 *
 * Weights are copied to the device as they lie in the file and decoded by the kernels
 * (decode.cuh). Every call is on one stream; faults are kept and told by read(). State
 * of this room: HACKING.md, "CUDA".
 */
#include "model/cuda/cuda_priv.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *scratch_get(struct backend *be, struct scratch *s, size_t bytes)
{
    if (bytes <= s->bytes)
        return s->data;
    /* Kernels that still read the old memory must be done before it goes. */
    note(be, cudaStreamSynchronize(be->stream));
    cudaFree(s->data);
    s->data = NULL;
    s->bytes = 0;
    note(be, cudaMalloc(&s->data, bytes));
    if (be->fault != cudaSuccess)
        return NULL;
    s->bytes = bytes;
    return s->data;
}

void upload(struct backend *be, void *device, const void *host, size_t bytes)
{
    /* From pageable memory the call returns when the source has been read. */
    note(be, cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, be->stream));
}

static bool fail(struct err *err, enum err_kind kind, cudaError_t code, const char *what)
{
    err_set(err, kind, "%s: %s", what, cudaGetErrorString(code));
    if (err != NULL)
        err->code = (int)code;
    return false;
}

static struct backend *open_device(int n_threads, struct err *err);

static void release(struct scratch *s)
{
    cudaFree(s->data);
    s->data = NULL;
    s->bytes = 0;
}

static void close_device(struct backend *be)
{
    if (be == NULL)
        return;
    cudaStreamSynchronize(be->stream);
    release(&be->rows);
    release(&be->hidden);
    release(&be->query);
    release(&be->latent);
    release(&be->choice);
    release(&be->logits);
    release(&be->ids);
    cudaFree(be->inv_freq);
    cudaStreamDestroy(be->stream);
    free(be);
}

static int n_threads_of(const struct backend *be)
{
    (void)be;
    return 1;
}

static const char *describe(const struct backend *be)
{
    return be->description;
}

/* Copies one weight; a NULL role is left alone. */
static bool adopt_weight(struct weight *w, struct err *err)
{
    size_t bytes = (size_t)w->n_slab * w->slab_bytes;
    cudaError_t code;

    if (w->data == NULL)
        return true;
    if (w->n_in % 8 != 0)
        return err_set(err, ERR_DEVICE, "the CUDA back end cannot run rows of %d ('%s')",
                       w->n_in, w->name);
    /* The last slab of a fused tensor ends with its own rows. */
    bytes -= w->slab_bytes - (size_t)w->n_out * w->row_bytes;
    code = cudaMalloc(&w->device, bytes);
    if (code == cudaSuccess)
        code = cudaMemcpy(w->device, w->data, bytes, cudaMemcpyHostToDevice);
    if (code != cudaSuccess)
        return fail(err, ERR_MEMORY, code, "not enough device memory for the weights");
    return true;
}

static bool adopt_gain(struct gain *g, struct err *err)
{
    size_t bytes = (size_t)g->n * sizeof(float);
    cudaError_t code;

    if (g->n == 0)
        return true;
    code = cudaMalloc(&g->device, bytes);
    if (code == cudaSuccess)
        code = cudaMemcpy(g->device, g->data, bytes, cudaMemcpyHostToDevice);
    if (code != cudaSuccess)
        return fail(err, ERR_MEMORY, code, "not enough device memory for the weights");
    return true;
}

enum { MAX_LAYER_WEIGHTS = 20, MAX_LAYER_GAINS = 9 };

/* All matrices and gains of a layer, as lists. */
static int layer_weights(struct layer *l, struct weight *out[MAX_LAYER_WEIGHTS])
{
    struct weight *all[] = {
        &l->q, &l->k, &l->v, &l->q_a, &l->q_b, &l->kv_a, &l->k_b, &l->v_b, &l->out,
        &l->gate, &l->up, &l->down, &l->router, &l->gate_exps, &l->up_exps, &l->down_exps,
        &l->gate_shexp, &l->up_shexp, &l->down_shexp,
    };

    memcpy(out, all, sizeof(all));
    return (int)(sizeof(all) / sizeof(all[0]));
}

static int layer_gains(struct layer *l, struct gain *out[MAX_LAYER_GAINS])
{
    struct gain *all[] = {
        &l->attn_norm, &l->q_bias, &l->k_bias, &l->v_bias, &l->q_a_norm, &l->kv_a_norm,
        &l->ffn_norm, &l->router_bias,
    };

    memcpy(out, all, sizeof(all));
    return (int)(sizeof(all) / sizeof(all[0]));
}

static bool fits_kernels(const struct shape *shape, struct err *err)
{
    int key = shape->attention == ATTENTION_MLA ? shape->kv_rank + shape->rope_dim
                                                : shape->head_dim;
    int value = shape->attention == ATTENTION_MLA ? shape->kv_rank : shape->head_dim;

    if (key > MAX_KEY_DIM || value > MAX_VALUE_DIM)
        return err_set(err, ERR_DEVICE,
                       "the CUDA back end runs heads of at most %d and %d values, not %d "
                       "and %d; use --device cpu",
                       (int)MAX_KEY_DIM, (int)MAX_VALUE_DIM, key, value);
    return true;
}

static bool adopt_all(struct backend *be, struct weights *w, const struct shape *shape,
                      struct err *err)
{
    size_t bytes = (size_t)(shape->rope.dim / 2) * sizeof(float);
    void *inv_freq = NULL;
    cudaError_t code;

    if (!fits_kernels(shape, err))
        return false;
    code = cudaMalloc(&inv_freq, bytes);
    be->inv_freq = (float *)inv_freq;
    if (code == cudaSuccess)
        code = cudaMemcpy(inv_freq, shape->rope.inv_freq, bytes, cudaMemcpyHostToDevice);
    if (code != cudaSuccess)
        return fail(err, ERR_MEMORY, code, "not enough device memory for the weights");
    if (!adopt_weight(&w->embed, err) || !adopt_gain(&w->out_norm, err))
        return false;
    if (w->head.data == w->embed.data)
        w->head.device = w->embed.device;
    else if (!adopt_weight(&w->head, err))
        return false;
    for (int i = 0; i < w->n_layer; i++) {
        struct weight *m[MAX_LAYER_WEIGHTS];
        struct gain *g[MAX_LAYER_GAINS];
        int n_m = layer_weights(&w->layer[i], m), n_g = layer_gains(&w->layer[i], g);

        for (int j = 0; j < n_m; j++)
            if (!adopt_weight(m[j], err))
                return false;
        for (int j = 0; j < n_g; j++)
            if (!adopt_gain(g[j], err))
                return false;
    }
    return true;
}

static void disown_weight(struct weight *w)
{
    cudaFree(w->device);
    w->device = NULL;
}

static void disown_gain(struct gain *g)
{
    cudaFree(g->device);
    g->device = NULL;
}

static void disown(struct backend *be, struct weights *w)
{
    cudaStreamSynchronize(be->stream);
    if (w->head.device == w->embed.device)
        w->head.device = NULL;
    disown_weight(&w->embed);
    disown_weight(&w->head);
    disown_gain(&w->out_norm);
    for (int i = 0; i < w->n_layer; i++) {
        struct weight *m[MAX_LAYER_WEIGHTS];
        struct gain *g[MAX_LAYER_GAINS];
        int n_m = layer_weights(&w->layer[i], m), n_g = layer_gains(&w->layer[i], g);

        for (int j = 0; j < n_m; j++)
            disown_weight(m[j]);
        for (int j = 0; j < n_g; j++)
            disown_gain(g[j]);
    }
}

static bool adopt(struct backend *be, struct weights *w, const struct shape *shape,
                  struct err *err)
{
    if (adopt_all(be, w, shape, err))
        return true;
    disown(be, w);
    return false;
}

static struct vec *vec_open(struct backend *be, int n_rows, int width, struct err *err)
{
    struct vec *v = (struct vec *)calloc(1, sizeof(*v));
    size_t bytes = (size_t)n_rows * (size_t)width * sizeof(float);
    void *data = NULL;
    cudaError_t code;

    (void)be;
    code = v == NULL ? cudaErrorMemoryAllocation : cudaMalloc(&data, bytes);
    if (code != cudaSuccess) {
        fail(err, ERR_MEMORY, code, "not enough device memory for activations");
        free(v);
        return NULL;
    }
    v->data = (float *)data;
    v->n_rows = n_rows;
    v->width = width;
    return v;
}

static void vec_close(struct backend *be, struct vec *v)
{
    if (v == NULL)
        return;
    cudaStreamSynchronize(be->stream);
    cudaFree(v->data);
    free(v);
}

static void kv_close(struct backend *be, struct kv *kv)
{
    if (kv == NULL)
        return;
    cudaStreamSynchronize(be->stream);
    cudaFree(kv->k);
    cudaFree(kv->v);
    free(kv);
}

static struct kv *kv_open(struct backend *be, const struct shape *shape,
                          enum cache_type type, int ctx_tokens, struct err *err)
{
    struct kv *kv = (struct kv *)calloc(1, sizeof(*kv));
    bool mla = shape->attention == ATTENTION_MLA;
    void *k = NULL, *v = NULL;
    cudaError_t code;

    if (type == CACHE_Q8_0 || kv == NULL) {
        err_set(err, ERR_DEVICE, "the CUDA back end has no 8-bit cache");
        free(kv);
        return NULL;
    }
    kv->type = type;
    kv->ctx = ctx_tokens;
    kv->k_dim = mla ? shape_cache_width(shape) : shape_cache_width(shape) / 2;
    kv->v_dim = mla ? 0 : kv->k_dim;
    kv->elem_bytes = type == CACHE_F16 ? 2 : 4;
    size_t rows = (size_t)shape->n_layer * (size_t)ctx_tokens * kv->elem_bytes;
    code = cudaMalloc(&k, rows * (size_t)kv->k_dim);
    if (code == cudaSuccess && kv->v_dim > 0)
        code = cudaMalloc(&v, rows * (size_t)kv->v_dim);
    kv->k = (unsigned char *)k;
    kv->v = (unsigned char *)v;
    if (code != cudaSuccess) {
        fail(err, ERR_MEMORY, code, "not enough device memory for the cache; a smaller --ctx may fit");
        kv_close(be, kv);
        return NULL;
    }
    return kv;
}

static size_t kv_bytes_per_token(const struct shape *shape, enum cache_type type)
{
    return (size_t)shape->n_layer * (size_t)shape_cache_width(shape) *
           (type == CACHE_F16 ? 2 : 4);
}

static bool read_rows(struct backend *be, const struct vec *v, int row, int n_rows,
                      int width, float *host, struct err *err)
{
    note(be, cudaMemcpy2DAsync(host, (size_t)width * sizeof(float),
                               v->data + (size_t)row * (size_t)v->width,
                               (size_t)v->width * sizeof(float),
                               (size_t)width * sizeof(float), (size_t)n_rows,
                               cudaMemcpyDeviceToHost, be->stream));
    note(be, cudaStreamSynchronize(be->stream));
    if (be->fault != cudaSuccess)
        return fail(err, ERR_DEVICE, be->fault, "the CUDA device failed");
    return true;
}

static uint64_t weight_bytes_read(const struct backend *be)
{
    return be->weight_bytes;
}

extern "C" const struct backend_ops backend_cuda = {
    "cuda",       open_device, close_device, n_threads_of,       describe,
    adopt,        disown,      vec_open,     vec_close,          kv_open,
    kv_close,     kv_bytes_per_token,        cuda_embed,         cuda_rms_norm,
    cuda_matmul,  cuda_gqa_attend,           cuda_mla_attend,    cuda_ffn,
    cuda_moe,     cuda_gather, read_rows,    weight_bytes_read,
};

static struct backend *open_device(int n_threads, struct err *err)
{
    struct backend *be = NULL;
    struct cudaDeviceProp prop;
    int n = 0;
    cudaError_t code = cudaGetDeviceCount(&n);

    (void)n_threads;
    if (code != cudaSuccess || n == 0) {
        err_set(err, ERR_DEVICE, "no CUDA device: %s",
                code == cudaSuccess ? "none is there" : cudaGetErrorString(code));
        return NULL;
    }
    be = (struct backend *)calloc(1, sizeof(*be));
    code = be == NULL ? cudaErrorMemoryAllocation : cudaGetDeviceProperties(&prop, 0);
    if (code == cudaSuccess)
        code = cudaStreamCreateWithFlags(&be->stream, cudaStreamNonBlocking);
    if (code != cudaSuccess) {
        fail(err, ERR_DEVICE, code, "cannot use the CUDA device");
        free(be);
        return NULL;
    }
    be->ops = &backend_cuda;
    snprintf(be->description, sizeof(be->description), "%s, sm_%d%d", prop.name, prop.major,
             prop.minor);
    return be;
}
