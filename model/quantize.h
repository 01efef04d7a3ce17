/* SPDX-License-Identifier: MIT
 *
 * Converting the weights of a GGUF file to another type, into a new GGUF file. Memory:
 * the input is mapped, and a few megabytes are at work.
 */
#ifndef HADAL_MODEL_QUANTIZE_H
#define HADAL_MODEL_QUANTIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"

/* Where it stands: the tensor at work, its types, and bytes of the output. */
struct quantize_state {
    const char *tensor, *from, *to;
    bool begins; /* the first report on this tensor */
    int64_t done_bytes, total_bytes;
};
/* On the caller's thread, now and then. False stops (ERR_CANCELLED). */
typedef bool (*quantize_fn)(void *ctx, const struct quantize_state *state);

struct quantize_options {
    const char *in;     /* a GGUF file, or the first part of a split set */
    const char *out;    /* replaced when the new file is complete, never before */
    const char *type;   /* "Q4_K_M" and the like, in any case */
    int n_threads;      /* 0: one per core this process may use */
    quantize_fn report; /* NULL: nobody is told */
    void *ctx;
};

struct quantize_result {
    const char *type; /* the name as it is usually written */
    int64_t in_bytes, out_bytes;
    bool was_quantised; /* some weights had lost precision already */
};

/* The names that `type` may have, for messages. */
const char *quantize_type_names(void);
bool quantize_type_is_known(const char *name);

/* ERR_MODEL: the input; ERR_IO: the output; ERR_USAGE: both are one file, or the type
 * is unknown. */
bool quantize_file(const struct quantize_options *opt, struct quantize_result *result,
                   struct err *err) MUST_USE;

#endif
