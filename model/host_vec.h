/* SPDX-License-Identifier: MIT
 *
 * Rows of activations in host memory: what `struct vec` is for back ends that compute
 * there, and the members of their tables that only move numbers.
 */
#ifndef HADAL_MODEL_HOST_VEC_H
#define HADAL_MODEL_HOST_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct backend;

struct vec {
    float *data; /* [n_rows][width] */
    int n_rows, width;
};

static inline float *vec_row(const struct vec *v, int row)
{
    return v->data + (size_t)row * (size_t)v->width;
}

/* As the members of struct backend_ops that they are: see backend.h. */
struct vec *host_vec_open(struct backend *be, int n_rows, int width,
                          struct err *err) MUST_USE;
void host_vec_close(struct backend *be, struct vec *v);
void host_vec_gather(struct backend *be, struct vec *y, const struct vec *x,
                     const int32_t *row, int n_rows);
bool host_vec_read(struct backend *be, const struct vec *v, int row, int n_rows,
                   int width, float *host, struct err *err) MUST_USE;

#endif
