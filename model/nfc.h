/* SPDX-License-Identifier: MIT
 *
 * Normalization Form C, which Qwen2's tokenizer asks for.
 */
#ifndef HADAL_MODEL_NFC_H
#define HADAL_MODEL_NFC_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"
#include "src/base/err.h"

/* True when text is surely NFC already: no character from U+0300 on. */
bool nfc_is_plain(const char *text, size_t len);

/* Appends text (valid UTF-8) in NFC. ERR_MEMORY. Linear but for a logarithm, also on a
 * megabyte of combining marks. */
bool nfc_add(struct buf *out, const char *text, size_t len, struct err *err) MUST_USE;

#endif
