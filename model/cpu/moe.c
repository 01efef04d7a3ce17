/* SPDX-License-Identifier: MIT
 *
 * Feed-forward layers on the CPU: dense, and mixtures of experts (spec/decoder.md 2.6).
 *
 * Rows are sorted by the experts that were chosen for them, so that each expert's
 * weights are read once a step; the products of all experts and of the shared one are
 * one list of work for the threads, first gate and up, then down. Each expert's result
 * has a place of its own and rows add theirs up in the order of the choice: results do
 * not depend on the order of the work.
 */
#include "config.h"

#include <string.h>

#include "model/cpu/cpu_priv.h"

/* ---- what both kinds share ---- */

/* gate = silu(gate) * up for rows of `width`, and their records. */
struct hidden_task {
    const struct backend *be;
    float *gate;
    const float *up;
    struct act a;
    unsigned char *memory;
};

static void hidden_unit(void *ctx, int row, int thread)
{
    const struct hidden_task *t = ctx;
    size_t at = (size_t)row * (size_t)t->a.n_in;

    (void)thread;
    t->be->kernels->swiglu(t->gate + at, t->gate + at, t->up + at, t->a.n_in);
    gemm_fill(t->be, &t->a, row, t->memory);
}

/* The hidden rows as activations in these forms. memory: for the records. */
static struct act hidden(struct backend *be, float *gate, const float *up, int width,
                         int n_rows, unsigned forms, unsigned char *memory)
{
    struct hidden_task t = {.be = be, .gate = gate, .up = up, .memory = memory};

    t.a = gemm_place(be, gate, (size_t)width, width, n_rows, forms, memory);
    pool_run(be->pool, hidden_unit, &t, n_rows);
    return t.a;
}

/* What two products of the same n_rows rows read. */
static unsigned two_forms(const struct backend *be, const struct weight *a,
                          const struct weight *b, int n_rows)
{
    return gemm_forms(be, a->type, n_rows) | gemm_forms(be, b->type, n_rows);
}

/* ---- dense ---- */

void moe_ffn(struct backend *be, struct vec *y, const struct vec *x,
             const struct layer *lw, const struct shape *shape, int n_rows)
{
    size_t n = (size_t)n_rows * (size_t)shape->ffn;
    unsigned forms = gemm_forms(be, lw->down.type, n_rows);
    size_t record = gemm_record_bytes(be, shape->ffn, forms);
    float *gate = scratch_get(be, SCRATCH_GATE, n * sizeof(float));
    float *up = scratch_get(be, SCRATCH_UP, n * sizeof(float));
    unsigned char *memory = scratch_get(be, SCRATCH_HIDDEN, (size_t)n_rows * record);
    struct act a = gemm_act(be, SCRATCH_ACT, x->data, (size_t)x->width, shape->hidden,
                            n_rows, two_forms(be, &lw->gate, &lw->up, n_rows));
    struct job job[2] = {
        gemm_job(&lw->gate, 0, a, n_rows, gate, (size_t)shape->ffn),
        gemm_job(&lw->up, 0, a, n_rows, up, (size_t)shape->ffn),
    };

    gemm_run(be, job, 2);
    a = hidden(be, gate, up, shape->ffn, n_rows, forms, memory);
    job[0] = gemm_job(&lw->down, 0, a, n_rows, y->data, (size_t)y->width);
    job[0].add = true;
    gemm_run(be, job, 1);
}

/* ---- experts ---- */

/* One step of one layer. "Slot" i: the place of a (row, expert) pair in the order of
 * experts; those of expert e are first[e] .. first[e + 1] - 1. */
struct moe {
    struct backend *be;
    const struct layer *lw;
    const struct shape *shape;
    int n_rows, used, n_slots;
    int shared_width; /* of the shared expert; 0: none */
    struct act x;     /* by row */

    float *logits;   /* [n_rows][n_expert] */
    float *weight;   /* [n_rows][used] */
    int32_t *expert; /* [n_rows][used] */
    int32_t *slot;   /* [n_rows][used] */
    int32_t *row;    /* [n_slots] */
    int32_t *first;  /* [n_expert + 1] */

    struct act by_slot; /* the rows that each slot reads, in this memory: */
    unsigned char *sorted;
    float *sorted_x;       /* or NULL */
    float *gate, *up;      /* [n_slots][width], then [n_rows][shared_width] */
    unsigned char *record; /* the same, quantised */
    size_t shared_at, shared_record_at;
    unsigned forms, shared_forms; /* of what down reads */
    float *down;                  /* [n_slots][hidden] */
};

static void open_route(struct moe *m)
{
    size_t logits = (size_t)m->n_rows * (size_t)m->shape->n_expert;
    size_t slots = (size_t)m->n_slots, experts = (size_t)m->shape->n_expert;
    unsigned char *at =
        scratch_get(m->be, SCRATCH_ROUTE, 4 * (logits + 4 * slots + experts + 1));

    m->logits = (float *)(void *)at;
    m->weight = m->logits + logits;
    m->expert = (int32_t *)(void *)(m->weight + slots);
    m->slot = m->expert + slots;
    m->row = m->slot + slots;
    m->first = m->row + slots;
}

