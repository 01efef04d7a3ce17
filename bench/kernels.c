/* SPDX-License-Identifier: MIT
 *
 * Speed of the CPU back end's products, by element type: how fast one row of
 * activations reads a weight (GB/s, beside what memory gives), and how fast many rows
 * multiply (G multiply-adds a second). Tab-separated.
 *
 *   bench_kernels [--threads N] [--rows N] [--kib N] [--bits 16] [--cpu-time 1]
 *                 [TYPE...]
 *
 * --kib: how much of a weight there is; a few hundred stay in the cache, which shows
 * the kernel without the memory.
 * --bits: of activations against quantised weights, 8 or 16.
 * --cpu-time counts the time that the program had a processor, divided by the threads:
 * for busy machines, with one thread.
 * HADAL_CPU chooses the kernels.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/cpu/cpu_priv.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "tests/ops/random.h"

enum { N_IN = 2048, BYTES_MAX = 1 << 30, SECONDS_100 = 40 };

static int n_threads, n_rows = 256, kib = 128 << 10, bits = 8, cpu_time;

static size_t bytes_read(void)
{
    return (size_t)kib << 10;
}

static double now(void)
{
    struct timespec t;

    if (!cpu_time)
        return clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return ((double)t.tv_sec + (double)t.tv_nsec * 1e-9) /
           (n_threads > 0 ? n_threads : 1);
}

struct read_task {
    const unsigned char *data;
    size_t bytes;
    long sums[512];
};

/* Reads a piece of memory as fast as plain code can. */
static void read_unit(void *ctx, int unit, int thread)
{
    struct read_task *t = ctx;
    const unsigned char *at = t->data + (size_t)unit * t->bytes;
    long sum[8] = {0}, word;

    for (size_t i = 0; i + 64 <= t->bytes; i += 64)
        for (size_t j = 0; j < 8; j++) {
            memcpy(&word, at + i + 8 * j, sizeof(word));
            sum[j] ^= word;
        }
    for (int j = 0; j < 8; j++)
        t->sums[thread] ^= sum[j];
}

static double read_speed(struct backend *be, const unsigned char *data)
{
    struct read_task t = {.data = data, .bytes = 1 << 16};
    double best = 0;

    for (int i = 0; i < 5; i++) {
        double start = now();
        pool_run(be->pool, read_unit, &t, (int)(bytes_read() >> 16));
        start = now() - start;
        if (best == 0 || start < best)
            best = start;
    }
    return (double)(bytes_read() >> 16 << 16) / best / 1e9;
}

/* Seconds of one product, the best of those that fit the time. */
static double time_of(struct backend *be, struct job *job)
{
    double end = clock_seconds() + SECONDS_100 / 100.0, best = 1e9;

    do {
        double start = now();
        gemm_run(be, job, 1);
        start = now() - start;
        best = start < best ? start : best;
    } while (clock_seconds() < end);
    return best;
}

static void measure(struct backend *be, const struct quant_type *type,
                    unsigned char *data, double limit)
{
    struct random rnd = {1};
    struct weight w = {.type = type, .n_slab = 1, .n_in = N_IN, .data = data};
    float *x = mem_array((size_t)n_rows * N_IN, sizeof(float)), *y;
    double t1, tn;
    struct act a;
    struct job job;
    int n_out;

    w.row_bytes = quant_row_bytes(type, N_IN);
    w.n_out = (int)(bytes_read() / w.row_bytes);
    for (int r = 0; r < 64 && r < w.n_out; r++)
        random_row(&rnd, type, data + (size_t)r * w.row_bytes, N_IN);
    for (int r = 64; r < w.n_out; r++)
        memcpy(data + (size_t)r * w.row_bytes, data + (size_t)(r % 64) * w.row_bytes,
               w.row_bytes);
    random_floats(&rnd, x, (size_t)n_rows * N_IN);
    y = mem_array((size_t)n_rows * (size_t)w.n_out, sizeof(float));
    a = gemm_act(be, SCRATCH_ACT, x, N_IN, N_IN, 1, gemm_forms(be, type, 1));
    job = gemm_job(&w, 0, a, 1, y, (size_t)w.n_out);
    t1 = time_of(be, &job);
    n_out = w.n_out;
    w.n_out = w.n_out < 2048 ? w.n_out : 2048;
    a = gemm_act(be, SCRATCH_ACT, x, N_IN, N_IN, n_rows, gemm_forms(be, type, n_rows));
    job = gemm_job(&w, 0, a, n_rows, y, (size_t)w.n_out);
    tn = time_of(be, &job);
    printf("%s\t%s\t%d\t%.2f\t%.2f\t%d\t%.1f\n", be->kernels->name, type->name,
           pool_n_threads(be->pool), (double)w.row_bytes * n_out / t1 / 1e9, limit,
           n_rows, (double)N_IN * w.n_out * n_rows / tn / 1e9);
    fflush(stdout);
    free(x);
    free(y);
}

static bool wanted(const char *name, char **argv)
{
    if (*argv == NULL)
        return true;
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct backend *be;
    unsigned char *data;
    struct err err;

    (void)argc;
    for (argv++; argv[0] != NULL && argv[1] != NULL && argv[0][0] == '-'; argv += 2) {
        int *value = strcmp(argv[0], "--threads") == 0 ? &n_threads
                     : strcmp(argv[0], "--rows") == 0  ? &n_rows
                     : strcmp(argv[0], "--kib") == 0   ? &kib
                     : strcmp(argv[0], "--bits") == 0  ? &bits
                                                       : &cpu_time;
        *value = (int)strtol(argv[1], NULL, 10);
    }
    if (kib < 256 || bytes_read() > BYTES_MAX || n_rows < 1) {
        fprintf(stderr, "bench_kernels: 256 KiB to 1 GiB, and at least a row\n");
        return 2;
    }
    be = backend_cpu.open(n_threads, &err);
    data = mem_try(1, bytes_read() + 4096, "weights", &err);
    if (be == NULL || data == NULL) {
        fprintf(stderr, "bench_kernels: %s\n", err.text);
        return 1;
    }
    be->residual = bits == 16;
    printf("kernels\ttype\tthreads\tGB/s\tmemory\trows\tGMAC/s\n");
    for (size_t i = 0; i < random_n_types; i++) {
        const struct quant_type *type = quant_find(random_types[i]);
        if (wanted(type->name, argv))
            measure(be, type, data, read_speed(be, data));
    }
    free(data);
    backend_cpu.close(be);
    return 0;
}
