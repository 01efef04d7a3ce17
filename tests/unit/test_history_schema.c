/* SPDX-License-Identifier: MIT
 *
 * The file itself: migrations, files of other programs and of newer hadals, damage.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history/db.h"
#include "history/history.h"
#include "history/schema.h"
#include "tests/history_files.h"
#include "tests/test.h"

#define N_OLD 30 /* messages of the old file */

/* --- files and their bytes ------------------------------------------------------ */

struct bytes {
    char *data;
    size_t len;
};

static struct bytes read_bytes(const char *path)
{
    struct bytes b = {NULL, 0};

    b.data = test_read(path, &b.len);
    return b;
}

static void write_bytes(const char *path, const void *data, size_t len)
{
    FILE *out = fopen(path, "wb");

    CHECK(out != NULL && fwrite(data, 1, len, out) == len);
    if (out != NULL)
        fclose(out);
}

static bool is_unchanged(const char *path, const struct bytes *before)
{
    struct bytes now = read_bytes(path);
    bool same = now.data != NULL && now.len == before->len &&
                memcmp(now.data, before->data, now.len) == 0;

    free(now.data);
    return same;
}

static void exec_sql(struct db *db, const char *sql)
{
    struct err err;

    if (!db_exec(db, sql, &err))
        FAIL("%s: %s", sql, err.text);
}

/* A file of schema version 1, as the first hadal wrote it. */
static void make_version_1(const char *path)
{
    struct err err;
    struct db db;
    char sql[256];

    if (!db_open(&db, path, DB_READ_WRITE, &err) || !schema_migrate(&db, 1, &err)) {
        FAIL("%s", err.text);
        return;
    }
    exec_sql(&db, "INSERT INTO sessions (name, title, created_ms, updated_ms)"
                  " VALUES ('old1', 'an old one', 1, 1)");
    for (int i = 1; i <= N_OLD; i++) {
        snprintf(sql, sizeof(sql),
                 "INSERT INTO messages (session, role, created_ms, text)"
                 " VALUES (1, 'user', %d, 'old words number n%d')",
                 i, i);
        exec_sql(&db, sql);
    }
    db_close(&db);
}

static void check_old_rows(struct history *h)
{
    struct history_messages m;
    struct err err;
    char text[64];

    if (!CHECK(history_list_messages(h, "old1", &m, &err)) || !CHECK(m.n == N_OLD))
        return;
    for (size_t i = 0; i < m.n; i++) {
        snprintf(text, sizeof(text), "old words number n%zu", i + 1);
        CHECK(strcmp(m.row[i].text, text) == 0 && m.row[i].time_ms == (int64_t)i + 1);
    }
    history_messages_release(&m);
    CHECK(files_hits(h, "old words") == N_OLD && files_hits(h, "n7") == 1);
}

/* --- migrations ----------------------------------------------------------------- */

static void migrates_with_a_copy(void)
{
    struct history_health health;
    struct files f;
    struct err err;
    struct history *h;
    struct stat st;
    struct db copy;
    char bak[256];
    int version = 0;

    files_make(&f);
    make_version_1(f.db);
    h = files_open(f.db, HISTORY_WRITE);
    check_old_rows(h);
    CHECK(history_check(h, &health, &err) && health.ok);
    CHECK(health.schema_version == schema_newest());
    history_close(h);
    snprintf(bak, sizeof(bak), "%s.v1.bak", f.db);
    CHECK(stat(bak, &st) == 0 && (st.st_mode & 07777) == 0600);
    if (CHECK(db_open(&copy, bak, DB_READ_ONLY, &err))) {
        int64_t n = 0;

        CHECK(schema_version(&copy, &version, &err) && version == 1);
        CHECK(db_integer(&copy, "SELECT count(*) FROM messages", &n, &err) &&
              n == N_OLD);
        db_close(&copy);
    }
    files_remove(&f);
}