/* Which experts each row goes to. Leaves the rows as activations in m->x, in the forms
 * that any of the layer's products reads. */
static void route_rows(struct moe *m, const struct vec *x)
{
    const struct gain *bias = &m->lw->router_bias;
    const struct layer *lw = m->lw;
    size_t n_expert = (size_t)m->shape->n_expert;
    unsigned forms = gemm_forms(m->be, lw->router.type, m->n_rows) |
                     two_forms(m->be, &lw->gate_exps, &lw->up_exps, m->n_rows);
    struct job job;

    if (m->shared_width > 0)
        forms |= two_forms(m->be, &lw->gate_shexp, &lw->up_shexp, m->n_rows);
    m->x = gemm_act(m->be, SCRATCH_ACT, x->data, (size_t)x->width, m->shape->hidden,
                    m->n_rows, forms);
    job = gemm_job(&lw->router, 0, m->x, m->n_rows, m->logits, n_expert);
    gemm_run(m->be, &job, 1);
    for (int r = 0; r < m->n_rows; r++)
        router_choose(m->shape, m->logits + (size_t)r * n_expert,
                      bias->n > 0 ? bias->data : NULL, m->expert + r * m->used,
                      m->weight + r * m->used);
}

/* Gives each pair its slot: a counting sort, rows in order within an expert. */
static void sort_slots(struct moe *m)
{
    int n_expert = m->shape->n_expert;

    memset(m->first, 0, ((size_t)n_expert + 1) * sizeof(m->first[0]));
    for (int i = 0; i < m->n_slots; i++)
        m->first[m->expert[i] + 1]++;
    for (int e = 0; e < n_expert; e++)
        m->first[e + 1] += m->first[e];
    for (int i = 0; i < m->n_slots; i++) {
        int slot = m->first[m->expert[i]]++; /* becomes the expert's end */
        m->slot[i] = slot;
        m->row[slot] = i / m->used;
    }
    memmove(m->first + 1, m->first, (size_t)n_expert * sizeof(m->first[0]));
    m->first[0] = 0;
}

static void gather_unit(void *ctx, int slot, int thread)
{
    const struct moe *m = ctx;
    const struct act *from = &m->x, *to = &m->by_slot;

    (void)thread;
    for (int f = 0; f < ACT_FORMS; f++) {
        const unsigned char *q = to->form[f].q;
        size_t stride = to->form[f].q_stride;

        if (q != NULL)
            memcpy(m->sorted + (q - m->sorted) + (size_t)slot * stride,
                   from->form[f].q + (size_t)m->row[slot] * stride, stride);
    }
    if (m->sorted_x != NULL)
        memcpy(m->sorted_x + (size_t)slot * to->x_stride,
               from->x + (size_t)m->row[slot] * from->x_stride,
               (size_t)to->n_in * sizeof(float));
}

/* Brings the rows into the order of the slots, in the forms that the experts' products
 * read. With one row, every slot is that row. Returns them as activations. */
static struct act sort_rows(struct moe *m)
{
    const struct weight *gate = &m->lw->gate_exps, *up = &m->lw->up_exps;
    unsigned forms = two_forms(m->be, gate, up, m->n_rows);
    size_t slots = (size_t)m->n_slots;
    int n_in = m->x.n_in;

    if (m->n_rows == 1) {
        struct act a = m->x;

        a.x_stride = 0;
        for (int f = 0; f < ACT_FORMS; f++)
            a.form[f].q_stride = 0;
        return a;
    }
    m->sorted = scratch_get(m->be, SCRATCH_SORTED,
                            slots * gemm_record_bytes(m->be, n_in, forms));
    if (gemm_forms(m->be, gate->type, m->n_rows) == 0 ||
        gemm_forms(m->be, up->type, m->n_rows) == 0)
        m->sorted_x = scratch_get(m->be, SCRATCH_SORTED_F32,
                                  slots * (size_t)n_in * sizeof(float));
    m->by_slot = gemm_place(m->be, m->sorted_x != NULL ? m->sorted_x : m->x.x,
                            (size_t)n_in, n_in, m->n_slots, forms, m->sorted);
    pool_run(m->be->pool, gather_unit, m, m->n_slots);
    return m->by_slot;
}

/* One product for each expert that has slots, from row `first[e]` of a to that of y. */
static int expert_jobs(const struct moe *m, const struct weight *w, struct act a,
                       float *y, struct job *job)
{
    int n = 0;

    for (int e = 0; e < m->shape->n_expert; e++) {
        int first = m->first[e], n_rows = m->first[e + 1] - first;

        if (n_rows > 0)
            job[n++] = gemm_job(w, e, act_rows(a, first, 1), n_rows,
                                y + (size_t)first * (size_t)w->n_out, (size_t)w->n_out);
    }
    return n;
}

