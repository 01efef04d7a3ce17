/* SPDX-License-Identifier: MIT
 *
 * struct shape: the hyperparameters of a decoder, read from a file's keys once, checked,
 * and named in the words of the papers. Everything after this trusts them.
 *
 * Sources: DeepSeek-V2 (arXiv:2405.04434) and DeepSeek-V3 (arXiv:2412.19437) for MLA and
 * the MoE; spec/decoder.md 1, 2, 4.3 for keys and defaults.
 */
#ifndef HADAL_MODEL_SHAPE_H
#define HADAL_MODEL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/format/gguf.h"
#include "src/base/err.h"

enum arch {
    ARCH_LLAMA,     /* "llama": dense, MHA or GQA (DeepSeek LLM, SmolLM2) */
    ARCH_DEEPSEEK,  /* "deepseek": DeepSeekMoE 16B, MHA + MoE */
    ARCH_DEEPSEEK2, /* "deepseek2": V2, V3, R1, Moonlight, ... MLA + MoE */
};

enum attention_kind { ATTENTION_GQA, ATTENTION_MLA };
enum gating_kind { GATING_SOFTMAX, GATING_SIGMOID };

/* Rotary embedding (RoPE, arXiv:2104.09864) with YaRN (arXiv:2309.00071). */
struct rope {
    int dim;            /* how many values of a head rotate; even */
    int pair_stride;    /* 1: pairs (2i, 2i+1), interleaved; dim/2: half-split */
    float *inv_freq;    /* [dim/2] angle per position of each pair, scaling applied; owned
                           by the shape. Computed in double, rounded once. */
    float multiplier;   /* on cos and sin: YaRN's A, 1 for all DeepSeek releases */
};

struct shape {
    enum arch arch;
    enum attention_kind attention;
    int n_layer;          /* trunk layers; MTP layers not counted */
    int n_layer_mtp;      /* nextn layers after them in the file; not run here */
    int hidden;           /* h: width of the residual stream */
    int vocab;            /* rows of the embedding = number of logits */
    int ctx_train;        /* context_length: positions it was trained for */
    float eps;            /* of every RMSNorm */

    int n_head;
    /* GQA */
    int n_head_kv;
    int head_dim;         /* of q, k and v */
    /* MLA; 0 otherwise */
    int q_rank;           /* dq: q_lora_rank, 0 = q is projected directly */
    int kv_rank;          /* dc: kv_lora_rank, width of the latent */
    int nope_dim;         /* dn */
    int rope_dim;         /* dr */
    int v_dim;            /* dv */
    float attn_scale;     /* of the scores: 1/sqrt(head) with YaRN's mscale^2 */
    struct rope rope;

    int ffn;              /* width of dense layers */
    int n_layer_dense;    /* first layers that are dense; = n_layer when there is no MoE */
    int n_expert;         /* E routed experts; 0 = no MoE */
    int n_expert_used;    /* K */
    int n_expert_shared;  /* S */
    int ffn_expert;       /* F: width of one routed expert */
    enum gating_kind gating;
    int n_group, n_group_used; /* 1/1: no group limit */
    bool norm_weights;    /* divide the chosen weights by their sum */
    float weight_scale;   /* routed_scaling_factor */
};

/* Reads and checks all of it. The tensor table is consulted for what old files do not
 * say (joined kv_b, q_a present, vocabulary rows, rope_freqs). ERR_MODEL otherwise;
 * text begins with the file's path. */
bool shape_read(struct shape *shape, const struct gguf *g, struct err *err) MUST_USE;
void shape_release(struct shape *shape); /* accepts zeroed storage */

const char *arch_name(enum arch arch); /* as in general.architecture */
bool arch_is_supported(const char *name);

/* Values a token adds to the cache of one layer: kv_rank + rope_dim, or
 * 2 * n_head_kv * head_dim. */
int shape_cache_width(const struct shape *shape);

#endif
