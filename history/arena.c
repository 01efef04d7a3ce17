/* SPDX-License-Identifier: MIT
 *
 * struct arena: see arena.h. A list of chunks, the newest first; a piece that does not
 * fit gets a chunk of its own size at least.
 */
#include "config.h"

#include "history/arena.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

#define CHUNK_BYTES 16384

struct arena {
    struct arena *older;
    size_t used, size; /* of data */
    char data[];
};

char *arena_copy(struct arena **arena, const void *data, size_t len)
{
    struct arena *chunk = *arena;
    char *copy;

    if (chunk == NULL || chunk->size - chunk->used < len + 1) {
        size_t size = len + 1 > CHUNK_BYTES ? len + 1 : CHUNK_BYTES;

        chunk = mem_alloc(sizeof(*chunk) + size);
        chunk->older = *arena;
        chunk->used = 0;
        chunk->size = size;
        *arena = chunk;
    }
    copy = chunk->data + chunk->used;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    chunk->used += len + 1;
    return copy;
}

void arena_release(struct arena *arena)
{
    while (arena != NULL) {
        struct arena *older = arena->older;

        free(arena);
        arena = older;
    }
}
