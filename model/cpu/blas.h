/* SPDX-License-Identifier: MIT
 *
 * OpenBLAS, for the float products of kernels that have none of their own. It is opened
 * when such kernels are, not linked: linked, it would start its threads and reserve
 * its buffers in every run of the program, and with little address space (ulimit -v)
 * it waits for itself for ever when the program ends.
 */
#ifndef HADAL_MODEL_CPU_BLAS_H
#define HADAL_MODEL_CPU_BLAS_H

struct blas {
    void *library; /* NULL: there is none */
    void (*function)(void);
};

/* blas->library stays NULL where it was left out of the build or is not on this
 * machine. It uses one thread: OPENBLAS_NUM_THREADS is 1 (main.c), since the pool
 * divides the work. */
void blas_open(struct blas *blas);
void blas_close(struct blas *blas); /* accepts zeroed storage */

/* y[c * ldy + r] = beta y + sum over k of w[r * n + k] a[c * lda + k], for c < n_cols
 * and r < n_rows, k < n. */
void blas_sgemm(const struct blas *blas, int n_cols, int n_rows, int n, const float *a,
                int lda, const float *w, float beta, float *y, int ldy);

#endif