struct combine_task {
    const struct moe *m;
    struct vec *y;
};

/* y += sum of weight * what the expert gave, in the order of the choice */
static void combine_unit(void *ctx, int row, int thread)
{
    const struct combine_task *t = ctx;
    const struct moe *m = t->m;
    int hidden_width = m->shape->hidden;

    (void)thread;
    for (int k = 0; k < m->used; k++) {
        int i = row * m->used + k;
        m->be->kernels->axpy(vec_row(t->y, row), m->weight[i],
                             m->down + (size_t)m->slot[i] * (size_t)hidden_width,
                             hidden_width);
    }
}

/* Memory for what lies between up and down: experts' slots, then the shared one's rows,
 * whose width is another. */
static void open_hidden(struct moe *m)
{
    size_t slots = (size_t)m->n_slots, rows = (size_t)m->n_rows;
    size_t width = (size_t)m->lw->gate_exps.n_out, shared = (size_t)m->shared_width;
    size_t n = slots * width + rows * shared, records;

    m->gate = scratch_get(m->be, SCRATCH_GATE, n * sizeof(float));
    m->up = scratch_get(m->be, SCRATCH_UP, n * sizeof(float));
    m->shared_at = slots * width;
    m->forms = gemm_forms(m->be, m->lw->down_exps.type, m->n_rows);
    m->shared_record_at = slots * gemm_record_bytes(m->be, (int)width, m->forms);
    records = m->shared_record_at;
    if (shared > 0) {
        m->shared_forms = gemm_forms(m->be, m->lw->down_shexp.type, m->n_rows);
        records += rows * gemm_record_bytes(m->be, (int)shared, m->shared_forms);
    }
    m->record = scratch_get(m->be, SCRATCH_HIDDEN, records);
    m->down = scratch_get(m->be, SCRATCH_DOWN,
                          slots * (size_t)m->shape->hidden * sizeof(float));
}

/* gate and up of the chosen experts and of the shared one. */
static void run_inner(struct moe *m, struct job *job)
{
    const struct layer *lw = m->lw;
    struct act sorted = sort_rows(m);
    int n = expert_jobs(m, &lw->gate_exps, sorted, m->gate, job);

    n += expert_jobs(m, &lw->up_exps, sorted, m->up, job + n);
    if (m->shared_width > 0) {
        size_t width = (size_t)m->shared_width;
        job[n++] = gemm_job(&lw->gate_shexp, 0, m->x, m->n_rows, m->gate + m->shared_at,
                            width);
        job[n++] =
            gemm_job(&lw->up_shexp, 0, m->x, m->n_rows, m->up + m->shared_at, width);
    }
    gemm_run(m->be, job, n);
}

/* down of the same; the shared one's goes to y at once. */
static void run_down(struct moe *m, struct vec *y, struct job *job)
{
    const struct layer *lw = m->lw;
    struct act a = hidden(m->be, m->gate, m->up, lw->gate_exps.n_out, m->n_slots,
                          m->forms, m->record);
    int n = expert_jobs(m, &lw->down_exps, a, m->down, job);

    if (m->shared_width > 0) {
        a = hidden(m->be, m->gate + m->shared_at, m->up + m->shared_at, m->shared_width,
                   m->n_rows, m->shared_forms, m->record + m->shared_record_at);
        job[n] = gemm_job(&lw->down_shexp, 0, a, m->n_rows, y->data, (size_t)y->width);
        job[n++].add = true;
    }
    gemm_run(m->be, job, n);
}

void moe_experts(struct backend *be, struct vec *y, const struct vec *x,
                 const struct layer *lw, const struct shape *shape, int n_rows,
                 struct route *route)
{
    struct moe m = {
        .be = be,
        .lw = lw,
        .shape = shape,
        .n_rows = n_rows,
        .used = shape->n_expert_used,
        .n_slots = n_rows * shape->n_expert_used,
        .shared_width = lw->gate_shexp.data != NULL ? lw->gate_shexp.n_out : 0,
    };
    struct combine_task combine = {&m, y};
    struct job *job = scratch_get(
        be, SCRATCH_JOBS, (2 * (size_t)shape->n_expert + 2) * sizeof(struct job));

    open_route(&m);
    route_rows(&m, x);
    sort_slots(&m);
    open_hidden(&m);
    run_inner(&m, job);
    run_down(&m, y, job);
    pool_run(be->pool, combine_unit, &combine, n_rows);
    if (route != NULL) {
        memcpy(route->expert, m.expert, (size_t)m.n_slots * sizeof(m.expert[0]));
        memcpy(route->weight, m.weight, (size_t)m.n_slots * sizeof(m.weight[0]));
    }
}
