/* SPDX-License-Identifier: MIT
 *
 * Parts: what a journal remembers, and what it finds torn.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/fetch/part.h"
#include "tests/test.h"

enum { SIZE = 1000 * 1000 }; /* 15 blocks and a short one */

struct folder {
    char path[64];
    int fd;
};

static bool folder_make(struct folder *f)
{
    snprintf(f->path, sizeof(f->path), "/tmp/hadal-part-XXXXXX");
    if (mkdtemp(f->path) == NULL)
        return false;
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY);
    return f->fd >= 0;
}

static void folder_remove(struct folder *f)
{
    static const char *const names[] = {"x.part", "x.journal", "x"};

    for (size_t i = 0; i < 3; i++)
        unlinkat(f->fd, names[i], 0);
    close(f->fd);
    rmdir(f->path);
}

static bool open_part(struct part *p, const struct folder *f, const char *identity)
{
    struct err err;

    return CHECK(part_open(p, f->fd, f->path, "x", SIZE, identity, &err));
}

static void fill(const struct part *p, size_t block, unsigned char *data)
{
    memset(data, (int)block, part_block_len(p, block));
}

static void put_all(struct part *p, unsigned char *data)
{
    struct err err;
    bool is_new;

    for (size_t i = 0; i < p->n_blocks; i++) {
        fill(p, i, data);
        CHECK(part_put(p, i, data, &is_new, &err) && is_new);
        CHECK(part_put(p, i, data, &is_new, &err) && !is_new);
    }
    CHECK(p->n_done == p->n_blocks && p->done_bytes == SIZE);
}

/* Kept for its identity, emptied for another. */
static void test_identity(void)
{
    unsigned char *data = malloc(SIZE);
    struct folder f;
    struct part p;

    if (!CHECK(folder_make(&f)))
        return;
    if (open_part(&p, &f, "one")) {
        put_all(&p, data);
        part_close(&p);
    }
    if (open_part(&p, &f, "one")) {
        CHECK(p.done_bytes == SIZE);
        part_close(&p);
    }
    if (open_part(&p, &f, "two")) {
        CHECK(p.done_bytes == 0);
        part_close(&p);
    }
    folder_remove(&f);
    free(data);
}

/* A byte that the disk changed, a part that was cut, a journal that was cut. */
static void test_torn(void)
{
    unsigned char *data = malloc(SIZE);
    struct folder f;
    struct part p;
    struct err err;
    size_t n;

    if (!CHECK(folder_make(&f)) || !open_part(&p, &f, "one"))
        return;
    put_all(&p, data);
    CHECK(pwrite(p.fd, "\xff", 1, part_block_start(&p, 3) + 77) == 1);
    CHECK(part_recheck(&p, &n, &err) && n == 1 && !part_has(&p, 3) && part_has(&p, 4));
    CHECK(ftruncate(p.fd, part_block_start(&p, 5) + 1) == 0);
    part_close(&p);
    if (open_part(&p, &f, "one")) {
        CHECK(p.n_done == 4 && part_has(&p, 4) && !part_has(&p, 5));
        CHECK(ftruncate(p.journal_fd, 568 + 2 * DIGEST_CHECK_BYTES + 1) == 0);
        part_close(&p);
    }
    if (open_part(&p, &f, "one")) {
        CHECK(p.n_done == 2);
        part_close(&p);
    }
    folder_remove(&f);
    free(data);
}

static void test_finish(void)
{
    unsigned char *data = malloc(SIZE);
    struct folder f;
    struct part p;
    struct err err;

    if (!CHECK(folder_make(&f)) || !open_part(&p, &f, "one"))
        return;
    put_all(&p, data);
    CHECK(part_finish(&p, "x", &err));
    CHECK(faccessat(f.fd, "x", F_OK, 0) == 0 &&
          faccessat(f.fd, "x.part", F_OK, 0) != 0 &&
          faccessat(f.fd, "x.journal", F_OK, 0) != 0);
    part_close(&p);
    folder_remove(&f);
    free(data);
}

static void test_accidents(void)
{
    unsigned char data[1000] = {0}, a[DIGEST_CHECK_BYTES], b[DIGEST_CHECK_BYTES];
    struct err err;

    CHECK(digest_check(data, sizeof(data), a, &err));
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] ^= 0x20;
        CHECK(digest_check(data, sizeof(data), b, &err) &&
              memcmp(a, b, sizeof(a)) != 0);
        data[i] ^= 0x20;
    }
    CHECK(digest_check(data, sizeof(data) - 1, b, &err) &&
          memcmp(a, b, sizeof(a)) != 0);
    CHECK(digest_check(data, 0, b, &err));
}

static const struct test_case cases[] = {
    {"identity", test_identity},
    {"torn", test_torn},
    {"finish", test_finish},
    {"accidents", test_accidents},
};

int main(int argc, char **argv)
{
    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
