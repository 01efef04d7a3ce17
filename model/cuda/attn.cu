/* SPDX-License-Identifier: MIT
 *
 * Norms, rotary embedding and attention on CUDA.
 *
 * One attention kernel serves both families: MLA in the absorbed form is a single key
 * head of kv_rank + rope_dim values, whose first kv_rank are the value too
 * (spec/decoder.md 2.3); GQA has a k and a v row for each key head. A block is one head
 * of one row; each of its warps walks every fourth position with an online softmax
 * (arXiv:1805.02867), and the warps' results are merged at the end.
 */
#include "model/cuda/decode.cuh"

/* Sum over the block of NORM_THREADS, the same in all threads. */
static __device__ float block_sum(float x)
{
    __shared__ float part[NORM_THREADS / WARP];
    float sum = 0.0f;

    x = warp_sum(x);
    if (threadIdx.x % WARP == 0)
        part[threadIdx.x / WARP] = x;
    __syncthreads();
    for (int i = 0; i < NORM_THREADS / WARP; i++)
        sum += part[i];
    __syncthreads();
    return sum;
}

static __device__ void norm_row(float *y, const float *x, const float *gain, int n,
                                float eps)
{
    float sum = 0.0f;

    for (int i = (int)threadIdx.x; i < n; i += NORM_THREADS)
        sum += x[i] * x[i];
    float scale = rsqrtf(block_sum(sum) / (float)n + eps);
    for (int i = (int)threadIdx.x; i < n; i += NORM_THREADS)
        y[i] = x[i] * scale * gain[i];
}

static __global__ void rms_norm_kernel(float *y, int y_stride, const float *x, int x_stride,
                                       const float *gain, int n, float eps)
{
    norm_row(y + (size_t)blockIdx.x * y_stride, x + (size_t)blockIdx.x * x_stride, gain, n,
             eps);
}

void cuda_rms_norm(struct backend *be, struct vec *y, const struct vec *x,
                   const struct gain *gain, float eps, int n_rows)
{
    note(be, launch(rms_norm_kernel, dim3((unsigned)n_rows), NORM_THREADS, be->stream,
                    y->data, y->width, (const float *)x->data, x->width,
                    (const float *)gain->device, gain->n, eps));
}

/* The rotary embedding as a kernel sees it. */
struct rotation {
    const float *inv_freq; /* device */
    int n_pairs, pair_stride;
    float multiplier;
};

/* Rotates pair p of the values at x for position pos. */
static __device__ void rotate_pair(const struct rotation *rot, const float *x, float *y,
                                   int p, int pos)
{
    int a = rot->pair_stride == 1 ? 2 * p : p;
    int b = a + rot->pair_stride;
    float angle = (float)pos * rot->inv_freq[p];
    float c = cosf(angle) * rot->multiplier;
    float s = sinf(angle) * rot->multiplier;
    float x0 = x[a], x1 = x[b];

    y[a] = x0 * c - x1 * s;
    y[b] = x0 * s + x1 * c;
}

/* Heads of rows of x, each at offset `at` of its x_head values, to y. Grid: row, head. */
static __global__ void rope_kernel(struct rotation rot, const float *x, int x_stride,
                                   int x_head, int x_at, float *y, int y_stride, int y_head,
                                   int y_at, const struct row_ref *rows)
{
    const float *from = x + (size_t)blockIdx.x * x_stride + (size_t)blockIdx.y * x_head + x_at;
    float *to = y + (size_t)blockIdx.x * y_stride + (size_t)blockIdx.y * y_head + y_at;

    for (int p = (int)threadIdx.x; p < rot.n_pairs; p += (int)blockDim.x)
        rotate_pair(&rot, from, to, p, rows[blockIdx.x].pos);
}

static __device__ void cache_store(unsigned char *cache, bool f16, size_t i, float x)
{
    if (f16)
        ((__half *)cache)[i] = __float2half(x);
    else
        ((float *)cache)[i] = x;
}

static __device__ float cache_load(const unsigned char *cache, bool f16, size_t i)
{
    return f16 ? __half2float(((const __half *)cache)[i]) : ((const float *)cache)[i];
}

/* Appends a row of n values of x to each row's cache. */
static __global__ void append_kernel(const struct row_ref *rows, bool to_v, bool f16,
                                     const float *x, int x_stride, int n)
{
    const struct row_ref *row = rows + blockIdx.x;

    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
        cache_store(to_v ? row->v : row->k, f16, (size_t)row->pos * n + i,
                    x[(size_t)blockIdx.x * x_stride + i]);
}

/* Norms the latent of kv_a in place and rotates the k_pe behind it. */
static __global__ void latent_kernel(struct rotation rot, float *kv_a, int stride,
                                     const float *gain, int kv_rank, float eps,
                                     const struct row_ref *rows)
{
    float *x = kv_a + (size_t)blockIdx.x * stride;

    norm_row(x, x, gain, kv_rank, eps);
    for (int p = (int)threadIdx.x; p < rot.n_pairs; p += (int)blockDim.x)
        rotate_pair(&rot, x + kv_rank, x + kv_rank, p, rows[blockIdx.x].pos);
}

