/* SPDX-License-Identifier: MIT
 *
 * Files that appear whole: see outfile.h.
 */
#include "config.h"

#include "src/base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/path.h"

static bool fail(const struct outfile *o, const char *what, struct err *err)
{
    return err_set_errno(err, ERR_IO, errno, "cannot %s '%s'", what, o->path);
}

/* Devices and pipes have no place to be renamed to. */
static bool open_direct(struct outfile *o, struct err *err)
{
    o->fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return o->fd >= 0 || fail(o, "write", err);
}

/* mode: what the file's permissions shall be, or 0: as the umask says. */
static bool open_part(struct outfile *o, mode_t mode, struct err *err)
{
    o->part = path_add_suffix(o->path, ".hadal-part");
    o->fd = open(o->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (o->fd < 0) {
        fail(o, "create", err);
        free(o->part); /* not ours to take away */
        o->part = NULL;
        return false;
    }
    if (flock(o->fd, LOCK_EX | LOCK_NB) != 0) {
        err_set(err, ERR_IO, "cannot write '%s': another process is writing '%s'",
                o->path, o->part);
        free(o->part);
        o->part = NULL;
        return false;
    }
    if (ftruncate(o->fd, 0) != 0 || (mode != 0 && fchmod(o->fd, mode) != 0))
        return fail(o, "write", err);
    return true;
}

bool outfile_open(struct outfile *o, const char *path, struct err *err)
{
    struct stat st;
    bool ok;

    memset(o, 0, sizeof(*o));
    o->fd = -1;
    o->path = realpath(path, NULL);
    if (o->path == NULL)
        o->path = mem_dup(path);
    if (stat(o->path, &st) != 0)
        ok = errno == ENOENT ? open_part(o, 0, err) : fail(o, "write", err);
    else if (S_ISDIR(st.st_mode))
        ok = err_set(err, ERR_IO, "cannot write '%s': it is a folder", path);
    else if (!S_ISREG(st.st_mode))
        ok = open_direct(o, err);
    else if (access(o->path, W_OK) != 0)
        ok = fail(o, "write", err);
    else
        ok = open_part(o, st.st_mode & 0777, err);
    if (!ok)
        outfile_close(o);
    return ok;
}

bool outfile_reserve(struct outfile *o, int64_t bytes, struct err *err)
{
    if (o->part == NULL || bytes <= 0 || fallocate(o->fd, 0, 0, bytes) == 0)
        return true;
    if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)
        return fail(o, "write", err);
    return true;
}

bool outfile_write(struct outfile *o, const void *data, size_t len, struct err *err)
{
    if (file_write_fd(o->fd, "", data, len, NULL))
        return true;
    return fail(o, "write", err);
}

bool outfile_commit(struct outfile *o, struct err *err)
{
    int fd = o->fd;

    if (o->part != NULL && (fsync(fd) != 0 || rename(o->part, o->path) != 0))
        return fail(o, "write", err);
    free(o->part);
    o->part = NULL;
    o->fd = -1;
    return close(fd) == 0 || fail(o, "write", err);
}

void outfile_close(struct outfile *o)
{
    if (o->part != NULL)
        unlink(o->part);
    if (o->fd >= 0)
        close(o->fd);
    free(o->part);
    free(o->path);
    memset(o, 0, sizeof(*o));
    o->fd = -1;
}
