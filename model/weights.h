/* SPDX-License-Identifier: MIT
 *
 * The tensors of a model by their role, each checked against the shape.
 *
 * A struct weight is a matrix as y = W x uses it: n_out rows of n_in values, in slabs
 * where there is one matrix per expert or per head. Data is borrowed from the mapped
 * file; shapes in brackets are row-major, outermost first.
 */
#ifndef HADAL_MODEL_WEIGHTS_H
#define HADAL_MODEL_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "model/format/gguf.h"
#include "model/quant.h"
#include "model/shape.h"
#include "src/base/err.h"

struct weight {
    const char *name;
    const struct quant_type *type;
    int n_slab;          /* experts or heads; 1 for a plain matrix */
    int n_out;           /* rows of a slab */
    int n_in;            /* values of a row */
    size_t row_bytes;
    size_t slab_bytes;   /* from one slab to the next; n_out * row_bytes, and more where
                            the slabs are rows of a fused tensor (gate_up_exps) */
    const unsigned char *data; /* [n_slab][slab_bytes], of which the first n_out *
                                  row_bytes are rows; NULL = the role is absent */
    void *device;        /* the back end's own copy or note; set by adopt() */
};

/* A gain or bias: always F32 in memory (converted from F16/BF16 where the file has
 * that). n = 0: absent. Owned by struct weights. */
struct gain {
    float *data;
    int n;
    void *device;
};

struct layer {
    struct gain attn_norm;      /* [hidden] */
    /* GQA (arch llama, deepseek) */
    struct weight q;            /* [n_head * head_dim][hidden]; MLA without q_rank:
                                   [n_head * (nope_dim + rope_dim)][hidden] */
    struct weight k, v;         /* [n_head_kv * head_dim][hidden] */
    struct gain q_bias, k_bias, v_bias; /* absent in all DeepSeek releases of these archs */
    /* MLA */
    struct weight q_a;          /* [q_rank][hidden] */
    struct gain q_a_norm;       /* [q_rank] */
    struct weight q_b;          /* [n_head * (nope_dim + rope_dim)][q_rank] */
    struct weight kv_a;         /* [kv_rank + rope_dim][hidden] */
    struct gain kv_a_norm;      /* [kv_rank] */
    struct weight k_b;          /* [n_head] x [kv_rank][nope_dim]: q~ = k_b . q_nope */
    struct weight v_b;          /* [n_head] x [v_dim][kv_rank]:    o  = v_b . u */
    struct weight out;          /* [hidden][n_head * (head_dim or v_dim)] */

    struct gain ffn_norm;       /* [hidden] */
    struct weight gate, up;     /* dense: [ffn][hidden] */
    struct weight down;         /* dense: [hidden][ffn] */
    /* MoE */
    struct weight router;       /* [n_expert][hidden] */
    struct gain router_bias;    /* [n_expert], selection only; absent in softmax models */
    struct weight gate_exps, up_exps; /* [n_expert] x [ffn_expert][hidden] */
    struct weight down_exps;    /* [n_expert] x [hidden][ffn_expert] */
    struct weight gate_shexp, up_shexp; /* [n_expert_shared * ffn_expert][hidden] */
    struct weight down_shexp;   /* [hidden][n_expert_shared * ffn_expert] */
};

struct weights {
    struct weight embed;        /* [vocab][hidden] */
    struct gain out_norm;       /* [hidden] */
    struct weight head;         /* [vocab][hidden]; embed again where tied */
    struct layer *layer;        /* [n_layer] */
    int n_layer;
    void *owned;                /* converted data (joined kv_b split, transposed) */
    int64_t n_params;           /* of the tensors used, without MTP */
};

/* Finds every tensor that the shape needs. ERR_MODEL naming the tensor when one is
 * missing or has another shape; a joined attn_kv_b (older files) is split here: v_b
 * borrows its rows, k_b becomes a transposed F16 copy. */
bool weights_open(struct weights *w, const struct gguf *g, const struct shape *shape,
                  struct err *err) MUST_USE;
void weights_release(struct weights *w); /* accepts zeroed storage */

#endif
