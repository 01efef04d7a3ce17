/* SPDX-License-Identifier: MIT
 *
 * Converting a file: see quantize.h. First the plan (a type for every tensor, the head
 * of the new file), then tensor by tensor, in chunks whose units the threads share.
 *
 * A tensor is a plain row of values here: blocks never reach over the end of a matrix'
 * row, so a unit may begin at any multiple of the largest block.
 */
#include "config.h"

#include "model/quantize.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/blocks.h"
#include "model/cpu/pool.h"
#include "model/format/gguf.h"
#include "model/format/gguf_write.h"
#include "model/quant/encode.h"
#include "model/quant/mix.h"
#include "src/base/mem.h"
#include "src/base/outfile.h"

enum {
    UNIT_ELEMS = 32 * BLOCK_K, /* what one thread takes at a time */
    CHUNK_UNITS = 128,         /* what is written at once: 4 MB of F32 */
    QUANTIZATION_VERSION = 2,  /* of the block formats, general.quantization_version */
};

struct job {
    const struct quantize_options *opt;
    const struct mix *mix;
    struct gguf *in;
    const struct quant_type **to; /* [n_tensors] */
    struct gguf_head head;
    struct outfile out;
    struct pool *pool;
    float *scratch;       /* [n_threads][UNIT_ELEMS] */
    unsigned char *chunk; /* room for CHUNK_UNITS units as F32 */
    struct quantize_state state;
    bool was_quantised;

    /* the chunk at work */
    const struct gguf_tensor *tensor;
    const struct quant_type *type;
    int64_t first, n; /* elements */
    atomic_bool bad;  /* a value that the type cannot hold */
};

/* ---- the plan ---- */

/* Keys that tell of the old file's bytes, not of the model. */
static bool is_stale(const char *key)
{
    return strncmp(key, "split.", 6) == 0 || strcmp(key, "general.alignment") == 0 ||
           strcmp(key, "general.file_type") == 0 ||
           strcmp(key, "general.quantization_version") == 0;
}

static void plan_keys(struct job *j)
{
    for (size_t i = 0; i < gguf_n_keys(j->in); i++)
        if (!is_stale(gguf_key_name(j->in, i)))
            gguf_head_copy_key(&j->head, j->in, i);
    gguf_head_add_u32(&j->head, "general.quantization_version", QUANTIZATION_VERSION);
    gguf_head_add_u32(&j->head, "general.file_type", mix_file_type(j->mix));
}

static void plan_tensors(struct job *j)
{
    struct mix_model model = mix_model_of(j->in);
    size_t n = gguf_n_tensors(j->in);

    j->to = mem_array(n > 0 ? n : 1, sizeof(*j->to));
    for (size_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(j->in, i);

        j->to[i] = mix_type(j->mix, &model, t);
        gguf_head_add_tensor(&j->head, t, j->to[i]);
        j->was_quantised |= t->type->block_elems > 1 && t->type != j->to[i];
    }
}

/* ---- the work ---- */

static bool report(struct job *j, struct err *err)
{
    if (j->opt->report == NULL || j->opt->report(j->opt->ctx, &j->state))
        return true;
    return err_set(err, ERR_CANCELLED, "stopped");
}

static bool write_bytes(struct job *j, const void *data, size_t len, struct err *err)
{
    j->state.done_bytes += (int64_t)len;
    return outfile_write(&j->out, data, len, err);
}

/* pool_fn */
static void convert_unit(void *ctx, int unit, int thread)
{
    struct job *j = ctx;
    int64_t at = (int64_t)unit * UNIT_ELEMS;
    int64_t n = j->n - at < UNIT_ELEMS ? j->n - at : UNIT_ELEMS;
    float *x = j->scratch + (size_t)thread * UNIT_ELEMS;
    const struct quant_type *from = j->tensor->type;

    from->to_f32(j->tensor->data + quant_row_bytes(from, j->first + at), x, n);
    if (!encode_row(j->type, x, n, j->chunk + quant_row_bytes(j->type, at)))
        atomic_store(&j->bad, true);
}

static bool convert_chunk(struct job *j, struct err *err)
{
    int n_units = (int)((j->n + UNIT_ELEMS - 1) / UNIT_ELEMS);

    pool_run(j->pool, convert_unit, j, n_units);
    if (atomic_load(&j->bad))
        return err_set(err, ERR_MODEL,
                       "%s: tensor '%s' has a value that %s cannot hold: not a number, "
                       "infinite or too large",
                       gguf_path(j->in), j->tensor->name, j->type->name);
    return write_bytes(j, j->chunk, quant_row_bytes(j->type, j->n), err) &&
           report(j, err);
}

