/* SPDX-License-Identifier: MIT
 *
 * The CPU back end: the table of operations (model/backend.h), its memory, and the
 * operations that are short. Products are in gemm.c, attention in attn.c, feed-forward
 * layers in moe.c, inner loops in kernels_*.c.
 *
 * Operations run to their end before they return. Weights are used where they lie, in
 * the mapped file. Nothing is allocated per token: scratch memory grows to what the
 * largest step needs and stays.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/cpu/cpu_priv.h"
#include "model/cpu/detect.h"
#include "src/base/mem.h"

void *scratch_get(struct backend *be, enum scratch_slot slot, size_t bytes)
{
    if (be->scratch[slot].cap < bytes) {
        free(be->scratch[slot].p);
        be->scratch[slot].p = mem_try(1, bytes, "scratch memory", NULL);
        if (be->scratch[slot].p == NULL) /* aborts, with its message */
            be->scratch[slot].p = mem_alloc(bytes);
        be->scratch[slot].cap = bytes;
    }
    return be->scratch[slot].p;
}

/* Carves `bytes` out of *at, 64-aligned. */
static void *carve(unsigned char **at, size_t bytes)
{
    void *p = *at;

    *at += (bytes + 63) / 64 * 64;
    return p;
}

static bool thread_scratch_init(struct thread_scratch *t, struct err *err)
{
    const size_t r = PANEL_ROWS_MAX;
    const size_t q = r * PANEL_K, scales = r * (PANEL_K / 16) * sizeof(float);
    const size_t cross = r * (PANEL_K_WIDE / 16) * sizeof(int32_t);
    const size_t f32 = r * PANEL_K_F32 * sizeof(float);
    unsigned char *at =
        mem_try(1, q + 2 * scales + cross + f32, "unpacked weights", err);

    if (at == NULL)
        return false;
    t->memory = at;
    t->panel.q = carve(&at, q);
    t->panel.scale = carve(&at, scales);
    t->panel.min = carve(&at, scales);
    t->panel.cross = carve(&at, cross);
    t->panel_f32 = carve(&at, f32);
    return true;
}

static void cpu_close(struct backend *be)
{
    int n;

    if (be == NULL)
        return;
    n = be->pool != NULL && be->thread != NULL ? pool_n_threads(be->pool) : 0;
    pool_close(be->pool);
    for (int i = 0; i < n; i++) {
        free(be->thread[i].memory);
        free(be->thread[i].attend);
    }
    for (int i = 0; i < SCRATCH_SLOTS; i++)
        free(be->scratch[i].p);
    blas_close(&be->blas);
    free(be->thread);
    free(be);
}

static struct backend *cpu_open(int n_threads, struct err *err)
{
    struct backend *be = mem_zalloc(sizeof(*be));

    be->ops = &backend_cpu;
    be->kernels = detect_kernels(err);
    if (be->kernels == NULL)
        goto fail;
    if (be->kernels->gemm == NULL)
        blas_open(&be->blas); /* else the panels of gemm.c */
    be->wide[ACT_INT16] = be->kernels->int16;
    be->wide[ACT_BF16] = detect_bf16(be->kernels);
    be->pool = pool_open(n_threads, err);
    if (be->pool == NULL)
        goto fail;
    n_threads = pool_n_threads(be->pool);
    be->thread = mem_array((size_t)n_threads, sizeof(be->thread[0]));
    for (int i = 0; i < n_threads; i++)
        if (!thread_scratch_init(&be->thread[i], err))
            goto fail;
    return be;
fail:
    cpu_close(be);
    return NULL;
}

static int cpu_n_threads(const struct backend *be)
{
    return pool_n_threads(be->pool);
}

static const char *cpu_describe(const struct backend *be)
{
    return be->kernels->features;
}

/* Tells the system that a weight will be read: a hint, whose failure changes nothing.
 */
static void advise(const struct weight *w)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t at, end;

    if (w->data == NULL)
        return;
    at = (uintptr_t)w->data / page * page;
    end = (uintptr_t)w->data + (size_t)w->n_slab * w->slab_bytes;
    (void)madvise((void *)at, end - at, MADV_WILLNEED); /* NOLINT: page address */
}

/* Below this many parameters activations keep 16 bits. The answers of small models hang
 * on small leads (SmolLM2 135M begins another sentence with 8 bits, here and in
 * llama.cpp), and their products are cheap; large ones are neither. */
