/* SPDX-License-Identifier: MIT
 *
 * The memory that a timeline needs beside the memory that there is: decides the context
 * length before anything is allocated, since the kernel would only say no by killing.
 */
#ifndef HADAL_MODEL_BUDGET_H
#define HADAL_MODEL_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "src/base/meminfo.h"

struct budget {
    size_t weights_bytes; /* mapped from the file: the page cache may give them back */
    size_t token_bytes;   /* of the cache, for one token */
    size_t scratch_bytes; /* activations, logits */
};

/* Whether a context of n tokens fits. ERR_MEMORY with the numbers and the largest
 * context that would. */
bool budget_check(const struct budget *b, const struct meminfo *mem, int ctx_tokens,
                  struct err *err) MUST_USE;

/* The largest context up to `wanted` that leaves room for the weights too, as far as
 * that is possible; at least 1. */
int budget_reduce(const struct budget *b, const struct meminfo *mem, int wanted);

#endif
