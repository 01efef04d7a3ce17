/* SPDX-License-Identifier: MIT
 *
 * What happens to other processes: writers that are killed, several at once, and a disk
 * that is full.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history/history.h"
#include "src/base/buf.h"
#include "tests/history_files.h"
#include "tests/test.h"

#define N_KILLS 50
#define N_WRITERS 4
#define N_EACH 40 /* messages of a writer */

/* --- killed writers --------------------------------------------------------------- */

/* What a writer says it has stored. */
struct receipt {
    int64_t message;
    int finished; /* 0: an answer begun */
};

static void acknowledge(int fd, int64_t message, int finished)
{
    struct receipt r = {message, finished};

    if (write(fd, &r, sizeof(r)) != (ssize_t)sizeof(r))
        _exit(1);
}

/* Chats until it is killed. */
static void chat_forever(const char *path, int fd)
{
    struct history *h = history_open(path, HISTORY_WRITE, NULL);
    struct history_message question = {
        .role = ROLE_USER, .text = "a killed question", .len = 17};
    struct history_message answer = {.role = ROLE_ASSISTANT, .text = "", .model = "m"};
    struct history_message whole = {.role = ROLE_ASSISTANT,
                                    .text = "a killed answer, whole",
                                    .len = 22,
                                    .model = "m",
                                    .stop_reason = "eos"};
    char id[HISTORY_ID_CAP];
    int64_t message;

    if (h == NULL || !history_begin_session(h, "m", NULL, id, NULL))
        _exit(1);
    for (;;) {
        if (!history_add(h, id, &question, &message, NULL))
            _exit(1);
        acknowledge(fd, message, 1);
        if (!history_begin_answer(h, id, &answer, &message, NULL))
            _exit(1);
        acknowledge(fd, message, 0);
        if (!history_extend_answer(h, message, "a killed", 8, NULL, 0, NULL) ||
            !history_finish_answer(h, message, &whole, NULL))
            _exit(1);
        acknowledge(fd, message, 1);
    }
}

/* Starts a writer, kills it after the delay, and keeps what it acknowledged. The delay
 * begins with the first message, or, for some, with the process. */
static void kill_a_writer(const char *path, unsigned delay_us, bool early,
                          struct buf *receipts)
{
    struct receipt r;
    int fd[2];
    pid_t pid;

    if (!CHECK(pipe(fd) == 0))
        return;
    pid = fork();
    if (pid == 0) {
        close(fd[0]);
        chat_forever(path, fd[1]);
    }
    close(fd[1]);
    if (!early && CHECK(read(fd[0], &r, sizeof(r)) == (ssize_t)sizeof(r)))
        buf_add(receipts, &r, sizeof(r));
    usleep(delay_us);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(fd[0], &r, sizeof(r)) == (ssize_t)sizeof(r))
        buf_add(receipts, &r, sizeof(r));
    close(fd[0]);
}

/* The message with this id, among the messages of all sessions. */
static const struct history_message *find(const struct history_messages *all, size_t n,
                                          int64_t id)
{
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < all[s].n; i++)
            if (all[s].row[i].id == id)
                return &all[s].row[i];
    return NULL;
}

static void check_receipts(struct history *h, const struct buf *receipts)
{
    struct history_messages all[N_KILLS + 1] = {{0}};
    struct history_sessions list;
    struct err err;
    int n_lost = 0;

    if (!CHECK(history_list_sessions(h, 0, 0, &list, &err)) ||
        !CHECK(list.n <= N_KILLS + 1))
        return;
    for (size_t i = 0; i < list.n; i++)
        CHECK(history_list_messages(h, list.row[i].id, &all[i], &err) &&
              (int64_t)all[i].n == list.row[i].n_messages);
    for (size_t at = 0; at < receipts->len; at += sizeof(struct receipt)) {
        const struct history_message *m;
        struct receipt r;

        memcpy(&r, receipts->data + at, sizeof(r));
        m = find(all, list.n, r.message);
        n_lost += m == NULL;
        if (m != NULL && m->role == ROLE_ASSISTANT && r.finished != 0)
            n_lost += strcmp(m->text, "a killed answer, whole") != 0;
        if (m != NULL && m->role == ROLE_ASSISTANT && m->stop_reason != NULL)
            CHECK(strcmp(m->stop_reason, m->len == 22 ? "eos" : "interrupt") == 0);
    }
    CHECK(n_lost == 0);
    for (size_t i = 0; i < list.n; i++)
        history_messages_release(&all[i]);
    history_sessions_release(&list);
}

static void killed_writers(void)
{
    struct history_health health;
    struct buf receipts;
    uint32_t seed = 5;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    buf_init(&receipts, 1 << 24);
    for (int i = 0; i < N_KILLS; i++) {
        kill_a_writer(f.db, files_random(&seed) % 30000, i % 4 == 0, &receipts);
        h = files_open(f.db,
                       HISTORY_READ); /* what was left is no obstacle to a reader */
        history_close(h);
    }
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(receipts.len > 0);
    check_receipts(h, &receipts);
    CHECK(history_check(h, &health, &err));
    if (!health.ok)
        FAIL("after %d kills: %s", N_KILLS, health.problem);
    history_close(h);
    buf_release(&receipts);
    files_remove(&f);
}

