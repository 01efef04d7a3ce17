/* SPDX-License-Identifier: MIT
 *
 * Element types of tensors: block formats, sizes, and the exact value of each element.
 *
 * Numbers of the types are those of GGUF. The layouts are in model/blocks.h.
 * Nothing here is fast: the kernels of model/cpu are, and are compared with this.
 */
#ifndef HADAL_MODEL_QUANT_H
#define HADAL_MODEL_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tensor_type {
    TYPE_F32 = 0,
    TYPE_F16 = 1,
    TYPE_Q4_0 = 2,
    TYPE_Q4_1 = 3,
    TYPE_Q5_0 = 6,
    TYPE_Q5_1 = 7,
    TYPE_Q8_0 = 8,
    TYPE_Q2_K = 10,
    TYPE_Q3_K = 11,
    TYPE_Q4_K = 12,
    TYPE_Q5_K = 13,
    TYPE_Q6_K = 14,
    TYPE_IQ4_NL = 20,
    TYPE_IQ4_XS = 23,
    TYPE_I32 = 26,
    TYPE_BF16 = 30,
};

/* Facts about a type. */
struct quant_type {
    enum tensor_type type;
    const char *name;   /* "Q4_K" */
    int block_elems;    /* elements in a block: 1, 32 or 256 */
    int block_bytes;    /* bytes of a block */
    /* Writes the n values (a multiple of block_elems) of a row to out. NULL where the
     * type holds no weights (I32). */
    void (*to_f32)(const void *row, float *out, int64_t n);
};

/* The type with this GGUF number, or NULL where hadal has no code for it. */
const struct quant_type *quant_find(uint32_t type);

/* Name of any GGUF type number, supported or not ("Q4_2 (removed)", "IQ2_XXS",
 * "unknown"); for messages. */
const char *quant_name(uint32_t type);

/* Bytes of a row of n elements; n must be a multiple of the block size. */
size_t quant_row_bytes(const struct quant_type *type, int64_t n);

float quant_f16_to_f32(uint16_t h);
uint16_t quant_f32_to_f16(float f); /* round to nearest even */
float quant_bf16_to_f32(uint16_t h);

#endif
