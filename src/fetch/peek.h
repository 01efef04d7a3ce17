/* SPDX-License-Identifier: MIT
 *
 * What the first bytes of a GGUF file say before the rest is fetched: how much of a
 * mixture of experts a token reads. Pure, and content with a file that breaks off
 * anywhere or is none.
 */
#ifndef HADAL_FETCH_PEEK_H
#define HADAL_FETCH_PEEK_H

#include <stddef.h>

enum { PEEK_BYTES = 64 * 1024 }; /* enough for all keys before the vocabulary */

/* The share of the weights that is read for one token, in (0, 1]; 1 where all are, or
 * where the bytes do not tell. An estimate from the model's dimensions. */
double peek_read_share(const void *data, size_t len);

#endif
