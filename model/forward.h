/* SPDX-License-Identifier: MIT
 *
 * The decoder: one step from tokens to logits, written in the operations of a back end.
 *
 * Owns the activations of a step. Knows nothing of timelines: the caller says at which
 * position of which cache each row is. One thread at a time.
 */
#ifndef HADAL_MODEL_FORWARD_H
#define HADAL_MODEL_FORWARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/shape.h"
#include "model/weights.h"
#include "src/base/err.h"

/* What a step is made of; borrowed for the life of struct forward. */
struct decoder {
    const struct backend_ops *ops;
    struct backend *be;
    const struct shape *shape;
    const struct weights *weights;
};

/* For tests and for finding the layer that is wrong: sees the residual stream after the
 * embedding (layer -1) and after each layer, and where the experts' rows went.
 * Returning is all that it may do besides read(). */
struct forward_probe {
    void (*layer)(void *ctx, int layer, const struct vec *x, const struct route *route);
    void *ctx;
    struct route route; /* room for the rows of a step; expert NULL: not wanted */
};

struct forward;

/* n_rows: the most rows of a step; n_logits: the most rows of forward_logits. */
struct forward *forward_open(const struct decoder *decoder, int n_rows, int n_logits,
                             struct err *err) MUST_USE;
void forward_close(struct forward *f); /* accepts NULL */

/* Bytes that a step of n_rows needs: the activations that forward_open allocates, and
 * about what a back end keeps inside its feed-forward operations. */
size_t forward_bytes(const struct shape *shape, int n_rows, int n_logits);

/* Runs the rows through all layers and fills their caches. wanted: of how many, the
 * last ones, forward_logits may be asked; the fewer, the less there is to do. False
 * with ERR_CANCELLED as soon as *stop is seen true (asked before each layer); stop and
 * probe may be NULL. */
bool forward_run(struct forward *f, const struct rows *rows, int wanted,
                 const atomic_bool *stop, struct forward_probe *probe,
                 struct err *err) MUST_USE;

/* Logits of rows [row, row + n_rows) of the last run, all wanted: out [n_rows][vocab].
 */
bool forward_logits(struct forward *f, int row, int n_rows, float *out,
                    struct err *err) MUST_USE;

#endif
