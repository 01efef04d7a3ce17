/* SPDX-License-Identifier: MIT
 *
 * Inside model/quant: the encoders of one block each. x holds the block's values,
 * checked; block is the struct of model/blocks.h.
 */
#ifndef HADAL_MODEL_QUANT_ENCODE_PRIV_H
#define HADAL_MODEL_QUANT_ENCODE_PRIV_H

#include <stdint.h>

void encode_q4_0(const float *x, void *block);
void encode_q4_1(const float *x, void *block);
void encode_q5_0(const float *x, void *block);
void encode_q5_1(const float *x, void *block);
void encode_q8_0(const float *x, void *block);

void encode_q2_k(const float *x, void *block);
void encode_q3_k(const float *x, void *block);
void encode_q4_k(const float *x, void *block);
void encode_q5_k(const float *x, void *block);
void encode_q6_k(const float *x, void *block);

void encode_iq4_nl(const float *x, void *block);
void encode_iq4_xs(const float *x, void *block);

/* The value that a half float keeps of f. */
float encode_as_half(float f, uint16_t *half);

/* 32 codes of four bits each, as blocks of 32 hold them. */
void encode_pack_nibbles(const int8_t *code, uint8_t *qs);

#endif
