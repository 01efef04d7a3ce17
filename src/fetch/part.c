/* SPDX-License-Identifier: MIT
 *
 * Parts and their journals: see part.h.
 */
#include "config.h"

#include "src/fetch/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/path.h"

enum {
    JOURNAL_VERSION = 2,
    AT_VERSION = 8,
    AT_BLOCK = 12,
    AT_SIZE = 16,
    AT_IDENTITY = 24,
    AT_CHECK = AT_IDENTITY + PART_IDENTITY_CAP,
    HEAD_BYTES = AT_CHECK + DIGEST_SHA256_BYTES,
    BLOCK_SMALL = 64 * 1024,
    BLOCK_LARGE = 1024 * 1024,
    SYNC_BYTES = 256 * 1024 * 1024,
};

static const double sync_after_s = 10;
static const char magic[8] = {'H', 'A', 'D', 'A', 'L', 'P', 'R', 'T'};
static const unsigned char no_check[DIGEST_CHECK_BYTES];

static void put_number(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* Small blocks where little comes at all: a kill then loses little of it. */
static int64_t block_bytes_for(int64_t size)
{
    return size < (int64_t)64 * BLOCK_LARGE ? BLOCK_SMALL : BLOCK_LARGE;
}

int64_t part_block_start(const struct part *p, size_t block)
{
    return (int64_t)block * p->block_bytes;
}

size_t part_block_len(const struct part *p, size_t block)
{
    int64_t left = p->size - part_block_start(p, block);

    return (size_t)(left < p->block_bytes ? left : p->block_bytes);
}

static unsigned char *check_of(const struct part *p, size_t block)
{
    return p->check + block * DIGEST_CHECK_BYTES;
}

bool part_has(const struct part *p, size_t block)
{
    return memcmp(check_of(p, block), no_check, DIGEST_CHECK_BYTES) != 0;
}

/* ---- reading and writing whole ---- */

static bool write_at(int fd, const void *data, size_t len, int64_t at)
{
    const char *bytes = data;

    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* False with errno 0 where the file ends early. */
static bool read_at(int fd, void *data, size_t len, int64_t at)
{
    char *bytes = data;

    while (len > 0) {
        ssize_t n = pread(fd, bytes, len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                errno = 0;
            return false;
        }
        bytes += n;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool write_failed(const struct part *p, struct err *err)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return err_set_errno(err, ERR_IO, errno,
                             "cannot write '%s' (%lld bytes are still to come; what is "
                             "there is kept: make room and pull again)",
                             p->shown, (long long)(p->size - p->done_bytes));
    return err_set_errno(err, ERR_IO, errno, "cannot write '%s'", p->shown);
}

/* ---- the journal ---- */

static bool make_head(const struct part *p, const char *identity,
                      unsigned char head[HEAD_BYTES], struct err *err)
{
    memset(head, 0, HEAD_BYTES);
    memcpy(head, magic, sizeof(magic));
    put_number(head + AT_VERSION, JOURNAL_VERSION, 4);
    put_number(head + AT_BLOCK, (uint64_t)p->block_bytes, 4);
    put_number(head + AT_SIZE, (uint64_t)p->size, 8);
    memcpy(head + AT_IDENTITY, identity, strnlen(identity, PART_IDENTITY_CAP));
    return digest_sha256(head, AT_CHECK, head + AT_CHECK, err);
}

static void count_done(struct part *p)
{
    p->n_done = 0;
    p->done_bytes = 0;
    for (size_t i = 0; i < p->n_blocks; i++)
        if (part_has(p, i)) {
            p->n_done++;
            p->done_bytes += (int64_t)part_block_len(p, i);
        }
}

/* Takes over what the journal says; false where it is none of this file's. */
static bool read_journal(struct part *p, const unsigned char head[HEAD_BYTES])
{
    unsigned char found[HEAD_BYTES];
    struct stat st;

    if (!read_at(p->journal_fd, found, HEAD_BYTES, 0) ||
        memcmp(found, head, HEAD_BYTES) != 0 || fstat(p->journal_fd, &st) != 0)
        return false;
    /* Missing records at the end are blocks that are not here. */
    for (size_t i = 0; i < p->n_blocks; i++)
        if (!read_at(p->journal_fd, check_of(p, i), DIGEST_CHECK_BYTES,
                     HEAD_BYTES + (int64_t)i * DIGEST_CHECK_BYTES)) {
            memset(check_of(p, i), 0, DIGEST_CHECK_BYTES);
            break;
        }
    /* A part that was cut has no blocks behind its end. */
    if (fstat(p->fd, &st) != 0)
        return false;
    for (size_t i = 0; i < p->n_blocks; i++)
        if (part_block_start(p, i) + (int64_t)part_block_len(p, i) > st.st_size)
            memset(check_of(p, i), 0, DIGEST_CHECK_BYTES);
    return true;
}

/* An empty journal and an empty part. */
static bool begin_anew(struct part *p, const unsigned char head[HEAD_BYTES],
                       struct err *err)
{
    memset(p->check, 0, p->n_blocks * DIGEST_CHECK_BYTES);
    if (ftruncate(p->journal_fd, 0) != 0 || ftruncate(p->fd, 0) != 0 ||
        !write_at(p->journal_fd, head, HEAD_BYTES, 0))
        return write_failed(p, err);
    return true;
}

/* A link in the place of a file of ours is somebody's trap: it is not followed. */
static int open_at(const struct part *p, const char *name, struct err *err)
{
    int fd = openat(p->dir_fd, name,
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        fd = -1;
        errno = EINVAL;
    }
    if (fd < 0)
        err_set_errno(err, ERR_IO, errno, "cannot open '%s'", p->shown);
    return fd;
}

bool part_open(struct part *p, int dir_fd, const char *folder, const char *name,
               int64_t size, const char *identity, struct err *err)
{
    unsigned char head[HEAD_BYTES];
    struct buf text;

    memset(p, 0, sizeof(*p));
    p->dir_fd = dir_fd;
    p->fd = p->journal_fd = -1;
    p->size = size;
    p->block_bytes = block_bytes_for(size);
    p->n_blocks = (size_t)((size + p->block_bytes - 1) / p->block_bytes);
    p->synced_at = clock_seconds();
    buf_init(&text, 4096);
    buf_addf(&text, "%s.part", name);
    p->name = buf_take(&text, NULL);
    buf_addf(&text, "%s.journal", name);
    p->journal_name = buf_take(&text, NULL);
    p->shown = path_join(folder, p->name);
    p->check = mem_try(p->n_blocks + 1, DIGEST_CHECK_BYTES, p->shown, err);
    if (p->check == NULL || !make_head(p, identity, head, err))
        goto fail;
    p->journal_fd = open_at(p, p->journal_name, err);
    p->fd = p->journal_fd < 0 ? -1 : open_at(p, p->name, err);
    if (p->fd < 0)
        goto fail;
    if (!read_journal(p, head) && !begin_anew(p, head, err))
        goto fail;
    count_done(p);
    return true;
fail:
    part_close(p);
    return false;
}

void part_close(struct part *p)
{
    if (p->name == NULL)
        return;
    if (p->fd >= 0)
        close(p->fd);
    if (p->journal_fd >= 0)
        close(p->journal_fd);
    free(p->name);
    free(p->journal_name);
    free(p->shown);
    free(p->check);
    memset(p, 0, sizeof(*p));
}

static bool note(struct part *p, size_t block, const unsigned char *check,
                 struct err *err)
{
    memcpy(check_of(p, block), check, DIGEST_CHECK_BYTES);
    return write_at(p->journal_fd, check, DIGEST_CHECK_BYTES,
                    HEAD_BYTES + (int64_t)block * DIGEST_CHECK_BYTES) ||
           write_failed(p, err);
}

/* What the journal says of these bytes: never zeroes. */
static bool check_block(const void *data, size_t len,
                        unsigned char check[DIGEST_CHECK_BYTES], struct err *err)
{
    if (!digest_check(data, len, check, err))
        return false;
    if (memcmp(check, no_check, DIGEST_CHECK_BYTES) == 0)
        check[0] = 1;
    return true;
}

bool part_put(struct part *p, size_t block, const void *data, bool *is_new,
              struct err *err)
{
    unsigned char check[DIGEST_CHECK_BYTES];
    size_t len = part_block_len(p, block);

    if (!check_block(data, len, check, err))
        return false;
    *is_new = memcmp(check, check_of(p, block), DIGEST_CHECK_BYTES) != 0;
    if (!*is_new)
        return true;
    if (part_has(p, block) && !part_forget(p, block, err))
        return false;
    if (!write_at(p->fd, data, len, part_block_start(p, block)))
        return write_failed(p, err);
    if (!note(p, block, check, err)) {
        memset(check_of(p, block), 0, DIGEST_CHECK_BYTES);
        return false;
    }
    p->n_done++;
    p->done_bytes += (int64_t)len;
    p->unsynced_bytes += (int64_t)len;
    if (p->unsynced_bytes >= SYNC_BYTES ||
        clock_seconds() - p->synced_at > sync_after_s)
        return part_sync(p, err);
    return true;
}

bool part_get(const struct part *p, size_t block, void *data, struct err *err)
{
    if (read_at(p->fd, data, part_block_len(p, block), part_block_start(p, block)))
        return true;
    if (errno == 0)
        return err_set(err, ERR_IO, "%s: was cut while in use", p->shown);
    return err_set_errno(err, ERR_IO, errno, "cannot read '%s'", p->shown);
}

bool part_forget(struct part *p, size_t block, struct err *err)
{
    if (!part_has(p, block))
        return true;
    p->n_done--;
    p->done_bytes -= (int64_t)part_block_len(p, block);
    return note(p, block, no_check, err);
}

bool part_recheck(struct part *p, size_t *n_forgotten, struct err *err)
{
    unsigned char *data = mem_alloc((size_t)p->block_bytes);
    unsigned char check[DIGEST_CHECK_BYTES];
    bool ok = true;

    *n_forgotten = 0;
    for (size_t i = 0; ok && i < p->n_blocks; i++) {
        if (!part_has(p, i))
            continue;
        ok = part_get(p, i, data, err) &&
             check_block(data, part_block_len(p, i), check, err);
        if (ok && memcmp(check, check_of(p, i), sizeof(check)) != 0) {
            ok = part_forget(p, i, err);
            ++*n_forgotten;
        }
    }
    free(data);
    return ok;
}

bool part_sync(struct part *p, struct err *err)
{
    /* The bytes before the words about them. */
    if (fdatasync(p->fd) != 0 || fdatasync(p->journal_fd) != 0)
        return write_failed(p, err);
    p->unsynced_bytes = 0;
    p->synced_at = clock_seconds();
    return true;
}

bool part_finish(struct part *p, const char *final_name, struct err *err)
{
    if (fsync(p->fd) != 0)
        return write_failed(p, err);
    if (renameat(p->dir_fd, p->name, p->dir_fd, final_name) != 0)
        return err_set_errno(err, ERR_IO, errno, "cannot rename '%s' to '%s'", p->shown,
                             final_name);
    fsync(p->dir_fd);
    unlinkat(p->dir_fd, p->journal_name, 0);
    return true;
}