/* As it is, in pieces so that a stop is seen. */
static bool copy_tensor(struct job *j, struct err *err)
{
    const size_t piece = (size_t)CHUNK_UNITS * UNIT_ELEMS * sizeof(float);
    size_t at = 0;

    while (at < j->tensor->bytes) {
        size_t left = j->tensor->bytes - at;
        size_t n = left < piece ? left : piece;

        if (!write_bytes(j, j->tensor->data + at, n, err) || !report(j, err))
            return false;
        at += n;
    }
    return true;
}

static bool convert_tensor(struct job *j, struct err *err)
{
    const int64_t step = (int64_t)CHUNK_UNITS * UNIT_ELEMS;
    int64_t n = 1;

    for (int d = 0; d < j->tensor->n_dims; d++)
        n *= j->tensor->ne[d];
    for (j->first = 0; j->first < n; j->first += step) {
        j->n = n - j->first < step ? n - j->first : step;
        if (!convert_chunk(j, err))
            return false;
    }
    return true;
}

static bool write_tensor(struct job *j, size_t i, struct err *err)
{
    static const char zeros[GGUF_ALIGNMENT];
    int64_t before = j->state.done_bytes;

    j->tensor = gguf_tensor_at(j->in, i);
    j->type = j->to[i];
    j->state.tensor = j->tensor->name;
    j->state.from = j->tensor->type->name;
    j->state.to = j->type->name;
    j->state.begins = true;
    if (!report(j, err))
        return false;
    j->state.begins = false;
    if (!(j->tensor->type == j->type ? copy_tensor(j, err) : convert_tensor(j, err)))
        return false;
    return write_bytes(j, zeros, gguf_padding((uint64_t)(j->state.done_bytes - before)),
                       err);
}

static bool write_all(struct job *j, struct err *err)
{
    struct buf head;
    bool ok;

    buf_init(&head, BUF_UNLIMITED);
    gguf_head_finish(&j->head, &head);
    j->state.total_bytes = (int64_t)(head.len + j->head.data_bytes);
    ok = outfile_reserve(&j->out, j->state.total_bytes, err) &&
         write_bytes(j, head.data, head.len, err);
    buf_release(&head);
    for (size_t i = 0; ok && i < gguf_n_tensors(j->in); i++)
        ok = write_tensor(j, i, err);
    return ok && gguf_unchanged(j->in, err) && outfile_commit(&j->out, err);
}

/* ---- the whole ---- */

static bool check_files(const struct job *j, struct err *err)
{
    struct stat st;

    if (stat(j->opt->out, &st) == 0 && gguf_has_file(j->in, &st))
        return err_set(err, ERR_USAGE,
                       "'%s' is the input: give the output another name", j->opt->out);
    return true;
}

static bool open_input(struct job *j, struct err *err)
{
    struct stat st;

    if (stat(j->opt->in, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(err, ERR_MODEL, "%s: a folder; give the GGUF file in it",
                       j->opt->in);
    j->in = gguf_open(j->opt->in, err);
    return j->in != NULL;
}

static bool open_tools(struct job *j, struct err *err)
{
    size_t n_threads;

    j->pool = pool_open(j->opt->n_threads, err);
    if (j->pool == NULL)
        return false;
    n_threads = (size_t)pool_n_threads(j->pool);
    j->scratch = mem_try(n_threads * UNIT_ELEMS, sizeof(*j->scratch), "values", err);
    j->chunk = mem_try((size_t)CHUNK_UNITS * UNIT_ELEMS, sizeof(float), "a chunk", err);
    return j->scratch != NULL && j->chunk != NULL;
}

const char *quantize_type_names(void)
{
    return mix_names();
}

bool quantize_type_is_known(const char *name)
{
    return mix_find(name) != NULL;
}

bool quantize_file(const struct quantize_options *opt, struct quantize_result *result,
                   struct err *err)
{
    struct job j = {.opt = opt, .mix = mix_find(opt->type), .out.fd = -1};
    bool ok = false;

    if (j.mix == NULL)
        return err_set(err, ERR_USAGE, "unknown type '%s' (known: %s)", opt->type,
                       mix_names());
    gguf_head_init(&j.head);
    if (!open_input(&j, err) || !check_files(&j, err) || !open_tools(&j, err) ||
        !outfile_open(&j.out, opt->out, err))
        goto done;
    plan_keys(&j);
    plan_tensors(&j);
    ok = write_all(&j, err);
    *result = (struct quantize_result){.type = mix_name(j.mix),
                                       .in_bytes = (int64_t)gguf_total_bytes(j.in),
                                       .out_bytes = j.state.total_bytes,
                                       .was_quantised = j.was_quantised};
done:
    outfile_close(&j.out);
    pool_close(j.pool);
    free(j.scratch);
    free(j.chunk);
    free(j.to);
    gguf_head_release(&j.head);
    gguf_close(j.in);
    return ok;
}
