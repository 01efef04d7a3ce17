/* SPDX-License-Identifier: MIT
 *
 * Products of weights and activations: divides them into units for the pool, and takes
 * for each the kernel that suits the number of rows.
 *
 * A unit is a range of rows of one weight, computed by one thread for all rows of
 * activations: a weight is read once, and no result depends on how many threads there
 * are. Up to MATVEC_COLS rows of activations go through matvec one by one (the range is
 * still in the cache then); more go through panels, whose sums run in another order, so
 * that a row alone and the same row in a batch agree to rounding only.
 *
 * OpenBLAS multiplies for processors that have no kernels of their own here (the scalar
 * table): many times what plain C does. The AVX2 and AVX-512 kernels are faster than it
 * (Zen 4, float, 2048 x 2048 by 16 / 256 rows: 59 / 54 against 16 / 45 G products a
 * second), so that it is not asked there.
 */
#include "config.h"

#include <string.h>

#include "model/cpu/cpu_priv.h"
#include "src/base/mem.h"

enum {
    MATVEC_COLS = 3,
    UNIT_BYTES = 32 * 1024, /* of weights in a matvec unit */
    ROW_STEP = 8,           /* rows that a matvec kernel likes to take at once */
    BLAS_COLS = 8,          /* rows of activations from which on OpenBLAS pays */
};

/* The best of the forms `offered`, as bits, for products with this type; ACT_FORMS:
 * floats. */
static enum act_form best_form(const struct backend *be, const struct quant_type *type,
                               unsigned offered)
{
    const struct wide_kernels *int16 = be->wide[ACT_INT16];

    if (be->kernels->pack[type->type] != NULL)
        return offered >> ACT_INT16 & 1 && (be->residual || (int16->pays != NULL &&
                                                             int16->pays[type->type]))
                   ? ACT_INT16
                   : ACT_INT8;
    for (int f = ACT_BF16; f > ACT_INT8 && !be->residual; f--)
        if (offered >> f & 1 && be->wide[f]->pack[type->type] != NULL)
            return (enum act_form)f;
    return ACT_FORMS;
}

unsigned gemm_forms(const struct backend *be, const struct quant_type *type, int n_rows)
{
    unsigned offered = 1u << ACT_INT8;
    enum act_form form;

    for (int f = ACT_INT8 + 1; f < ACT_FORMS && n_rows > MATVEC_COLS; f++)
        offered |= be->wide[f] != NULL ? 1u << f : 0;
    form = best_form(be, type, offered);
    return form == ACT_FORMS ? 0 : 1u << form;
}

static size_t record_bytes(const struct backend *be, int n_pad, int form)
{
    if (form == ACT_INT8)
        return act_record_bytes(n_pad) * (be->residual ? 2 : 1);
    return be->wide[form]->record_bytes(n_pad);
}

size_t gemm_record_bytes(const struct backend *be, int n_in, unsigned forms)
{
    size_t bytes = 0;

    for (int f = 0; f < ACT_FORMS; f++)
        if (forms >> f & 1)
            bytes += record_bytes(be, act_padded(n_in), f);
    return bytes;
}

struct act gemm_place(const struct backend *be, const float *x, size_t x_stride,
                      int n_in, int n_rows, unsigned forms, unsigned char *memory)
{
    struct act a = {
        .n_in = n_in, .n_pad = act_padded(n_in), .x = x, .x_stride = x_stride};

    for (int f = 0; f < ACT_FORMS; f++)
        if (forms >> f & 1) {
            a.form[f].q = memory;
            a.form[f].q_stride = record_bytes(be, a.n_pad, f);
            memory += (size_t)n_rows * a.form[f].q_stride;
        }
    return a;
}

void gemm_fill(const struct backend *be, const struct act *a, int row,
               unsigned char *memory)
{
    const float *x = a->x + (size_t)row * a->x_stride;
    const size_t bytes = act_record_bytes(a->n_pad);

    for (int f = 0; f < ACT_FORMS; f++) {
        unsigned char *record;

        if (a->form[f].q == NULL)
            continue;
        record = memory + (a->form[f].q - memory) + (size_t)row * a->form[f].q_stride;
        if (f == ACT_INT8)
            be->kernels->quantize(x, a->n_in, record,
                                  be->residual ? record + bytes : NULL);
        else
            be->wide[f]->record(x, a->n_in, record);
    }
}

struct fill_task {
    const struct backend *be;
    struct act a;
    unsigned char *memory;
    int n_rows, rows_a_unit;
};

static void fill_unit(void *ctx, int unit, int thread)
{
    const struct fill_task *t = ctx;
    int end = (unit + 1) * t->rows_a_unit;

    (void)thread;
    for (int r = unit * t->rows_a_unit; r < end && r < t->n_rows; r++)
        gemm_fill(t->be, &t->a, r, t->memory);
}

