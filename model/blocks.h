/* SPDX-License-Identifier: MIT
 *
 * Block formats of quantised tensors as they lie in a file, declared once: quant.c says
 * what each element is worth, the kernels of every back end read the same structs.
 *
 * All fields are bytes, or f16 bit patterns (IEEE half, little-endian) as uint16_t; the
 * structs are packed, since a tensor's data has no alignment that C may rely on.
 * Sources: ggml-common.h and gguf-py of llama.cpp; spec/decoder.md 4.6.
 *
 * Blocks of 32 elements hold 4-bit codes in pairs: byte i has element i in its low and
 * element i + 16 in its high nibble. Blocks of 256 have 16 or 8 sub-blocks with small
 * integer scales of their own, which the block's f16 scale(s) multiply.
 */
#ifndef HADAL_MODEL_BLOCKS_H
#define HADAL_MODEL_BLOCKS_H

#include <assert.h>
#include <stdint.h>

enum {
    BLOCK_SMALL = 32, /* elements of Q4_0 .. Q8_0, IQ4_NL */
    BLOCK_K = 256,    /* elements of the K-quants and IQ4_XS */
};

#define BLOCK_PACKED __attribute__((packed))

/* d * (q - 8) */
struct block_q4_0 {
    uint16_t d;
    uint8_t qs[16];
} BLOCK_PACKED;

/* d * q + m */
struct block_q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
} BLOCK_PACKED;

/* d * (q - 16); bit i of qh, little-endian, is bit 4 of element i */
struct block_q5_0 {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
} BLOCK_PACKED;

/* d * q + m */
struct block_q5_1 {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
} BLOCK_PACKED;

/* d * q */
struct block_q8_0 {
    uint16_t d;
    int8_t qs[32];
} BLOCK_PACKED;

/* d * table[q] */
struct block_iq4_nl {
    uint16_t d;
    uint8_t qs[16];
} BLOCK_PACKED;

/* 16 sub-blocks of 16: d * scale * q - dmin * min. scales: scale in the low, min in the
 * high nibble. qs: 2-bit codes; byte 32n + l has those of elements 128n + 32j + l, j =
 * 0..3, from the low bits up. */
struct block_q2_k {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
} BLOCK_PACKED;

/* 16 sub-blocks of 16: d * (scale - 32) * (q - 4). hmask: bit b of byte l is bit 2 of
 * element 32b + l. qs as in Q2_K. scales: 16 numbers of 6 bits; the low four bits are
 * nibbles of bytes 0..7 (low nibbles are 0..7), the high two lie in bytes 8..11. */
struct block_q3_k {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
} BLOCK_PACKED;

/* 8 sub-blocks of 32: d * scale * q - dmin * min. scales: see block_scale_min. qs: byte
 * 32g + l has elements 64g + l (low nibble) and 64g + 32 + l. */
struct block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qs[128];
} BLOCK_PACKED;

/* As Q4_K; bit b of qh[l] is bit 4 of element 32b + l. */
struct block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
} BLOCK_PACKED;

/* 16 sub-blocks of 16: d * scale * (q - 32). For half n of the block and quarter j of
 * it: low four bits in nibble j / 2 of ql[64n + 32(j % 2) + l], high two in bits 2j of
 * qh[32n + l]. */
struct block_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
} BLOCK_PACKED;

/* 8 sub-blocks of 32: d * (scale - 32) * table[q]. scale of sub-block b: low four bits
 * in nibble b of scales_l, high two in bits 2b of scales_h. Each sub-block's 16 bytes
 * of qs are laid out as in IQ4_NL. */
struct block_iq4_xs {
    uint16_t d, scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
} BLOCK_PACKED;

static_assert(sizeof(struct block_q4_0) == 18, "Q4_0 is 18 bytes");
static_assert(sizeof(struct block_q4_1) == 20, "Q4_1 is 20 bytes");
static_assert(sizeof(struct block_q5_0) == 22, "Q5_0 is 22 bytes");
static_assert(sizeof(struct block_q5_1) == 24, "Q5_1 is 24 bytes");
static_assert(sizeof(struct block_q8_0) == 34, "Q8_0 is 34 bytes");
static_assert(sizeof(struct block_iq4_nl) == 18, "IQ4_NL is 18 bytes");
static_assert(sizeof(struct block_q2_k) == 84, "Q2_K is 84 bytes");
static_assert(sizeof(struct block_q3_k) == 110, "Q3_K is 110 bytes");
static_assert(sizeof(struct block_q4_k) == 144, "Q4_K is 144 bytes");
static_assert(sizeof(struct block_q5_k) == 176, "Q5_K is 176 bytes");
static_assert(sizeof(struct block_q6_k) == 210, "Q6_K is 210 bytes");
static_assert(sizeof(struct block_iq4_xs) == 136, "IQ4_XS is 136 bytes");

/* What the 4-bit codes of IQ4_NL and IQ4_XS stand for. */
static const int8_t block_iq4_values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
};

/* The 6-bit scale and min of sub-block b (0..7) of a Q4_K or Q5_K block. The first four
 * scales and mins are the low six bits of bytes 0..3 and 4..7; the last four have their
 * low four bits in the nibbles of bytes 8..11 and their high two in the top bits of
 * bytes 0..7. */
static inline void block_scale_min(const uint8_t *s, int b, uint8_t *scale,
                                   uint8_t *min)
{
    if (b < 4) {
        *scale = s[b] & 63;
        *min = s[b + 4] & 63;
    } else {
        *scale = (uint8_t)((s[b + 4] & 15) | (s[b - 4] >> 6) << 4);
        *min = (uint8_t)((s[b + 4] >> 4) | (s[b] >> 6) << 4);
    }
}

/* Scale of sub-block s (0..15) of a Q3_K block, -32..31. */
static inline int block_q3_k_scale(const uint8_t *scales, int s)
{
    int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    int high = (scales[8 + s % 4] >> 2 * (s / 4)) & 3;

    return (low | high << 4) - 32;
}

/* Scale of sub-block b (0..7) of an IQ4_XS block, -32..31. */
static inline int block_iq4_xs_scale(const struct block_iq4_xs *block, int b)
{
    int low = (block->scales_l[b / 2] >> 4 * (b % 2)) & 15;
    int high = (block->scales_h >> 2 * b) & 3;

    return (low | high << 4) - 32;
}

#endif