/* --- several at once -------------------------------------------------------------- */

/* Writes, reads and searches; the exit code is how often something failed. */
static void be_busy(const char *path, int number)
{
    struct err err;
    struct history *h = history_open(path, HISTORY_WRITE, &err);
    struct history_query query = {.text = "word", .limit = 5, .best = number % 2 == 0};
    char id[HISTORY_ID_CAP];
    int n_failed = 0;

    if (h == NULL || !history_begin_session(h, "m", NULL, id, &err)) {
        fprintf(stderr, "writer %d: %s\n", number, err.text);
        _exit(99);
    }
    for (int i = 0; i < N_EACH; i++) {
        struct history_message m = {.role = ROLE_USER, .text = "a word", .len = 6};
        struct history_hits hits;

        if (!history_add(h, id, &m, NULL, &err)) {
            fprintf(stderr, "writer %d: %s\n", number, err.text);
            n_failed++;
        }
        if (i % 8 != 0)
            continue;
        if (history_search(h, &query, &hits, &err)) {
            n_failed += hits.n == 0;
            history_hits_release(&hits);
        } else {
            fprintf(stderr, "searcher %d: %s\n", number, err.text);
            n_failed++;
        }
    }
    history_close(h);
    _exit(n_failed);
}

static void several_writers(void)
{
    struct history_health health;
    pid_t pid[N_WRITERS];
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    for (int i = 0; i < N_WRITERS; i++) { /* they make the file, all at once */
        pid[i] = fork();
        if (pid[i] == 0)
            be_busy(f.db, i);
    }
    for (int i = 0; i < N_WRITERS; i++) {
        int status = 0;

        CHECK(waitpid(pid[i], &status, 0) == pid[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_check(h, &health, &err) && health.ok);
    CHECK(health.n_messages == N_WRITERS * N_EACH && health.n_sessions == N_WRITERS);
    CHECK(files_hits(h, "word") == N_WRITERS * N_EACH);
    history_close(h);
    files_remove(&f);
}

/* --- a full disk ------------------------------------------------------------------ */

/* Stores until it fails, with files limited to so many bytes. The exit code is 0 where
 * the failure was told as it should be; the number stored goes to the pipe. */
static void fill_up(const char *path, rlim_t bytes, int fd)
{
    struct rlimit limit = {bytes, bytes};
    struct history_message m = {.role = ROLE_USER};
    char text[900];
    char id[HISTORY_ID_CAP];
    struct err err = {.kind = ERR_NONE};
    struct history *h;
    bool ok;

    signal(SIGXFSZ, SIG_IGN);
    memset(text, 'x', sizeof(text));
    m.text = text;
    m.len = sizeof(text);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    h = history_open(path, HISTORY_WRITE, &err);
    ok = h != NULL && history_begin_session(h, NULL, NULL, id, &err);
    while (ok) {
        int64_t message;

        ok = history_add(h, id, &m, &message, &err);
        if (ok)
            acknowledge(fd, message, 1);
    }
    history_close(h);
    _exit(err.kind == ERR_DB && strstr(err.text, path) != NULL ? 0 : 1);
}

static void full_disk(void)
{
    struct files f;

    files_make(&f);
    for (rlim_t kib = 0; kib < 400; kib += 17) {
        struct history_health health;
        struct receipt r;
        struct err err;
        struct history *h;
        int64_t n_stored = 0;
        int64_t n_before;
        int status = 0;
        int fd[2];
        pid_t pid;

        h = files_open(f.db, HISTORY_READ);
        CHECK(history_check(h, &health, &err));
        n_before = health.n_messages;
        history_close(h);
        if (!CHECK(pipe(fd) == 0))
            break;
        pid = fork();
        if (pid == 0)
            fill_up(f.db, kib * 1024, fd[1]);
        close(fd[1]);
        while (read(fd[0], &r, sizeof(r)) == (ssize_t)sizeof(r))
            n_stored++;
        close(fd[0]);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        h = files_open(f.db, HISTORY_READ);
        CHECK(history_check(h, &health, &err) && health.ok);
        CHECK(health.n_messages == n_before + n_stored);
        history_close(h);
    }
    files_remove(&f);
}

static void read_only_folder(void)
{
    char id[HISTORY_ID_CAP] = "";
    struct files f;
    struct err err;
    struct history *h;

    if (geteuid() == 0) {
        test_skip("root may write everywhere");
        return;
    }
    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "x");
    history_close(h);
    CHECK(chmod(f.db, 0400) == 0 && chmod(f.folder, 0500) == 0);
    h = files_open(f.db, HISTORY_READ);
    CHECK(files_hits(h, "x") == 1);
    history_close(h);
    CHECK(history_open(f.db, HISTORY_WRITE, &err) == NULL && err.kind == ERR_DB);
    CHECK(chmod(f.folder, 0700) == 0);
    files_remove(&f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"killed_writers", killed_writers},
        {"several_writers", several_writers},
        {"full_disk", full_disk},
        {"read_only_folder", read_only_folder},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
