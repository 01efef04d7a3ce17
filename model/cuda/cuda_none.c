/* SPDX-License-Identifier: MIT
 *
 * The CUDA back end of a build without CUDA: it cannot be opened, and nothing else of
 * its table is ever called.
 */
#include "config.h"

#include "model/backend.h"

static struct backend *none_open(int n_threads, struct err *err)
{
    (void)n_threads;
    err_set(err, ERR_DEVICE,
            "CUDA: not in this build; use --device cpu, or configure it with "
            "--with-cuda");
    return NULL;
}

const struct backend_ops backend_cuda = {
    .name = "cuda",
    .open = none_open,
};
