/* SPDX-License-Identifier: MIT
 *
 * Products with weights on CUDA: embedding, matrix products, dense and routed FFN.
 *
 * A warp makes one output row: its lanes decode 256 weights in a step and multiply them
 * with up to ROWS_A_WARP rows of activations, in float32. Routing is chosen on the host
 * by router_choose, so that one piece of code decides for every back end; it costs one
 * synchronisation a layer.
 */
#include "model/cuda/decode.cuh"

static __global__ void product_kernel(struct matrix w, struct product_place at, int n_rows)
{
    int lane = (int)threadIdx.x % WARP;
    int o = (int)blockIdx.x * WARPS_A_BLOCK + (int)threadIdx.x / WARP;
    int row0 = (int)blockIdx.y * ROWS_A_WARP;
    int slab = (int)blockIdx.z;
    int n = n_rows - row0 < ROWS_A_WARP ? n_rows - row0 : ROWS_A_WARP;
    float acc[ROWS_A_WARP] = {0};

    if (o >= w.n_out)
        return;
    const uint8_t *row = w.data + (size_t)slab * w.slab_bytes + (size_t)o * w.row_bytes;
    const float *x = at.x + (size_t)row0 * at.x_stride + (size_t)slab * at.x_slab;
    for (int i = lane * 8; i < w.n_in; i += WARP * 8) {
        float v[8];

        decode8(row, w.type, i, v);
        for (int r = 0; r < n; r++)
            for (int j = 0; j < 8; j++)
                acc[r] += v[j] * x[(size_t)r * at.x_stride + i + j];
    }
    for (int r = 0; r < n; r++) {
        float sum = warp_sum(acc[r]);
        float *y = at.y + (size_t)(row0 + r) * at.y_stride + (size_t)slab * at.y_slab + o;

        if (lane == 0) {
            sum += at.bias == NULL ? 0.0f : at.bias[o];
            *y = at.add ? *y + sum : sum;
        }
    }
}

static unsigned blocks_for(int n, int per_block)
{
    return (unsigned)((n + per_block - 1) / per_block);
}

void product_launch(struct backend *be, const struct weight *w,
                    const struct product_place *at, int n_rows)
{
    dim3 grid(blocks_for(w->n_out, WARPS_A_BLOCK), blocks_for(n_rows, ROWS_A_WARP),
              (unsigned)w->n_slab);

    note(be, launch(product_kernel, grid, WARPS_A_BLOCK * WARP, be->stream, matrix_of(w),
                    *at, n_rows));
    be->weight_bytes += (uint64_t)w->n_slab * (uint64_t)w->n_out * w->row_bytes;
}

void cuda_matmul(struct backend *be, const struct product *p, int n_products,
                 const struct vec *x, int n_rows)
{
    for (int i = 0; i < n_products; i++) {
        struct product_place at;

        at.x = x->data;
        at.x_stride = x->width;
        at.x_slab = 0;
        at.y = p[i].y->data;
        at.y_stride = p[i].y->width;
        at.y_slab = 0;
        at.bias = p[i].bias == NULL ? NULL : (const float *)p[i].bias->device;
        at.add = p[i].add;
        product_launch(be, p[i].w, &at, n_rows);
    }
}

static __global__ void embed_kernel(struct matrix table, const int32_t *id, float *y,
                                    int y_stride)
{
    int row = (int)blockIdx.x;
    const uint8_t *from = table.data + (size_t)id[row] * table.row_bytes;

    for (int i = (int)threadIdx.x * 8; i < table.n_in; i += (int)blockDim.x * 8)
        decode8(from, table.type, i, y + (size_t)row * y_stride + i);
}

/* Ids or row numbers of the host, on the device. */
static int32_t *upload_ids(struct backend *be, const int32_t *id, int n)
{
    size_t bytes = (size_t)n * sizeof(*id);
    int32_t *device = (int32_t *)scratch_get(be, &be->ids, bytes);

    if (device != NULL)
        upload(be, device, id, bytes);
    return device;
}

