/* SPDX-License-Identifier: MIT
 *
 * Memory. Small allocations abort the program with one line when memory is out
 * (mem_alloc and friends); sizes that come from files or from the user's settings go
 * through mem_try, which reports. Asking for zero bytes is a bug.
 */
#ifndef HADAL_BASE_MEM_H
#define HADAL_BASE_MEM_H

#include <stddef.h>

#include "src/base/err.h"

/* Never NULL. The caller frees with free(). */
void *mem_alloc(size_t size) MUST_USE;
void *mem_zalloc(size_t size) MUST_USE;              /* zeroed */
void *mem_array(size_t n, size_t size) MUST_USE;     /* zeroed, n * size checked */
char *mem_dup(const char *text) MUST_USE;            /* copy of a C string */
char *mem_dup_n(const char *text, size_t len) MUST_USE; /* NUL added */

/* Makes room for at least `need` elements of `size` bytes in *p, whose capacity in
 * elements is *cap; grows by half at least, so that appending is linear. Returns the
 * new *p. */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size) MUST_USE;

/* n * size zeroed bytes aligned to 64, or NULL with err (ERR_MEMORY) naming `what`.
 * Freed with free(). */
void *mem_try(size_t n, size_t size, const char *what, struct err *err) MUST_USE;

/* Called (once) before the abort of an allocation that failed, to give the terminal
 * back. Set by the program's main; must be async-signal-safe. */
void mem_on_failure(void (*fn)(void));

#endif