struct act gemm_act(struct backend *be, enum scratch_slot slot, const float *x,
                    size_t x_stride, int n_in, int n_rows, unsigned forms)
{
    size_t bytes = (size_t)n_rows * gemm_record_bytes(be, n_in, forms);
    struct fill_task t = {.be = be, .n_rows = n_rows, .rows_a_unit = 1 + 8192 / n_in};

    if (forms != 0)
        t.memory = scratch_get(be, slot, bytes);
    t.a = gemm_place(be, x, x_stride, n_in, n_rows, forms, t.memory);
    if (forms != 0)
        pool_run(be->pool, fill_unit, &t, (n_rows + t.rows_a_unit - 1) / t.rows_a_unit);
    return t.a;
}

struct job gemm_job(const struct weight *w, int slab, struct act a, int n_cols,
                    float *y, size_t ldy)
{
    return (struct job){
        .type = w->type,
        .w = w->data + (size_t)slab * w->slab_bytes,
        .row_bytes = w->row_bytes,
        .n_out = w->n_out,
        .a = a,
        .n_cols = n_cols,
        .y = y,
        .ldy = ldy,
    };
}

/* The records of what the first ones left over. */
static struct act second_records(struct act a)
{
    a.q += act_record_bytes(a.n_pad);
    return a;
}

/* Rows r0..r0+n_rows-1 for the few rows of activations of a decode step. */
static void unit_matvec(const struct backend *be, const struct job *job, int r0,
                        int n_rows)
{
    matvec_fn matvec = be->kernels->matvec[job->type->type];
    const unsigned char *w = job->w + (size_t)r0 * job->row_bytes;
    float sum[UNIT_BYTES / 64];

    while (n_rows > 0) {
        int n = n_rows < UNIT_BYTES / 64 ? n_rows : UNIT_BYTES / 64;
        for (int c = 0; c < job->n_cols; c++) {
            struct act a = job->a;
            float *y = job->y + (size_t)c * job->ldy + r0;
            a.x += (size_t)c * a.x_stride;
            if (a.q != NULL)
                a.q += (size_t)c * a.q_stride;
            matvec(w, job->row_bytes, n, &a, job->add ? sum : y);
            for (int r = 0; r < n && job->add; r++)
                y[r] += sum[r];
        }
        r0 += n;
        n_rows -= n;
        w += (size_t)n * job->row_bytes;
    }
}

static bool wants_blas(const struct backend *be, const struct job *job)
{
    return be->blas.library != NULL && job->n_cols >= BLAS_COLS;
}

/* The same for many by OpenBLAS, on rows unpacked to floats PANEL_K_F32 columns at a
 * time. */
static void unit_blas(const struct backend *be, const struct job *job, int r0,
                      int n_rows, struct thread_scratch *scratch)
{
    const struct quant_type *type = job->type;
    float *w = scratch->panel_f32;

    for (int k0 = 0; k0 < job->a.n_in; k0 += PANEL_K_F32) {
        int n = job->a.n_in - k0 < PANEL_K_F32 ? job->a.n_in - k0 : PANEL_K_F32;

        for (int r = 0; r < n_rows; r++)
            type->to_f32(job->w + (size_t)(r0 + r) * job->row_bytes +
                             quant_row_bytes(type, k0),
                         w + r * n, n);
        blas_sgemm(&be->blas, job->n_cols, n_rows, n, job->a.x + k0,
                   (int)job->a.x_stride, w, job->add || k0 > 0 ? 1.0f : 0.0f,
                   job->y + r0, (int)job->ldy);
    }
}

static void add_bias(const struct job *job, int r0, int n_rows)
{
    for (int c = 0; c < job->n_cols && job->bias != NULL; c++)
        for (int r = 0; r < n_rows; r++)
            job->y[(size_t)c * job->ldy + (size_t)(r0 + r)] += job->bias[r0 + r];
}

/* The same for many, by panels of at most PANEL_K or PANEL_K_WIDE columns. */
static void unit_panel(const struct backend *be, const struct job *job, int r0,
                       int n_rows, struct thread_scratch *scratch)
{
    const unsigned char *w = job->w + (size_t)r0 * job->row_bytes;
    const struct wide_kernels *wide = be->wide[job->form]; /* ACT_INT8: NULL */
    const enum tensor_type type = job->type->type;
    const int n_in = job->a.n_in, width = wide != NULL ? PANEL_K_WIDE : PANEL_K;
    pack_fn pack = be->kernels->pack[type];
    gemm_fn gemm = wide != NULL ? wide->gemm : be->kernels->gemm;
    struct panel *p = &scratch->panel;
    bool add = job->add;

    if (wide != NULL && wide->pack[type] != NULL)
        pack = wide->pack[type];
    /* units are handed out in order, one to each thread */
    p->next = w + (size_t)(pool_n_threads(be->pool) * job->unit_rows) * job->row_bytes;
    for (p->k0 = 0; p->k0 < n_in; p->k0 = p->k1, add = true) {
        p->k1 = n_in - p->k0 < width ? n_in : p->k0 + width;
        pack(w, job->row_bytes, n_rows, p);
        gemm(p, n_rows, &job->a, job->n_cols, job->y + r0, job->ldy, add);
        if (job->a.residual) {
            struct act second = second_records(job->a);
            gemm(p, n_rows, &second, job->n_cols, job->y + r0, job->ldy, true);
        }
    }
}

