/* SPDX-License-Identifier: MIT
 *
 * A growing list of token ids.
 */
#ifndef HADAL_MODEL_TOKENS_H
#define HADAL_MODEL_TOKENS_H

#include <stddef.h>
#include <stdint.h>

struct tokens {
    int32_t *id; /* owned */
    size_t len, cap;
};

void tokens_add(struct tokens *t, int32_t id);
void tokens_add_all(struct tokens *t, const int32_t *id, size_t n);
void tokens_clear(struct tokens *t);
void tokens_release(struct tokens *t); /* accepts zeroed storage */

#endif