void cuda_embed(struct backend *be, struct vec *y, const struct weight *table,
                const int32_t *id, int n_rows)
{
    int32_t *ids = upload_ids(be, id, n_rows);

    if (ids != NULL)
        note(be, launch(embed_kernel, dim3((unsigned)n_rows), NORM_THREADS, be->stream,
                        matrix_of(table), (const int32_t *)ids, y->data, y->width));
}

static __global__ void gather_kernel(const float *x, int width, const int32_t *row, float *y)
{
    size_t from = (size_t)row[blockIdx.x] * width;
    size_t to = (size_t)blockIdx.x * width;

    for (int i = (int)threadIdx.x; i < width; i += (int)blockDim.x)
        y[to + i] = x[from + i];
}

void cuda_gather(struct backend *be, struct vec *y, const struct vec *x,
                 const int32_t *row, int n_rows)
{
    int32_t *rows = upload_ids(be, row, n_rows);

    if (rows != NULL)
        note(be, launch(gather_kernel, dim3((unsigned)n_rows), NORM_THREADS, be->stream,
                        (const float *)x->data, x->width, (const int32_t *)rows, y->data));
}

/* Which expert, with which weight, a slot of a row uses: [n_rows][n_slot]. */
struct choice {
    const int32_t *expert; /* NULL: matrix 0 for all, weight 1 */
    const float *weight;
    int n_slot;
};

/* hidden[row * n_slot + slot][f] = silu(gate x) * (up x) */
static __global__ void gate_up_kernel(struct matrix gate, struct matrix up, const float *x,
                                      int x_stride, struct choice choice, float *hidden)
{
    int lane = (int)threadIdx.x % WARP;
    int f = (int)blockIdx.x * WARPS_A_BLOCK + (int)threadIdx.x / WARP;
    size_t place = blockIdx.y;
    float g = 0.0f, u = 0.0f;

    if (f >= gate.n_out)
        return;
    int e = choice.expert == NULL ? 0 : choice.expert[place];
    const uint8_t *gate_row = gate.data + (size_t)e * gate.slab_bytes + (size_t)f * gate.row_bytes;
    const uint8_t *up_row = up.data + (size_t)e * up.slab_bytes + (size_t)f * up.row_bytes;
    x += place / choice.n_slot * x_stride;
    for (int i = lane * 8; i < gate.n_in; i += WARP * 8) {
        float a[8], b[8];

        decode8(gate_row, gate.type, i, a);
        decode8(up_row, up.type, i, b);
        for (int j = 0; j < 8; j++) {
            g += a[j] * x[i + j];
            u += b[j] * x[i + j];
        }
    }
    g = warp_sum(g);
    u = warp_sum(u);
    if (lane == 0)
        hidden[place * gate.n_out + f] = g / (1.0f + expf(-g)) * u;
}

/* y[row][o] += sum over slots of weight * (down hidden) */
static __global__ void down_kernel(struct matrix down, const float *hidden,
                                   struct choice choice, float *y, int y_stride)
{
    int lane = (int)threadIdx.x % WARP;
    int o = (int)blockIdx.x * WARPS_A_BLOCK + (int)threadIdx.x / WARP;
    size_t row = blockIdx.y;
    float sum = 0.0f;

    if (o >= down.n_out)
        return;
    for (int slot = 0; slot < choice.n_slot; slot++) {
        size_t place = row * choice.n_slot + slot;
        int e = choice.expert == NULL ? 0 : choice.expert[place];
        const uint8_t *from = down.data + (size_t)e * down.slab_bytes + (size_t)o * down.row_bytes;
        const float *h = hidden + place * down.n_in;
        float part = 0.0f;

        for (int i = lane * 8; i < down.n_in; i += WARP * 8) {
            float v[8];

            decode8(from, down.type, i, v);
            for (int j = 0; j < 8; j++)
                part += v[j] * h[i + j];
        }
        sum += choice.expert == NULL ? part : choice.weight[place] * part;
    }
    sum = warp_sum(sum);
    if (lane == 0)
        y[row * y_stride + o] += sum;
}

