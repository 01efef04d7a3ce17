/* SPDX-License-Identifier: MIT
 *
 * Files: read-only maps, whole reads with a limit, atomic writes, private folders.
 */
#ifndef HADAL_BASE_FILE_H
#define HADAL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"
#include "src/base/err.h"

/* A file mapped read-only. The map is private and shared with the page cache; the
 * descriptor stays open so that the size can be compared again. */
struct file_map {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;
    int fd;
};

/* Fails (ERR_MODEL: this is how weights are opened) where the path is missing, no
 * regular file, or cannot be mapped. */
bool file_map_open(struct file_map *map, const char *path, struct err *err) MUST_USE;
void file_map_close(struct file_map *map); /* accepts zeroed storage with fd 0 or -1 */

/* Appends the rest of fd to *out. Fails with ERR_IO on a read error and where more
 * than out's maximum comes; `what` names the input in the message. */
bool file_read_fd(int fd, const char *what, struct buf *out, struct err *err) MUST_USE;

/* Appends the content of the file at path to *out. kind is the error kind to use. */
bool file_read(const char *path, enum err_kind kind, struct buf *out,
               struct err *err) MUST_USE;
/* The same of a file that the user did not name: a pipe or a device, which could keep
 * the reader for ever, is refused. */
bool file_read_regular(const char *path, enum err_kind kind, struct buf *out,
                       struct err *err) MUST_USE;

/* Writes all of data to fd, over short writes and EINTR. ERR_IO names `what`. */
bool file_write_fd(int fd, const char *what, const void *data, size_t len,
                   struct err *err) MUST_USE;

/* Replaces path by data: temporary file beside it (0600), fsync, rename. */
bool file_replace(const char *path, const void *data, size_t len,
                  struct err *err) MUST_USE;

/* Makes the folder and its missing parents, those that it makes 0700. */
bool file_make_dirs(const char *path, struct err *err) MUST_USE;

#endif