struct attention {
    const float *q; /* [n_rows][n_head][key_dim] */
    int q_stride;
    int key_dim, value_dim;
    int row_k, row_v;     /* values of a cached k and v row */
    int heads_a_key_head;
    bool value_in_key;    /* MLA */
    bool f16;
    float scale;
    float *out; /* [n_rows][n_head][value_dim] */
    int out_stride;
};

/* What a warp knows after its share of the positions. */
struct partial {
    float max, sum;
    float acc[MAX_VALUE_DIM / WARP]; /* value lane + 32 j, in units of exp(-max) */
};

static __device__ void walk_positions(const struct attention *at, const struct row_ref *row,
                                      const float *q, int key_head, struct partial *p)
{
    int lane = (int)threadIdx.x % WARP;
    float query[MAX_KEY_DIM / WARP];

    for (int j = 0; j * WARP + lane < at->key_dim; j++)
        query[j] = q[j * WARP + lane] * at->scale;
    for (int t = (int)threadIdx.x / WARP; t <= row->pos; t += WARPS_A_BLOCK) {
        size_t k = (size_t)t * at->row_k + (size_t)key_head * at->key_dim;
        size_t v = at->value_in_key ? k : (size_t)t * at->row_v + (size_t)key_head * at->value_dim;
        const unsigned char *values = at->value_in_key ? row->k : row->v;
        float score = 0.0f;

        for (int j = 0; j * WARP + lane < at->key_dim; j++)
            score += query[j] * cache_load(row->k, at->f16, k + j * WARP + lane);
        score = warp_sum(score);
        float max = fmaxf(p->max, score);
        float keep = expf(p->max - max), add = expf(score - max);
        for (int j = 0; j * WARP + lane < at->value_dim; j++)
            p->acc[j] = p->acc[j] * keep +
                        add * cache_load(values, at->f16, v + j * WARP + lane);
        p->sum = p->sum * keep + add;
        p->max = max;
    }
}

static __global__ void attend_kernel(struct attention at, const struct row_ref *rows)
{
    __shared__ float max[WARPS_A_BLOCK], sum[WARPS_A_BLOCK];
    __shared__ float acc[WARPS_A_BLOCK][MAX_VALUE_DIM];
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    size_t row = blockIdx.x, head = blockIdx.y;
    struct partial p = {-INFINITY, 0.0f, {0}};

    walk_positions(&at, rows + row, at.q + row * at.q_stride + head * at.key_dim,
                   (int)head / at.heads_a_key_head, &p);
    for (int j = 0; j * WARP + lane < at.value_dim; j++)
        acc[warp][j * WARP + lane] = p.acc[j];
    if (lane == 0) {
        max[warp] = p.max;
        sum[warp] = p.sum;
    }
    __syncthreads();
    float top = max[0], total = 0.0f;
    for (int w = 1; w < WARPS_A_BLOCK; w++)
        top = fmaxf(top, max[w]);
    for (int w = 0; w < WARPS_A_BLOCK; w++)
        total += sum[w] * expf(max[w] - top);
    for (int i = (int)threadIdx.x; i < at.value_dim; i += WARPS_A_BLOCK * WARP) {
        float x = 0.0f;

        for (int w = 0; w < WARPS_A_BLOCK; w++)
            x += acc[w][i] * expf(max[w] - top);
        at.out[row * at.out_stride + head * at.value_dim + i] = x / total;
    }
}

/* The rows' places in the cache of a layer, on the device; NULL after a fault. */
static struct row_ref *place_rows(struct backend *be, const struct rows *rows, int layer)
{
    size_t bytes = (size_t)rows->n * sizeof(struct row_ref);
    struct row_ref *host = (struct row_ref *)malloc(bytes);
    struct row_ref *device = (struct row_ref *)scratch_get(be, &be->rows, bytes);

    if (host == NULL)
        note(be, cudaErrorMemoryAllocation);
    for (int i = 0; host != NULL && i < rows->n; i++) {
        const struct kv *kv = rows->kv[i];
        size_t at = (size_t)layer * (size_t)kv->ctx * kv->elem_bytes;

        host[i].k = kv->k + at * (size_t)kv->k_dim;
        host[i].v = kv->v == NULL ? NULL : kv->v + at * (size_t)kv->v_dim;
        host[i].pos = rows->pos[i];
    }
    if (host != NULL && device != NULL)
        upload(be, device, host, bytes);
    free(host);
    return be->fault == cudaSuccess ? device : NULL;
}

static struct rotation rotation_of(const struct backend *be, const struct shape *shape)
{
    struct rotation rot = {be->inv_freq, shape->rope.dim / 2, shape->rope.pair_stride,
                           shape->rope.multiplier};

    return rot;
}

