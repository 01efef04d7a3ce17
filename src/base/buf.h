/* SPDX-License-Identifier: MIT
 *
 * struct buf: the one growing byte buffer. Made with a maximum, so that no input can
 * make it grow without end; always NUL-terminated after the first append, though it
 * may hold NUL bytes itself.
 */
#ifndef HADAL_BASE_BUF_H
#define HADAL_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct buf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /* bytes it may hold at most */
};

/* The maximum of a buffer whose input is bounded elsewhere: room for the NUL stays. */
#define BUF_UNLIMITED (SIZE_MAX - 1)

void buf_init(struct buf *buf, size_t max_bytes);

/* Appending returns false, and changes nothing, when the maximum would be passed. The
 * result may be ignored only where the maximum cannot be reached. */
bool buf_add(struct buf *buf, const void *data, size_t len);
bool buf_add_text(struct buf *buf, const char *text);
bool buf_add_char(struct buf *buf, char c);
bool buf_addf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Drops the first n bytes. */
void buf_drop(struct buf *buf, size_t n);

/* "" for an empty buffer; valid until the next call. */
const char *buf_text(const struct buf *buf);

/* The bytes, NUL-terminated, now the caller's (free()); the buffer is empty again. */
char *buf_take(struct buf *buf, size_t *len);

void buf_clear(struct buf *buf);   /* empty, capacity kept */
void buf_release(struct buf *buf); /* memory given back; accepts zeroed storage */

#endif