/* ... in float. */
static void unit_float(const struct backend *be, const struct job *job, int r0,
                       int n_rows, struct thread_scratch *scratch)
{
    const unsigned char *w = job->w + (size_t)r0 * job->row_bytes;
    const struct cpu_kernels *k = be->kernels;
    bool add = job->add;

    for (int k0 = 0; k0 < job->a.n_in; k0 += PANEL_K_F32, add = true) {
        int k1 = job->a.n_in - k0 < PANEL_K_F32 ? job->a.n_in : k0 + PANEL_K_F32;

        k->pack_f32[job->type->type](w, job->row_bytes, n_rows, k0, k1,
                                     scratch->panel_f32);
        k->gemm_f32(scratch->panel_f32, (size_t)k->panel_rows, k1 - k0, n_rows,
                    job->a.x + k0, job->a.x_stride, job->n_cols, job->y + r0, job->ldy,
                    add);
    }
}

/* ... by what suits the activations. */
static void unit_many(const struct backend *be, const struct job *job, int r0,
                      int n_rows, struct thread_scratch *scratch)
{
    if (job->form < ACT_FORMS)
        unit_panel(be, job, r0, n_rows, scratch);
    else if (wants_blas(be, job))
        unit_blas(be, job, r0, n_rows, scratch);
    else
        unit_float(be, job, r0, n_rows, scratch);
}

/* Which of the forms that there are the job reads. */
static void choose_form(const struct backend *be, struct job *job)
{
    struct act *a = &job->a;
    unsigned offered = 0;

    for (int f = 0; f < ACT_FORMS; f++)
        offered |= a->form[f].q != NULL ? 1u << f : 0;
    job->form = best_form(be, job->type, offered);
    if (job->form == ACT_FORMS)
        return;
    a->q = a->form[job->form].q;
    a->q_stride = a->form[job->form].q_stride;
    a->residual = job->form == ACT_INT8 && be->residual;
}

/* Panels are worth their unpacking from some columns on; but the 16-bit forms are read
 * by panels only. */
static bool by_matvec(const struct job *job)
{
    return job->n_cols <= MATVEC_COLS &&
           (job->form == ACT_INT8 || job->form == ACT_FORMS);
}

struct gemm_task {
    struct backend *be;
    const struct job *job;
    int n_jobs;
};

static void gemm_unit(void *ctx, int unit, int thread)
{
    const struct gemm_task *t = ctx;
    int low = 0, high = t->n_jobs - 1, r0, n;
    const struct job *job;

    while (low < high) { /* the last job whose first unit is not past this one */
        int mid = (low + high + 1) / 2;
        if (t->job[mid].first_unit <= unit)
            low = mid;
        else
            high = mid - 1;
    }
    job = &t->job[low];
    r0 = (unit - job->first_unit) * job->unit_rows;
    n = job->n_out - r0 < job->unit_rows ? job->n_out - r0 : job->unit_rows;
    if (by_matvec(job))
        unit_matvec(t->be, job, r0, n);
    else
        unit_many(t->be, job, r0, n, &t->be->thread[thread]);
    add_bias(job, r0, n);
}

static int unit_rows(const struct backend *be, const struct job *job)
{
    int rows;

    if (!by_matvec(job))
        return wants_blas(be, job) ? PANEL_ROWS_MAX : be->kernels->panel_rows;
    rows = (int)(UNIT_BYTES / job->row_bytes) / ROW_STEP * ROW_STEP;
    return rows < ROW_STEP ? ROW_STEP : rows;
}

void gemm_run(struct backend *be, struct job *job, int n_jobs)
{
    struct gemm_task t = {be, job, n_jobs};
    int n_units = 0;

    for (int i = 0; i < n_jobs; i++) {
        choose_form(be, &job[i]);
        job[i].unit_rows = unit_rows(be, &job[i]);
        job[i].first_unit = n_units;
        if (job[i].n_cols == 0)
            continue;
        n_units += (job[i].n_out + job[i].unit_rows - 1) / job[i].unit_rows;
        be->weight_bytes += (uint64_t)job[i].n_out * job[i].row_bytes;
    }
    pool_run(be->pool, gemm_unit, &t, n_units);
}
