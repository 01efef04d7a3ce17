/* SPDX-License-Identifier: MIT
 *
 * The cache, written: see store.h.
 */
#include "config.h"

#include "src/fetch/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/path.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600 };

/* The folder `name` below dir_fd, made where missing, never through a link. */
static int open_folder(int dir_fd, const char *name, enum store_use use)
{
    if (use == STORE_WRITE && mkdirat(dir_fd, name, FOLDER_MODE) != 0 &&
        errno != EEXIST)
        return -1;
    return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The folder that holds the last component of path below dir_fd, made where missing;
 * *last points to that component. -1 with errno. */
static int open_parent(int dir_fd, const char *path, const char **last)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    const char *slash;

    while (fd >= 0 && (slash = strchr(path, '/')) != NULL) {
        char *name = mem_dup_n(path, (size_t)(slash - path));
        int next = open_folder(fd, name, STORE_WRITE);
        int saved = errno;

        free(name);
        close(fd);
        errno = saved;
        fd = next;
        path = slash + 1;
    }
    *last = path;
    return fd;
}

/* Opens the folders below the cache's own. False with errno. */
static bool open_folders(struct store *s, int cache_fd, const char *folder,
                         enum store_use use)
{
    int locks_fd = open_folder(cache_fd, ".locks", use);
    int saved;

    if (locks_fd >= 0)
        s->locks_fd = open_folder(locks_fd, folder, use);
    if (s->locks_fd >= 0 || use == STORE_LOOK)
        s->repo_fd = open_folder(cache_fd, folder, use);
    if (s->repo_fd >= 0)
        s->blobs_fd = open_folder(s->repo_fd, "blobs", use);
    saved = errno;
    if (locks_fd >= 0)
        close(locks_fd);
    errno = saved;
    return s->blobs_fd >= 0;
}

bool store_open(struct store *s, const char *cache, const char *folder,
                enum store_use use, struct err *err)
{
    int cache_fd = -1;
    bool ok;

    memset(s, 0, sizeof(*s));
    s->use = use;
    s->repo_fd = s->blobs_fd = s->locks_fd = -1;
    s->path = path_join(cache, folder);
    s->blobs_path = path_join(s->path, "blobs");
    if (use == STORE_WRITE && !file_make_dirs(cache, err))
        goto fail;
    cache_fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok = cache_fd >= 0 && open_folders(s, cache_fd, folder, use);
    if (!ok && !(use == STORE_LOOK && errno == ENOENT)) {
        err_set_errno(err, ERR_IO, errno, "cannot %s the folder '%s'",
                      use == STORE_WRITE ? "make" : "open", s->path);
        goto fail;
    }
    if (cache_fd >= 0)
        close(cache_fd);
    return true;
fail:
    if (cache_fd >= 0)
        close(cache_fd);
    store_close(s);
    return false;
}

void store_close(struct store *s)
{
    const int fds[] = {s->repo_fd, s->blobs_fd, s->locks_fd};

    if (s->path == NULL)
        return;
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (s->use == STORE_WRITE && rmdir(s->blobs_path) == 0)
        (void)rmdir(s->path);
    free(s->path);
    free(s->blobs_path);
    memset(s, 0, sizeof(*s));
}

bool store_has_blob(const struct store *s, const char *blob, int64_t size)
{
    struct stat st;

    return fstatat(s->blobs_fd, blob, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && (size < 0 || st.st_size == size);
}

int store_try_lock(const struct store *s, const char *blob, int *fd, struct err *err)
{
    struct buf name;

    buf_init(&name, 4096);
    buf_addf(&name, "%s.lock", blob);
    *fd = openat(s->locks_fd, buf_text(&name),
                 O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, FILE_MODE);
    buf_release(&name);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return 1;
    if (*fd >= 0 && errno == EWOULDBLOCK) {
        close(*fd);
        *fd = -1;
        return 0;
    }
    err_set_errno(err, ERR_IO, errno, "cannot lock a file of '%s'", s->path);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -1;
}

/* A name beside `name` that nobody else uses. */
static void temporary_name(const char *name, struct buf *out)
{
    buf_init(out, 1024);
    buf_addf(out, ".%.200s.%ld.new", name, (long)getpid());
}

/* What a link in snapshots/COMMIT/NAME says: as many steps up as NAME has folders, and
 * two more. */
static void link_target(const char *name, const char *blob, struct buf *out)
{
    buf_init(out, 16384);
    buf_add_text(out, "../../");
    for (; *name != '\0'; name++)
        if (*name == '/')
            buf_add_text(out, "../");
    buf_addf(out, "blobs/%s", blob);
}

bool store_link(const struct store *s, const char *commit, const char *name,
                const char *blob, struct err *err)
{
    const char *last;
    struct buf path, target, temporary;
    int fd;
    bool ok = false;

    buf_init(&path, 16384);
    buf_addf(&path, "snapshots/%s/%s", commit, name);
    link_target(name, blob, &target);
    fd = open_parent(s->repo_fd, buf_text(&path), &last);
    temporary_name(last, &temporary);
    if (fd >= 0) {
        (void)unlinkat(fd, buf_text(&temporary), 0);
        ok = symlinkat(buf_text(&target), fd, buf_text(&temporary)) == 0 &&
             renameat(fd, buf_text(&temporary), fd, last) == 0;
    }
    if (!ok)
        err_set_errno(err, ERR_IO, errno, "cannot make the link '%s/%s'", s->path,
                      buf_text(&path));
    if (fd >= 0) {
        if (!ok)
            (void)unlinkat(fd, buf_text(&temporary), 0);
        close(fd);
    }
    buf_release(&temporary);
    buf_release(&target);
    buf_release(&path);
    return ok;
}

bool store_set_ref(const struct store *s, const char *revision, const char *commit,
                   struct err *err)
{
    const char *last;
    struct buf path, temporary;
    int dir_fd;
    int fd = -1;
    bool ok = false;

    buf_init(&path, 16384);
    buf_addf(&path, "refs/%s", revision);
    dir_fd = open_parent(s->repo_fd, buf_text(&path), &last);
    temporary_name(last, &temporary);
    if (dir_fd >= 0) {
        (void)unlinkat(dir_fd, buf_text(&temporary), 0);
        fd = openat(dir_fd, buf_text(&temporary),
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    }
    if (fd >= 0)
        ok = file_write_fd(fd, "a ref", commit, strlen(commit), NULL) &&
             fsync(fd) == 0 &&
             renameat(dir_fd, buf_text(&temporary), dir_fd, last) == 0;
    if (!ok)
        err_set_errno(err, ERR_IO, errno, "cannot write '%s/%s'", s->path,
                      buf_text(&path));
    if (fd >= 0)
        close(fd);
    if (dir_fd >= 0)
        close(dir_fd);
    buf_release(&temporary);
    buf_release(&path);
    return ok;
}

char *store_path(const struct store *s, const char *commit, const char *name)
{
    struct buf path;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/snapshots/%s%s%s", s->path, commit, name[0] != '\0' ? "/" : "",
             name);
    return buf_take(&path, NULL);
}

int64_t store_free_bytes(const struct store *s)
{
    struct statvfs v;
    char *path = mem_dup(s->blobs_path);
    bool ok = s->blobs_fd >= 0 && fstatvfs(s->blobs_fd, &v) == 0;
    char *slash;

    /* What is not there yet would be made in a folder that is. */
    while (!ok && (slash = strrchr(path, '/')) != NULL && slash > path) {
        *slash = '\0';
        ok = statvfs(path, &v) == 0;
    }
    free(path);
    return ok ? (int64_t)(v.f_bavail * v.f_frsize) : -1;
}
