/* SPDX-License-Identifier: MIT
 *
 * Files: see file.h.
 */
#include "config.h"

#include "src/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"

bool file_map_open(struct file_map *map, const char *path, struct err *err)
{
    struct stat st;
    void *data;

    memset(map, 0, sizeof(*map));
    map->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (map->fd < 0)
        return err_set_errno(err, ERR_MODEL, errno, "cannot open '%s'", path);
    if (fstat(map->fd, &st) != 0) {
        err_set_errno(err, ERR_MODEL, errno, "cannot stat '%s'", path);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(err, ERR_MODEL, "%s: not a regular file", path);
        goto fail;
    }
    if (st.st_size == 0)
        return true;
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, map->fd, 0);
    if (data == MAP_FAILED) {
        err_set_errno(err, errno == ENOMEM ? ERR_MEMORY : ERR_MODEL, errno,
                      "cannot map '%s' (%lld bytes)", path, (long long)st.st_size);
        goto fail;
    }
    map->data = data;
    map->size = (size_t)st.st_size;
    return true;
fail:
    close(map->fd);
    map->fd = -1;
    return false;
}

void file_map_close(struct file_map *map)
{
    if (map->data != NULL) {
        /* munmap wants a pointer to non-const, and changes nothing through it. */
        union {
            const unsigned char *c;
            void *v;
        } u = {.c = map->data};
        munmap(u.v, map->size);
    }
    if (map->fd > 0)
        close(map->fd);
    memset(map, 0, sizeof(*map));
    map->fd = -1;
}

bool file_read_fd(int fd, const char *what, struct buf *out, struct err *err)
{
    char chunk[16384]; /* small stacks exist: ulimit -s 64 */

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n == 0)
            return true;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, ERR_IO, errno, "cannot read %s", what);
        if (!buf_add(out, chunk, (size_t)n))
            return err_set(err, ERR_IO, "cannot read %s: more than %zu bytes", what,
                           out->max);
    }
}

static bool read_and_close(int fd, const char *path, enum err_kind kind,
                           struct buf *out, struct err *err)
{
    char what[512];
    bool ok;

    snprintf(what, sizeof(what), "'%s'", path);
    ok = file_read_fd(fd, what, out, err);
    if (!ok && err != NULL)
        err->kind = kind;
    close(fd);
    return ok;
}

bool file_read(const char *path, enum err_kind kind, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_set_errno(err, kind, errno, "cannot open '%s'", path);
    return read_and_close(fd, path, kind, out, err);
}

bool file_read_regular(const char *path, enum err_kind kind, struct buf *out,
                       struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return err_set_errno(err, kind, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(err, kind, "%s: not a regular file", path);
    }
    return read_and_close(fd, path, kind, out, err);
}

bool file_write_fd(int fd, const char *what, const void *data, size_t len,
                   struct err *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, ERR_IO, errno, "cannot write %s", what);
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_replace(const char *path, const void *data, size_t len, struct err *err)
{
    struct buf tmp;
    int fd = -1;
    char what[512];

    buf_init(&tmp, 8192);
    snprintf(what, sizeof(what), "'%s'", path);
    if (!buf_addf(&tmp, "%s.XXXXXX", path))
        return err_set(err, ERR_IO, "cannot write %s: the path is too long", what);
    fd = mkstemp(tmp.data);
    if (fd < 0) {
        err_set_errno(err, ERR_IO, errno, "cannot create a file beside %s", what);
        buf_release(&tmp);
        return false;
    }
    if (!file_write_fd(fd, what, data, len, err))
        goto fail;
    if (fsync(fd) != 0) {
        err_set_errno(err, ERR_IO, errno, "cannot write %s", what);
        goto fail;
    }
    if (rename(tmp.data, path) != 0) {
        err_set_errno(err, ERR_IO, errno, "cannot replace %s", what);
        goto fail;
    }
    close(fd);
    buf_release(&tmp);
    return true;
fail:
    close(fd);
    unlink(tmp.data);
    buf_release(&tmp);
    return false;
}

bool file_make_dirs(const char *path, struct err *err)
{
    char *copy = mem_dup(path);
    char *at = copy;
    bool ok = true;

    while (ok && at != NULL) {
        at = strchr(at + 1, '/');
        if (at != NULL)
            *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            ok = err_set_errno(err, ERR_IO, errno, "cannot make the folder '%s'", copy);
        if (at != NULL)
            *at = '/';
    }
    free(copy);
    return ok;
}
