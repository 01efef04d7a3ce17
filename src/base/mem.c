/* SPDX-License-Identifier: MIT
 *
 * Memory: see mem.h.
 */
#include "config.h"

#include "src/base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*on_failure)(void);

void mem_on_failure(void (*fn)(void))
{
    on_failure = fn;
}

_Noreturn static void out_of_memory(void)
{
    static const char line[] = "hadal: out of memory: nothing more can be done\n";

    if (on_failure != NULL)
        on_failure();
    (void)!write(STDERR_FILENO, line, sizeof(line) - 1);
    _exit(7);
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size);

    if (p == NULL)
        out_of_memory();
    return p;
}

void *mem_zalloc(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (p == NULL)
        out_of_memory();
    return p;
}

char *mem_dup(const char *text)
{
    return mem_dup_n(text, strlen(text));
}

char *mem_dup_n(const char *text, size_t len)
{
    char *p = mem_alloc(len + 1);

    memcpy(p, text, len);
    p[len] = '\0';
    return p;
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
    size_t want = *cap + *cap / 2;
    size_t bytes;

    if (need <= *cap)
        return p;
    if (want < need)
        want = need;
    if (want < 8)
        want = 8;
    if (__builtin_mul_overflow(want, size, &bytes))
        out_of_memory();
    p = realloc(p, bytes);
    if (p == NULL)
        out_of_memory();
    *cap = want;
    return p;
}

void *mem_try(size_t n, size_t size, const char *what, struct err *err)
{
    size_t bytes;
    size_t padded;
    void *p = NULL;

    if (!__builtin_mul_overflow(n, size, &bytes) &&
        !__builtin_add_overflow(bytes, (size_t)63, &padded))
        p = aligned_alloc(64, padded & ~(size_t)63);
    if (p == NULL) {
        err_set(err, ERR_MEMORY, "not enough memory for %s (%.1f MiB)", what,
                (double)n * (double)size / (1024.0 * 1024.0));
        return NULL;
    }
    memset(p, 0, bytes);
    return p;
}
