/* SPDX-License-Identifier: MIT
 *
 * Activations in host memory: see host_vec.h.
 */
#include "config.h"

#include "model/host_vec.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

struct vec *host_vec_open(struct backend *be, int n_rows, int width, struct err *err)
{
    struct vec *v = mem_zalloc(sizeof(*v));

    (void)be;
    v->n_rows = n_rows;
    v->width = width;
    v->data =
        mem_try((size_t)n_rows * (size_t)width, sizeof(float), "activations", err);
    if (v->data == NULL) {
        free(v);
        return NULL;
    }
    return v;
}

void host_vec_close(struct backend *be, struct vec *v)
{
    (void)be;
    if (v == NULL)
        return;
    free(v->data);
    free(v);
}

void host_vec_gather(struct backend *be, struct vec *y, const struct vec *x,
                     const int32_t *row, int n_rows)
{
    int width = x->width < y->width ? x->width : y->width;

    (void)be;
    for (int i = 0; i < n_rows; i++)
        memcpy(vec_row(y, i), vec_row(x, row[i]), (size_t)width * sizeof(float));
}

bool host_vec_read(struct backend *be, const struct vec *v, int row, int n_rows,
                   int width, float *host, struct err *err)
{
    (void)be;
    (void)err;
    for (int i = 0; i < n_rows; i++)
        memcpy(host + (size_t)i * (size_t)width, vec_row(v, row + i),
               (size_t)width * sizeof(float));
    return true;
}
