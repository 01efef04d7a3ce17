/* SPDX-License-Identifier: MIT
 *
 * Saving what can be read of a damaged history: pages are overwritten, one by one and
 * at random; the damaged file never changes, and what comes out is a sound history of
 * messages that were there, as far as that can be known.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history/history.h"
#include "src/base/buf.h"
#include "src/base/file.h"
#include "tests/history_files.h"
#include "tests/test.h"

enum { SESSIONS = 40, MESSAGES = 10, PAGE_BYTES = 4096 };

/* Sessions of messages "session I message J" with some bulk, so that there are pages.
 */
static void fill(const char *path)
{
    struct history *h = files_open(path, HISTORY_WRITE);
    char text[1200];
    struct err err;

    if (h == NULL || !history_begin(h, &err))
        return;
    for (int i = 0; i < SESSIONS; i++) {
        char id[HISTORY_ID_CAP] = "";

        for (int j = 0; j < MESSAGES; j++) {
            int n = snprintf(text, sizeof(text), "session %d message %d ", i, j);

            memset(text + n, 'x', sizeof(text) - 1 - (size_t)n);
            text[j % 2 == 0 ? (size_t)n + 30 : sizeof(text) - 1] = '\0';
            CHECK(files_say(h, id, j % 2 == 0 ? ROLE_USER : ROLE_ASSISTANT, text) > 0);
        }
    }
    CHECK(history_commit(h, &err));
    history_close(h);
}

static void read_all(const char *path, struct buf *out)
{
    buf_clear(out);
    CHECK(file_read(path, ERR_IO, out, NULL));
}

static void write_all(const char *path, const struct buf *bytes)
{
    FILE *f = fopen(path, "wb");

    if (!CHECK(f != NULL))
        return;
    CHECK(fwrite(bytes->data, 1, bytes->len, f) == bytes->len);
    CHECK(fclose(f) == 0);
}

/* A byte within a text that is another one now cannot be known. */
enum texts { TEXTS_SAME, TEXTS_ANY };

/* Every message of the copy says its session and place, in order. */
static void check_messages(struct history *h, const char *id, enum texts texts,
                           int64_t *n)
{
    struct history_messages list;
    struct err err;
    int before = -1;

    if (!CHECK(history_list_messages(h, id, &list, &err)))
        return;
    for (size_t i = 0; i < list.n && texts == TEXTS_SAME; i++) {
        int session, message;

        CHECK(sscanf(list.row[i].text, "session %d message %d", &session, &message) ==
              2);
        CHECK(message > before && message < MESSAGES);
        before = message;
    }
    *n += (int64_t)list.n;
    history_messages_release(&list);
}

static void check_copy(const struct history_repaired *r, enum texts texts)
{
    struct history *h = files_open(r->path, HISTORY_READ);
    struct history_sessions list;
    struct history_health health;
    struct stat st;
    struct err err;
    int64_t n = 0;

    if (h == NULL)
        return;
    CHECK(stat(r->path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(history_check(h, &health, &err) && health.ok);
    CHECK(health.n_messages == r->n_messages && health.n_sessions == r->n_sessions);
    CHECK(history_list_sessions(h, 0, 0, &list, &err));
    for (size_t i = 0; i < list.n; i++)
        check_messages(h, list.row[i].id, texts, &n);
    CHECK(n == r->n_messages);
    history_sessions_release(&list);
    history_close(h);
}

/* Repairs the file with these bytes; how many messages came out. */
static int64_t repair(const struct files *f, const struct buf *bytes, enum texts texts)
{
    struct history_repaired r;
    struct err err;
    struct buf after;
    int64_t n = 0;
    bool ok;

    write_all(f->db, bytes);
    ok = history_repair(f->db, &r, &err);
    buf_init(&after, BUF_UNLIMITED);
    read_all(f->db, &after);
    CHECK(after.len == bytes->len && memcmp(after.data, bytes->data, bytes->len) == 0);
    buf_release(&after);
    if (!ok) {
        CHECK(err.kind == ERR_DB && strstr(err.text, "history.db") != NULL);
        return 0;
    }
    check_copy(&r, texts);
    n = r.n_messages;
    CHECK(unlink(r.path) == 0);
    history_repaired_release(&r);
    return n;
}

static void make(struct files *f, struct buf *bytes)
{
    char journal[600];

    files_make(f);
    fill(f->db);
    buf_init(bytes, BUF_UNLIMITED);
    read_all(f->db, bytes);
    snprintf(journal, sizeof(journal), "%s-journal", f->db);
    unlink(journal);
}

/* One page at a time: what is lost is what was on it. */
static void one_page(void)
{
    struct files f;
    struct buf good, bad;
    int64_t least = SESSIONS * MESSAGES;
    size_t n_pages;

    make(&f, &good);
    n_pages = good.len / PAGE_BYTES;
    CHECK(repair(&f, &good, TEXTS_SAME) == SESSIONS * MESSAGES);
    buf_init(&bad, BUF_UNLIMITED);
    for (size_t page = 2; page < n_pages; page += 11) {
        int64_t n;

        buf_clear(&bad);
        buf_add(&bad, good.data, good.len);
        memset(bad.data + page * PAGE_BYTES, page % 2 == 0 ? 0 : 0xA5, PAGE_BYTES);
        n = repair(&f, &bad, TEXTS_SAME);
        if (n > 0 && n < least)
            least = n;
    }
    CHECK(least > SESSIONS * MESSAGES * 8 / 10);
    buf_release(&bad);
    buf_release(&good);
    files_remove(&f);
}

/* Many bytes at random, and a file that is cut. */
static void many_bytes(void)
{
    struct files f;
    struct buf good, bad;
    uint32_t state = 7;

    make(&f, &good);
    buf_init(&bad, BUF_UNLIMITED);
    for (int round = 0; round < 40; round++) {
        buf_clear(&bad);
        buf_add(&bad, good.data, good.len);
        for (int i = 0; i < 1 << (round % 8); i++)
            bad.data[files_random(&state) % bad.len] = (char)files_random(&state);
        if (round % 5 == 4)
            bad.len = files_random(&state) % bad.len;
        (void)repair(&f, &bad, TEXTS_ANY);
    }
    buf_release(&bad);
    buf_release(&good);
    files_remove(&f);
}

/* Nothing to read; a copy that is there already; no file. */
static void refused(void)
{
    struct history_repaired r;
    struct files f;
    struct buf good, text;
    struct err err;
    char copy[600];

    make(&f, &good);
    snprintf(copy, sizeof(copy), "%s.repaired", f.db);
    buf_init(&text, 100);
    buf_add_text(&text, "mine");
    write_all(copy, &text);
    CHECK(!history_repair(f.db, &r, &err) && err.kind == ERR_IO);
    CHECK(strstr(err.text, "exists already") != NULL);
    CHECK(unlink(copy) == 0);
    CHECK(repair(&f, &text, TEXTS_SAME) == 0); /* no database */
    CHECK(unlink(f.db) == 0);
    CHECK(!history_repair(f.db, &r, &err));
    CHECK(rmdir(f.folder) == 0); /* nothing is left behind */
    buf_release(&text);
    buf_release(&good);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"one_page", one_page},
        {"many_bytes", many_bytes},
        {"refused", refused},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
