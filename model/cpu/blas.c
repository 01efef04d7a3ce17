/* SPDX-License-Identifier: MIT
 *
 * OpenBLAS by dlopen: see blas.h.
 */
#include "config.h"

#include "model/cpu/blas.h"

#include <stddef.h>

#if defined(HAVE_OPENBLAS)
#include <cblas.h>
#include <dlfcn.h>
#include <string.h>

void blas_open(struct blas *blas)
{
    void *symbol;

    *blas = (struct blas){.library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL)};
    if (blas->library == NULL)
        return;
    symbol = dlsym(blas->library, "cblas_sgemm");
    if (symbol == NULL) {
        blas_close(blas);
        return;
    }
    memcpy(&blas->function, &symbol, sizeof(symbol)); /* POSIX lets it be a function */
}

void blas_close(struct blas *blas)
{
    if (blas->library != NULL)
        dlclose(blas->library);
    *blas = (struct blas){.library = NULL};
}

void blas_sgemm(const struct blas *blas, int n_cols, int n_rows, int n, const float *a,
                int lda, const float *w, float beta, float *y, int ldy)
{
    __typeof__(cblas_sgemm) *sgemm = (__typeof__(cblas_sgemm) *)blas->function;

    sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n_cols, n_rows, n, 1.0f, a, lda, w,
          n, beta, y, ldy);
}
#else
void blas_open(struct blas *blas)
{
    *blas = (struct blas){.library = NULL};
}

void blas_close(struct blas *blas)
{
    *blas = (struct blas){.library = NULL};
}

void blas_sgemm(const struct blas *blas, int n_cols, int n_rows, int n, const float *a,
                int lda, const float *w, float beta, float *y, int ldy)
{
    (void)blas, (void)n_cols, (void)n_rows, (void)n, (void)a, (void)lda, (void)w;
    (void)beta, (void)y, (void)ldy;
}
#endif
