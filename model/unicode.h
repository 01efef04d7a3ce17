/* SPDX-License-Identifier: MIT
 *
 * The class of a code point, as the regular expressions of pre-tokenizers see it: the
 * general category's group (\p{L}, \p{N}, ...) and White_Space (\s). No code point is
 * in two of them. Data: unicode_tables.c, generated; pinned to one version of Unicode.
 */
#ifndef HADAL_MODEL_UNICODE_H
#define HADAL_MODEL_UNICODE_H

#include <stdint.h>

enum unicode_class {
    UNICODE_LETTER = 'L',
    UNICODE_NUMBER = 'N',
    UNICODE_PUNCTUATION = 'P',
    UNICODE_SYMBOL = 'S',
    UNICODE_MARK = 'M',
    UNICODE_SPACE = '_',
    UNICODE_OTHER = '.', /* controls, format characters, unassigned */
};

extern const unsigned char unicode_block[0x1100]; /* code point / 256 -> row below */
extern const char unicode_classes[][256];

/* code_point must be below 0x110000. */
static inline enum unicode_class unicode_class_of(uint32_t code_point)
{
    unsigned row = unicode_block[code_point >> 8];

    return (enum unicode_class)unicode_classes[row][code_point & 0xFF];
}

#endif