static void attend(struct backend *be, const struct attention *at,
                   const struct row_ref *refs, int n_rows, int n_head)
{
    note(be, launch(attend_kernel, dim3((unsigned)n_rows, (unsigned)n_head),
                    WARPS_A_BLOCK * WARP, be->stream, *at, refs));
}

void cuda_gqa_attend(struct backend *be, struct vec *out, struct vec *q, struct vec *k,
                     const struct vec *v, const struct shape *shape, int layer,
                     const struct rows *rows)
{
    const struct row_ref *refs = place_rows(be, rows, layer);
    struct rotation rot = rotation_of(be, shape);
    dim3 grid((unsigned)rows->n);
    int d = shape->head_dim, width = shape->n_head_kv * d;
    struct attention at = {};

    if (refs == NULL)
        return;
    at.f16 = rows->kv[0]->type == CACHE_F16;
    note(be, launch(rope_kernel, dim3((unsigned)rows->n, (unsigned)shape->n_head), WARP,
                    be->stream, rot, (const float *)q->data, q->width, d, 0, q->data,
                    q->width, d, 0, refs));
    note(be, launch(rope_kernel, dim3((unsigned)rows->n, (unsigned)shape->n_head_kv), WARP,
                    be->stream, rot, (const float *)k->data, k->width, d, 0, k->data,
                    k->width, d, 0, refs));
    note(be, launch(append_kernel, grid, NORM_THREADS, be->stream, refs, false, at.f16,
                    (const float *)k->data, k->width, width));
    note(be, launch(append_kernel, grid, NORM_THREADS, be->stream, refs, true, at.f16,
                    (const float *)v->data, v->width, width));
    at.q = q->data;
    at.q_stride = q->width;
    at.key_dim = at.value_dim = d;
    at.row_k = at.row_v = width;
    at.heads_a_key_head = shape->n_head / shape->n_head_kv;
    at.scale = shape->attn_scale;
    at.out = out->data;
    at.out_stride = out->width;
    attend(be, &at, refs, rows->n, shape->n_head);
}

/* query[row][head] = [ k_b q_nope | rope(q_pe) ] */
static void absorb_query(struct backend *be, const struct vec *q, float *query,
                         const struct shape *shape, const struct layer *lw,
                         const struct row_ref *refs, int n_rows)
{
    int q_head = shape->nope_dim + shape->rope_dim;
    int wide = shape->kv_rank + shape->rope_dim;
    struct product_place at = {};

    at.x = q->data;
    at.x_stride = q->width;
    at.x_slab = q_head;
    at.y = query;
    at.y_stride = shape->n_head * wide;
    at.y_slab = wide;
    product_launch(be, &lw->k_b, &at, n_rows);
    note(be, launch(rope_kernel, dim3((unsigned)n_rows, (unsigned)shape->n_head), WARP,
                    be->stream, rotation_of(be, shape), (const float *)q->data, q->width,
                    q_head, shape->nope_dim, query, shape->n_head * wide, wide,
                    shape->kv_rank, refs));
}

void cuda_mla_attend(struct backend *be, struct vec *out, struct vec *q,
                     struct vec *kv_a, const struct shape *shape,
                     const struct layer *lw, int layer, const struct rows *rows)
{
    const struct row_ref *refs = place_rows(be, rows, layer);
    size_t n = (size_t)rows->n * (size_t)shape->n_head;
    int wide = shape->kv_rank + shape->rope_dim;
    float *query = (float *)scratch_get(be, &be->query, n * (size_t)wide * sizeof(float));
    float *latent = (float *)scratch_get(be, &be->latent,
                                         n * (size_t)shape->kv_rank * sizeof(float));
    struct attention at = {};
    struct product_place up = {};

    if (refs == NULL || query == NULL || latent == NULL)
        return;
    at.f16 = rows->kv[0]->type == CACHE_F16;
    note(be, launch(latent_kernel, dim3((unsigned)rows->n), NORM_THREADS, be->stream,
                    rotation_of(be, shape), kv_a->data, kv_a->width,
                    (const float *)lw->kv_a_norm.device, shape->kv_rank, shape->eps, refs));
    note(be, launch(append_kernel, dim3((unsigned)rows->n), NORM_THREADS, be->stream, refs,
                    false, at.f16, (const float *)kv_a->data, kv_a->width, wide));
    absorb_query(be, q, query, shape, lw, refs, rows->n);
    at.q = query;
    at.q_stride = shape->n_head * wide;
    at.key_dim = at.row_k = wide;
    at.value_dim = shape->kv_rank;
    at.value_in_key = true;
    at.heads_a_key_head = shape->n_head;
    at.scale = shape->attn_scale;
    at.out = latent;
    at.out_stride = shape->n_head * shape->kv_rank;
    attend(be, &at, refs, rows->n, shape->n_head);
    up.x = latent;
    up.x_stride = at.out_stride;
    up.x_slab = shape->kv_rank;
    up.y = out->data;
    up.y_stride = out->width;
    up.y_slab = shape->v_dim;
    product_launch(be, &lw->v_b, &up, rows->n);
}
