/* SPDX-License-Identifier: MIT
 *
 * A tiny model as a GGUF file in memory, whole and valid but for the changes that a
 * test asks for. Two layers; with experts the second one has them.
 */
#ifndef HADAL_TESTS_TINY_H
#define HADAL_TESTS_TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/quant.h"

enum {
    TINY_HIDDEN = 32,
    TINY_VOCAB = 40,
    TINY_HEADS = 4,
    TINY_HEADS_KV = 2,
    TINY_HEAD = 8, /* grouped-query attention */
    TINY_Q_RANK = 12,
    TINY_KV_RANK = 16,
    TINY_NOPE = 6,
    TINY_ROPE = 4,
    TINY_V = 5,
    TINY_FFN = 24,
    TINY_EXPERTS = 4,
    TINY_FFN_EXPERT = 10,
};

enum tiny_what {
    TINY_DROP, /* the key or tensor is left out */
    TINY_U32,  /* the key gets this value, or is added */
    TINY_F32,
    TINY_TEXT,
    TINY_BOOL,
    TINY_LIST, /* an array of n times the u32 value */
    TINY_DIMS, /* the tensor gets these sizes */
    TINY_TYPE, /* the tensor gets the type of number u */
    TINY_ADD,  /* an F32 tensor more */
    TINY_FILL, /* the F32 tensor is filled with f */
};

struct tiny_change {
    const char *name;
    enum tiny_what what;
    uint32_t u;
    float f;
    const char *text;
    int n;
    int64_t ne[4];
};

struct tiny {
    const char *arch;
    bool no_q_lora;   /* deepseek2: q directly */
    bool joined_kv_b; /* deepseek2: as older files */
    bool fused_gate_up;
    bool fused_qkv;
    bool tied; /* no output.weight */
    bool mtp;  /* a third block for multi-token prediction */
    const struct tiny_change *change;
    size_t n_changes;
};

/* The file; free(). Element i of an F32 tensor is tiny_value(i). */
unsigned char *tiny_build(const struct tiny *tiny, size_t *len);
float tiny_value(size_t i);

#endif