static void reader_leaves_an_old_file(void)
{
    struct bytes before;
    struct files f;
    struct history *h;

    files_make(&f);
    make_version_1(f.db);
    before = read_bytes(f.db);
    h = files_open(f.db, HISTORY_READ);
    check_old_rows(h);
    history_close(h);
    CHECK(is_unchanged(f.db, &before));
    free(before.data);
    files_remove(&f);
}

/* Killed anywhere, the file is old or new. */
static void killed_migrations(void)
{
    uint32_t seed = 3;
    struct files f;

    files_make(&f);
    for (int i = 0; i < 25; i++) {
        pid_t pid;
        struct history *h;

        unlink(f.db);
        make_version_1(f.db);
        pid = fork();
        if (pid == 0) {
            history_close(history_open(f.db, HISTORY_WRITE, NULL));
            _exit(0);
        }
        usleep(files_random(&seed) % 12000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        h = files_open(f.db, HISTORY_READ);
        check_old_rows(h);
        history_close(h);
        h = files_open(f.db, HISTORY_WRITE);
        check_old_rows(h);
        history_close(h);
    }
    files_remove(&f);
}

/* --- not ours ------------------------------------------------------------------- */

/* Neither way of opening succeeds, the message names the file, and nothing changes. */
static void check_refused(const char *path, const char *word)
{
    static const enum history_mode modes[] = {HISTORY_READ, HISTORY_WRITE};
    struct bytes before = read_bytes(path);
    struct err err;

    for (size_t i = 0; i < 2; i++) {
        struct history *h = history_open(path, modes[i], &err);

        CHECK(h == NULL);
        history_close(h);
        CHECK(h != NULL || err.kind == ERR_DB);
        if (h == NULL &&
            (strstr(err.text, path) == NULL || strstr(err.text, word) == NULL))
            FAIL("the message is '%s', without '%s'", err.text, word);
        CHECK(strchr(err.text, '\n') == NULL);
    }
    CHECK(is_unchanged(path, &before));
    free(before.data);
}

static void foreign_files(void)
{
    static const char text[] =
        "these are notes, not a database, and long enough to have "
        "a header of a hundred bytes if they were one, I believe\n";
    struct files f;
    struct err err;
    struct db db;

    files_make(&f);
    write_bytes(f.db, text, sizeof(text) - 1);
    check_refused(f.db, "not a database");
    write_bytes(f.db, "x", 1);
    check_refused(f.db, "not a database");
    unlink(f.db);
    if (CHECK(db_open(&db, f.db, DB_READ_WRITE, &err))) {
        exec_sql(&db, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
        db_close(&db);
    }
    check_refused(f.db, "another program");
    unlink(f.db);
    history_close(files_open(f.db, HISTORY_WRITE));
    if (CHECK(db_open(&db, f.db, DB_READ_WRITE, &err))) {
        exec_sql(&db, "PRAGMA user_version=99");
        db_close(&db);
    }
    check_refused(f.db, "newer hadal");
    CHECK(history_open(f.folder, HISTORY_READ, &err) == NULL && err.kind == ERR_DB);
    CHECK(history_open(f.folder, HISTORY_WRITE, &err) == NULL && err.kind == ERR_DB);
    CHECK(history_open("/dev/null", HISTORY_WRITE, &err) == NULL && err.kind == ERR_DB);
    CHECK(history_open("/dev/null/x", HISTORY_READ, &err) == NULL &&
          err.kind == ERR_DB);
    CHECK(history_open("/dev/null/x", HISTORY_WRITE, &err) == NULL &&
          err.kind == ERR_DB);
    files_remove(&f);
}

static void empty_file(void)
{
    char id[HISTORY_ID_CAP] = "";
    struct files f;
    struct history *h;

    files_make(&f);
    write_bytes(f.db, "", 0);
    h = files_open(f.db, HISTORY_READ);
    CHECK(files_hits(h, "x") == 0);
    history_close(h);
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "x");
    CHECK(files_hits(h, "x") == 1);
    history_close(h);
    files_remove(&f);
}

/* --- damage --------------------------------------------------------------------- */

static void make_full(const char *path)
{
    struct history *h = files_open(path, HISTORY_WRITE);
    char text[3000];

    for (int s = 0; s < 8; s++) {
        char id[HISTORY_ID_CAP] = "";

        for (int i = 0; i < 8; i++) {
            memset(text, 'a' + i, sizeof(text));
            snprintf(text, sizeof(text), "words of message %d in session %d", i, s);
            text[strlen(text)] = i == 7 ? ' ' : '\0';
            text[sizeof(text) - 1] = '\0';
            files_say(h, id, i % 2 == 0 ? ROLE_USER : ROLE_ASSISTANT, text);
        }
    }
    history_close(h);
}

/* Reads all there is; what fails must fail as a database. */
static void use_all(const char *path)
{
    struct history_query query = {.text = "words", .best = true};
    struct history_sessions sessions = {0};
    struct history_messages messages;
    struct history_health health;
    struct history_hits hits;
    struct err err;
    struct history *h = history_open(path, HISTORY_READ, &err);

    if (h == NULL) {
        CHECK(err.kind == ERR_DB);
        return;
    }
    if (!history_list_sessions(h, 0, 0, &sessions, &err))
        CHECK(err.kind == ERR_DB);
    for (size_t i = 0; i < sessions.n; i++) {
        if (history_list_messages(h, sessions.row[i].id, &messages, &err))
            history_messages_release(&messages);
        else
            CHECK(err.kind == ERR_DB || err.kind == ERR_SESSION);
    }
    history_sessions_release(&sessions);
    if (history_search(h, &query, &hits, &err))
        history_hits_release(&hits);
    else
        CHECK(err.kind == ERR_DB);
    if (!history_check(h, &health, &err))
        CHECK(err.kind == ERR_DB);
    history_close(h);
}

/* Opening for writing either works or leaves the damaged file as it is. */
static void open_to_write(const char *path, const struct bytes *damaged)
{
    struct err err;
    struct history *h = history_open(path, HISTORY_WRITE, &err);

    if (h == NULL) {
        CHECK(err.kind == ERR_DB);
        CHECK(is_unchanged(path, damaged));
    }
    history_close(h);
}

static void damaged_files(void)
{
    uint32_t seed = 11;
    struct bytes good;
    struct files f;
    char journal[256];
    int n_refused = 0;

    files_make(&f);
    make_full(f.db);
    snprintf(journal, sizeof(journal), "%s-journal", f.db);
    good = read_bytes(f.db);
    for (int i = 0; i < 120 && good.data != NULL; i++) {
        struct bytes bad = {malloc(good.len), good.len};
        struct history *h;

        memcpy(bad.data, good.data, good.len);
        for (uint32_t k = 0; k < 1U << (i % 8); k++)
            bad.data[files_random(&seed) % (i % 3 == 0 ? 4096 : bad.len)] ^=
                (char)(1 + files_random(&seed) % 255);
        if (i % 5 == 0)
            bad.len = files_random(&seed) % bad.len;
        unlink(journal);
        write_bytes(f.db, bad.data, bad.len);
        h = history_open(f.db, HISTORY_READ, NULL);
        n_refused += h == NULL;
        history_close(h);
        use_all(f.db);
        CHECK(is_unchanged(f.db, &bad));
        open_to_write(f.db, &bad);
        free(bad.data);
    }
    CHECK(n_refused > 60);
    free(good.data);
    files_remove(&f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"migrates_with_a_copy", migrates_with_a_copy},
        {"reader_leaves_an_old_file", reader_leaves_an_old_file},
        {"killed_migrations", killed_migrations},
        {"foreign_files", foreign_files},
        {"empty_file", empty_file},
        {"damaged_files", damaged_files},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
