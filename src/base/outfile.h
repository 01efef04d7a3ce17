/* SPDX-License-Identifier: MIT
 *
 * A large file that is written in a stream and appears whole or not at all: it grows
 * as PATH.hadal-part beside its place and is renamed when it is complete. A device or a
 * pipe is written directly.
 */
#ifndef HADAL_BASE_OUTFILE_H
#define HADAL_BASE_OUTFILE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct outfile {
    int fd;
    char *path; /* where it goes; a symbolic link's target; owned */
    char *part; /* owned; NULL where there is none to rename */
};

/* ERR_IO: a folder, no such folder, not writable, or another process is writing it.
 * What an earlier process left of PATH.hadal-part is overwritten. */
bool outfile_open(struct outfile *o, const char *path, struct err *err) MUST_USE;

/* Claims the space of `bytes` now, so that a full disk is known early; where the file
 * system cannot tell, the writes will. */
bool outfile_reserve(struct outfile *o, int64_t bytes, struct err *err) MUST_USE;
bool outfile_write(struct outfile *o, const void *data, size_t len,
                   struct err *err) MUST_USE;

/* To disk and to its place. */
bool outfile_commit(struct outfile *o, struct err *err) MUST_USE;
void outfile_close(struct outfile *o); /* takes away what was not committed */

#endif
