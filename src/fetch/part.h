/* SPDX-License-Identifier: MIT
 *
 * A file that is still coming: NAME.part, and beside it NAME.journal, which says which
 * of its blocks are there.
 *
 * The journal, little-endian; a change of the fixed part is a new version:
 *
 *   offset  bytes
 *        0      8  "HADALPRT"
 *        8      4  version, 2
 *       12      4  bytes in a block
 *       16      8  bytes in the whole file
 *       24    512  what identifies the file (digest or ETag), NUL-padded
 *      536     32  SHA-256 of bytes 0 to 535
 *      568      .  for each block 16 bytes, its digest_check; zeroes: not here
 *
 * A block's check is written after its bytes, so a kill at any moment loses at most
 * the blocks in hand. What a power cut may tear is found by part_recheck: journal and
 * bytes must agree. One thread at a time; the owner holds the lock of the store.
 */
#ifndef HADAL_FETCH_PART_H
#define HADAL_FETCH_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/digest.h"
#include "src/base/err.h"

enum { PART_IDENTITY_CAP = 512 };

struct part {
    int dir_fd; /* borrowed */
    int fd, journal_fd;
    char *name, *journal_name; /* in the folder */
    char *shown;               /* for messages */
    int64_t size;
    int64_t block_bytes;
    size_t n_blocks, n_done;
    int64_t done_bytes;
    unsigned char *check;   /* (n_blocks, DIGEST_CHECK_BYTES) */
    int64_t unsynced_bytes; /* written since the last part_sync */
    double synced_at;
};

/* Opens or makes the part of a file. One that was begun for another identity or size
 * is emptied. `folder` is for messages. ERR_IO. */
bool part_open(struct part *p, int dir_fd, const char *folder, const char *name,
               int64_t size, const char *identity, struct err *err) MUST_USE;
void part_close(struct part *p); /* accepts zeroed storage; what is on disk stays */

int64_t part_block_start(const struct part *p, size_t block);
size_t part_block_len(const struct part *p, size_t block);
bool part_has(const struct part *p, size_t block);
/* Writes a whole block and notes it; *is_new is false where it was here already, with
 * the same bytes. */
bool part_put(struct part *p, size_t block, const void *data, bool *is_new,
              struct err *err) MUST_USE;
/* Reads a whole block into data (block_bytes large). */
bool part_get(const struct part *p, size_t block, void *data, struct err *err) MUST_USE;
/* From now on the block is not here. */
bool part_forget(struct part *p, size_t block, struct err *err) MUST_USE;
/* Forgets the blocks whose bytes are not those of the journal; says how many. */
bool part_recheck(struct part *p, size_t *n_forgotten, struct err *err) MUST_USE;

/* Everything to the disk. */
bool part_sync(struct part *p, struct err *err) MUST_USE;
/* The whole file is here and right: it gets its name, the journal goes. */
bool part_finish(struct part *p, const char *final_name, struct err *err) MUST_USE;

#endif
