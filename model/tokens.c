/* SPDX-License-Identifier: MIT
 *
 * A growing list of token ids: see tokens.h.
 */
#include "config.h"

#include "model/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

void tokens_add(struct tokens *t, int32_t id)
{
    t->id = mem_grow(t->id, &t->cap, t->len + 1, sizeof(*t->id));
    t->id[t->len++] = id;
}

void tokens_add_all(struct tokens *t, const int32_t *id, size_t n)
{
    if (n == 0)
        return;
    t->id = mem_grow(t->id, &t->cap, t->len + n, sizeof(*t->id));
    memcpy(t->id + t->len, id, n * sizeof(*id));
    t->len += n;
}

void tokens_clear(struct tokens *t)
{
    t->len = 0;
}

void tokens_release(struct tokens *t)
{
    free(t->id);
    memset(t, 0, sizeof(*t));
}
