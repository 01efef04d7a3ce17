/* SPDX-License-Identifier: MIT
 *
 * UTF-8: decoding, repair, and the half characters of a stream.
 *
 * Ill-formed input is replaced by one U+FFFD for each maximal subpart (Unicode 15,
 * table 3-7 and section 3.9; the practice of WHATWG and of Python's "replace").
 */
#ifndef HADAL_BASE_UTF8_H
#define HADAL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"

/* Decodes one character at text[0..len), len > 0. Returns the bytes taken (>= 1) and
 * the code point; U+FFFD where those bytes are ill-formed (*valid false, if given). */
size_t utf8_decode(const char *text, size_t len, uint32_t *code_point, bool *valid);

/* Writes a code point (a scalar value) to out; returns 1 to 4. */
size_t utf8_encode(uint32_t code_point, char out[4]);

bool utf8_is_valid(const char *text, size_t len);

/* Appends text with ill-formed parts replaced. False when out's maximum is reached. */
bool utf8_repair(struct buf *out, const char *text, size_t len);

/* How many bytes at the end (0 to 3) are the beginning of a character that later bytes
 * could complete: hold them back. */
size_t utf8_incomplete_tail(const char *text, size_t len);

/* A stream of bytes (a model's tokens) to whole characters. */
struct utf8_stream {
    char held[4];
    size_t n_held;
};

/* Appends what can be shown now: complete characters, U+FFFD for what can no longer
 * become one (a surrogate: at its third byte). Keeps up to 3 bytes back. */
void utf8_stream_add(struct utf8_stream *s, const char *bytes, size_t len,
                     struct buf *out);
/* End of the stream: a held-back beginning becomes U+FFFD. */
void utf8_stream_end(struct utf8_stream *s, struct buf *out);

#endif