enum { RESIDUAL_PARAMS = 1000 * 1000 * 1000 };

static bool cpu_adopt(struct backend *be, struct weights *w, const struct shape *shape,
                      struct err *err)
{
    int bits = w->n_params < RESIDUAL_PARAMS ? 16 : 8;

    (void)shape;
    if (!detect_activation_bits(&bits, err))
        return false;
    be->residual = bits == 16;
    advise(&w->embed);
    advise(&w->head);
    for (int i = 0; i < w->n_layer; i++) {
        const struct layer *l = &w->layer[i];
        const struct weight *all[] = {
            &l->q,         &l->k,          &l->v,        &l->q_a,        &l->q_b,
            &l->kv_a,      &l->k_b,        &l->v_b,      &l->out,        &l->gate,
            &l->up,        &l->down,       &l->router,   &l->gate_exps,  &l->up_exps,
            &l->down_exps, &l->gate_shexp, &l->up_shexp, &l->down_shexp,
        };
        for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
            advise(all[j]);
    }
    return true;
}

static void cpu_disown(struct backend *be, struct weights *w)
{
    (void)be;
    (void)w;
}

static void cpu_embed(struct backend *be, struct vec *y, const struct weight *table,
                      const int32_t *id, int n_rows)
{
    for (int r = 0; r < n_rows; r++)
        table->type->to_f32(table->data + (size_t)id[r] * table->row_bytes,
                            vec_row(y, r), table->n_in);
    be->weight_bytes += (uint64_t)n_rows * table->row_bytes;
}

struct norm_task {
    const struct cpu_kernels *kernels;
    struct vec *y;
    const struct vec *x;
    const struct gain *gain;
    float eps;
};

static void norm_unit(void *ctx, int unit, int thread)
{
    const struct norm_task *t = ctx;

    (void)thread;
    t->kernels->rms_norm(vec_row(t->y, unit), vec_row(t->x, unit), t->gain->data,
                         t->gain->n, t->eps);
}

static void cpu_rms_norm(struct backend *be, struct vec *y, const struct vec *x,
                         const struct gain *gain, float eps, int n_rows)
{
    struct norm_task t = {be->kernels, y, x, gain, eps};

    pool_run(be->pool, norm_unit, &t, n_rows);
}

static void cpu_matmul(struct backend *be, const struct product *p, int n_products,
                       const struct vec *x, int n_rows)
{
    enum { AT_ONCE = 8 };
    struct job job[AT_ONCE];
    unsigned forms = 0;
    struct act a;

    for (int i = 0; i < n_products; i++)
        forms |= gemm_forms(be, p[i].w->type, n_rows);
    a = gemm_act(be, SCRATCH_ACT, x->data, (size_t)x->width, p[0].w->n_in, n_rows,
                 forms);
    for (int i = 0; i < n_products; i += AT_ONCE) {
        int n = n_products - i < AT_ONCE ? n_products - i : AT_ONCE;
        for (int j = 0; j < n; j++) {
            const struct product *one = &p[i + j];
            job[j] =
                gemm_job(one->w, 0, a, n_rows, one->y->data, (size_t)one->y->width);
            job[j].add = one->add;
            job[j].bias = one->bias != NULL ? one->bias->data : NULL;
        }
        gemm_run(be, job, n);
    }
}

static uint64_t cpu_weight_bytes_read(const struct backend *be)
{
    return be->weight_bytes;
}

const struct backend_ops backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .n_threads = cpu_n_threads,
    .describe = cpu_describe,
    .adopt = cpu_adopt,
    .disown = cpu_disown,
    .vec_open = host_vec_open,
    .vec_close = host_vec_close,
    .kv_open = attn_kv_open,
    .kv_close = attn_kv_close,
    .kv_bytes_per_token = attn_kv_bytes_per_token,
    .embed = cpu_embed,
    .rms_norm = cpu_rms_norm,
    .matmul = cpu_matmul,
    .gqa_attend = attn_gqa,
    .mla_attend = attn_mla,
    .ffn = moe_ffn,
    .moe = moe_experts,
    .gather = host_vec_gather,
    .read = host_vec_read,
    .weight_bytes_read = cpu_weight_bytes_read,
};