/* One FFN, or the chosen ones of many. */
static void run_ffn(struct backend *be, struct vec *y, const struct vec *x,
                    const struct weight *gate, const struct weight *up,
                    const struct weight *down, struct choice choice, int n_rows)
{
    size_t places = (size_t)n_rows * (size_t)choice.n_slot;
    float *hidden = (float *)scratch_get(be, &be->hidden,
                                         places * (size_t)gate->n_out * sizeof(float));

    if (hidden == NULL)
        return;
    note(be, launch(gate_up_kernel,
                    dim3(blocks_for(gate->n_out, WARPS_A_BLOCK), (unsigned)places),
                    WARPS_A_BLOCK * WARP, be->stream, matrix_of(gate), matrix_of(up),
                    (const float *)x->data, x->width, choice, hidden));
    note(be, launch(down_kernel,
                    dim3(blocks_for(down->n_out, WARPS_A_BLOCK), (unsigned)n_rows),
                    WARPS_A_BLOCK * WARP, be->stream, matrix_of(down),
                    (const float *)hidden, choice, y->data, y->width));
    be->weight_bytes += places * ((uint64_t)gate->n_out * gate->row_bytes +
                                  (uint64_t)up->n_out * up->row_bytes +
                                  (uint64_t)down->n_out * down->row_bytes);
}

void cuda_ffn(struct backend *be, struct vec *y, const struct vec *x,
              const struct layer *lw, const struct shape *shape, int n_rows)
{
    struct choice one = {NULL, NULL, 1};

    (void)shape;
    run_ffn(be, y, x, &lw->gate, &lw->up, &lw->down, one, n_rows);
}

/* Router logits to the host, the choice back to the device. False after a fault. */
static bool choose(struct backend *be, const struct vec *x, const struct layer *lw,
                   const struct shape *shape, int n_rows, struct route *route,
                   struct choice *out)
{
    size_t n_score = (size_t)n_rows * (size_t)shape->n_expert;
    size_t n_used = (size_t)n_rows * (size_t)shape->n_expert_used;
    float *logits = (float *)scratch_get(be, &be->logits, n_score * sizeof(float));
    char *device = (char *)scratch_get(be, &be->choice, n_used * 8);
    float *score = (float *)malloc(n_score * sizeof(float) + n_used * 8);
    struct product_place at = {};

    if (logits == NULL || device == NULL || score == NULL) {
        note(be, cudaErrorMemoryAllocation);
        free(score);
        return false;
    }
    float *weight = score + n_score;
    int32_t *expert = (int32_t *)(weight + n_used);
    at.x = x->data;
    at.x_stride = x->width;
    at.y = logits;
    at.y_stride = shape->n_expert;
    product_launch(be, &lw->router, &at, n_rows);
    note(be, cudaMemcpyAsync(score, logits, n_score * sizeof(float),
                             cudaMemcpyDeviceToHost, be->stream));
    note(be, cudaStreamSynchronize(be->stream));
    for (int r = 0; r < n_rows && be->fault == cudaSuccess; r++)
        router_choose(shape, score + (size_t)r * shape->n_expert,
                      lw->router_bias.n > 0 ? lw->router_bias.data : NULL,
                      expert + (size_t)r * shape->n_expert_used,
                      weight + (size_t)r * shape->n_expert_used);
    if (be->fault == cudaSuccess) {
        upload(be, device, weight, n_used * 8);
        if (route != NULL) {
            memcpy(route->expert, expert, n_used * sizeof(*expert));
            memcpy(route->weight, weight, n_used * sizeof(*weight));
        }
    }
    free(score);
    out->weight = (const float *)device;
    out->expert = (const int32_t *)(device + n_used * sizeof(float));
    out->n_slot = shape->n_expert_used;
    return be->fault == cudaSuccess;
}

void cuda_moe(struct backend *be, struct vec *y, const struct vec *x,
              const struct layer *lw, const struct shape *shape, int n_rows,
              struct route *route)
{
    struct choice chosen, one = {NULL, NULL, 1};

    if (!choose(be, x, lw, shape, n_rows, route, &chosen))
        return;
    run_ffn(be, y, x, &lw->gate_exps, &lw->up_exps, &lw->down_exps, chosen, n_rows);
    if (lw->gate_shexp.data != NULL)
        run_ffn(be, y, x, &lw->gate_shexp, &lw->up_shexp, &lw->down_shexp, one, n_rows);
}
