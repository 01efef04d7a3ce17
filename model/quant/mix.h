/* SPDX-License-Identifier: MIT
 *
 * Mixes: which type each tensor of a file gets under a name such as Q4_K_M.
 *
 * The rules are those that files of these names follow everywhere (llama.cpp's
 * quantiser without an importance matrix; spec/decoder.md 4.5).
 */
#ifndef HADAL_MODEL_QUANT_MIX_H
#define HADAL_MODEL_QUANT_MIX_H

#include <stdbool.h>
#include <stdint.h>

#include "model/format/gguf.h"
#include "model/quant.h"

struct mix;

/* The mix of this name in any case ("q4_k_m"; "Q4_K" stands for Q4_K_M), or NULL. */
const struct mix *mix_find(const char *name);
/* Names of all mixes, for messages: "F32, F16, ...". */
const char *mix_names(void);
const char *mix_name(const struct mix *mix);
uint32_t mix_file_type(const struct mix *mix); /* of the key general.file_type */

/* What the rules ask of the model. */
struct mix_model {
    int64_t n_layer, n_head, n_head_kv, n_expert;
    bool tied; /* no output.weight: the embedding is the head too */
};
/* Reads it from the keys; what is absent or wrong counts as 0. */
struct mix_model mix_model_of(const struct gguf *g);

/* The type for this tensor: its own where it is not for quantising (norms, biases, the
 * router, integers), F32 where those are half floats. */
const struct quant_type *mix_type(const struct mix *mix, const struct mix_model *model,
                                  const struct gguf_tensor *tensor);

#endif
