/* SPDX-License-Identifier: MIT
 *
 * Sessions and messages: what is stored comes back, who may read it, and what is said
 * where it is not there.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history/history.h"
#include "tests/history_files.h"
#include "tests/test.h"

static void round_trip(void)
{
    static const char text[] = "first line\nsecond \0 with NUL \xff and \033[31m red";
    static const int32_t tokens[] = {1, -1, 65536};
    struct history_message in = {
        .role = ROLE_ASSISTANT,
        .text = text,
        .len = sizeof(text) - 1,
        .thinking = "let me see",
        .thinking_len = 10,
        .model = "org/model:Q4",
        .stop_reason = "eos",
        .has_seed = true,
        .seed = UINT64_MAX,
        .tokens = tokens,
        .tokens_len = sizeof(tokens),
        .settings = "{\"temp\":0.6}",
        .time_ms = -12345,
    };
    char id[HISTORY_ID_CAP] = "";
    struct history_messages out;
    struct files f;
    struct err err;
    struct history *h;
    int64_t message;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_begin_session(h, NULL, NULL, id, &err));
    CHECK(history_add(h, id, &in, &message, &err));
    history_close(h);
    h = files_open(f.db, HISTORY_READ);
    if (CHECK(history_list_messages(h, id, &out, &err)) && CHECK(out.n == 1)) {
        const struct history_message *m = &out.row[0];

        CHECK(m->id == message && m->role == ROLE_ASSISTANT && m->time_ms == -12345);
        CHECK(m->len == in.len && memcmp(m->text, text, in.len) == 0);
        CHECK(m->thinking_len == 10 && memcmp(m->thinking, "let me see", 10) == 0);
        CHECK(strcmp(m->model, in.model) == 0 && strcmp(m->stop_reason, "eos") == 0);
        CHECK(m->has_seed && m->seed == UINT64_MAX);
        CHECK(m->tokens_len == sizeof(tokens) &&
              memcmp(m->tokens, tokens, sizeof(tokens)) == 0);
        CHECK(strcmp(m->settings, in.settings) == 0);
        history_messages_release(&out);
    }
    history_close(h);
    files_remove(&f);
}

static void sessions_newest_first(void)
{
    char first[HISTORY_ID_CAP] = "";
    char second[HISTORY_ID_CAP] = "";
    char empty[HISTORY_ID_CAP] = "";
    char newest[HISTORY_ID_CAP] = "";
    struct history_sessions list;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(!history_newest_session(h, newest, &err) && err.kind == ERR_SESSION);
    files_say(h, first, ROLE_USER, "one");
    files_say(h, second, ROLE_USER, "two");
    CHECK(history_begin_session(h, "m", NULL, empty, &err));
    files_say(h, first, ROLE_ASSISTANT, "three");
    CHECK(history_newest_session(h, newest, &err) && strcmp(newest, first) == 0);
    if (CHECK(history_list_sessions(h, 0, 0, &list, &err)) && CHECK(list.n == 2)) {
        CHECK(strcmp(list.row[0].id, first) == 0 && list.row[0].n_messages == 2);
        CHECK(strcmp(list.row[1].id, second) == 0 && list.row[1].n_messages == 1);
        CHECK(strcmp(list.row[0].title, "one") == 0);
        CHECK(strcmp(list.row[0].model, "tiny") == 0);
        history_sessions_release(&list);
    }
    if (CHECK(history_list_sessions(h, 1, 5, &list, &err)) && CHECK(list.n == 1)) {
        CHECK(strcmp(list.row[0].id, second) == 0);
        history_sessions_release(&list);
    }
    history_close(h);
    files_remove(&f);
}

/* The clock may jump; order does not. */
static void order_is_not_the_clock(void)
{
    static const int64_t times[] = {5000000000000, 1000, 4102444800000, -5};
    char id[2][HISTORY_ID_CAP] = {"", ""};
    char newest[HISTORY_ID_CAP];
    struct history_messages out;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    for (size_t i = 0; i < 4; i++) {
        struct history_message m = {
            .role = ROLE_USER, .text = "x", .len = 1, .time_ms = times[i]};

        if (i < 2)
            CHECK(history_begin_session(h, NULL, NULL, id[i], &err));
        CHECK(history_add(h, id[i % 2], &m, NULL, &err));
    }
    CHECK(history_newest_session(h, newest, &err) && strcmp(newest, id[1]) == 0);
    if (CHECK(history_list_messages(h, id[0], &out, &err)) && CHECK(out.n == 2)) {
        CHECK(out.row[0].time_ms == times[0] && out.row[1].time_ms == times[2]);
        history_messages_release(&out);
    }
    history_close(h);
    files_remove(&f);
}

static void titles(void)
{
    static const struct {
        const char *text, *title;
    } cases[] = {
        {"hello", "hello"},
        {"  \n\n```\n  what is\tthis?  \r\nmore", "what is this?"},
        {"***", NULL},
        {"", NULL},
        {"Explain the difference between a mutex and a semaphore in one sentence "
         "please",
         "Explain the difference between a mutex and a semaphore in…"},
        {"一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八"
         "九"
         "十一二三四五六七八九十一二三四五六七八九十more",
         "一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八"
         "九"
         "十一二三四五六七八九十一二三四五六七八九十…"},
        {"a \033]0;title\007 b", "a ^[]0;title^G b"},
    };
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[HISTORY_ID_CAP] = "";
        struct history_sessions s;
        const char *title;

        files_say(h, id, ROLE_SYSTEM, "never the title");
        files_say(h, id, ROLE_USER, cases[i].text);
        if (!CHECK(history_get_session(h, id, &s, &err)))
            continue;
        title = s.row[0].title;
        if (cases[i].title == NULL
                ? title != NULL
                : title == NULL || strcmp(title, cases[i].title) != 0)
            FAIL("title of '%s' is '%s'", cases[i].text,
                 title == NULL ? "(none)" : title);
        history_sessions_release(&s);
    }
    history_close(h);
    files_remove(&f);
}

static void title_by_hand_stays(void)
{
    char id[HISTORY_ID_CAP];
    struct history_sessions s;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_begin_session(h, NULL, "mine", id, &err));
    files_say(h, id, ROLE_USER, "other words");
    if (CHECK(history_get_session(h, id, &s, &err))) {
        CHECK(strcmp(s.row[0].title, "mine") == 0);
        history_sessions_release(&s);
    }
    CHECK(history_set_title(h, id, "renamed", &err));
    if (CHECK(history_get_session(h, id, &s, &err))) {
        CHECK(strcmp(s.row[0].title, "renamed") == 0);
        history_sessions_release(&s);
    }
    CHECK(!history_set_title(h, "nobody", "x", &err) && err.kind == ERR_SESSION);
    history_close(h);
    files_remove(&f);
}

static void resolving(void)
{
    char id[HISTORY_ID_CAP] = "";
    char found[HISTORY_ID_CAP];
    char prefix[HISTORY_ID_CAP];
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "x");
    CHECK(history_resolve(h, id, found, &err) && strcmp(found, id) == 0);
    for (size_t n = 1; n < strlen(id); n++) {
        snprintf(prefix, sizeof(prefix), "%.*s", (int)n, id);
        CHECK(history_resolve(h, prefix, found, &err) && strcmp(found, id) == 0);
        for (char *c = prefix; *c != '\0'; c++)
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 32);
        CHECK(history_resolve(h, prefix, found, &err) && strcmp(found, id) == 0);
    }
    CHECK(!history_resolve(h, "", found, &err) && err.kind == ERR_USAGE);
    CHECK(!history_resolve(h, "%", found, &err) && err.kind == ERR_SESSION);
    CHECK(!history_resolve(h, "'; DROP TABLE", found, &err) && err.kind == ERR_SESSION);
    for (int i = 0; i < 40; i++) { /* 33 sessions: two begin alike */
        char other[HISTORY_ID_CAP] = "";

        files_say(h, other, ROLE_USER, "x");
    }
    for (const char *c = "0123456789abcdefghjkmnpqrstvwxyz"; *c != '\0'; c++) {
        snprintf(prefix, sizeof(prefix), "%c", *c);
        if (!history_resolve(h, prefix, found, &err) && err.kind == ERR_USAGE)
            goto ambiguous;
    }
    FAIL("41 sessions, and no first letter is ambiguous");
ambiguous:
    history_close(h);
    files_remove(&f);
}

static void unfinished_answers(void)
{
    struct history_message begun = {.role = ROLE_ASSISTANT, .text = "", .model = "m"};
    struct history_message done = {.role = ROLE_ASSISTANT,
                                   .text = "the whole answer",
                                   .len = 16,
                                   .model = "m",
                                   .stop_reason = "eos"};
    char id[HISTORY_ID_CAP] = "";
    struct history_messages out;
    struct history_health health;
    struct files f;
    struct err err;
    struct history *h;
    int64_t answer;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "question");
    CHECK(history_begin_answer(h, id, &begun, &answer, &err));
    CHECK(history_extend_answer(h, answer, "the whole", 9, "hmm", 3, &err));
    if (CHECK(history_list_messages(h, id, &out, &err)) && CHECK(out.n == 2)) {
        CHECK(strcmp(out.row[1].text, "the whole") == 0);
        CHECK(strcmp(out.row[1].thinking, "hmm") == 0);
        CHECK(strcmp(out.row[1].stop_reason, "interrupt") == 0);
        history_messages_release(&out);
    }
    CHECK(files_hits(h, "whole") == 1 && files_hits(h, "hmm") == 1);
    CHECK(history_finish_answer(h, answer, &done, &err));
    CHECK(files_hits(h, "answer") == 1 && files_hits(h, "hmm") == 0);
    if (CHECK(history_list_messages(h, id, &out, &err)) && CHECK(out.n == 2)) {
        CHECK(strcmp(out.row[1].text, "the whole answer") == 0);
        CHECK(out.row[1].thinking == NULL);
        CHECK(strcmp(out.row[1].stop_reason, "eos") == 0);
        history_messages_release(&out);
    }
    CHECK(!history_extend_answer(h, answer + 1, "x", 1, NULL, 0, &err) &&
          err.kind == ERR_SESSION);
    CHECK(history_check(h, &health, &err) && health.ok);
    history_close(h);
    files_remove(&f);
}

static void changes_as_one(void)
{
    char id[HISTORY_ID_CAP] = "";
    char gone[HISTORY_ID_CAP] = "";
    struct history_message m = {.role = ROLE_USER, .text = "word", .len = 4};
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_begin(h, &err));
    files_say(h, id, ROLE_USER, "a word");
    files_say(h, id, ROLE_ASSISTANT, "another word");
    CHECK(files_hits(h, "word") == 2);
    CHECK(history_commit(h, &err));
    CHECK(files_hits(h, "word") == 2);

    CHECK(history_begin(h, &err));
    files_say(h, gone, ROLE_USER, "a word");
    CHECK(!history_add(h, "nobody", &m, NULL, &err) && err.kind == ERR_SESSION);
    history_rollback(h);
    CHECK(files_hits(h, "word") == 2);

    gone[0] = '\0';
    CHECK(history_begin(h, &err));
    files_say(h, gone, ROLE_USER, "a word");
    CHECK(!history_add(h, "nobody", &m, NULL, &err));
    CHECK(!history_commit(h, &err) && err.kind == ERR_DB); /* never a part of it */
    CHECK(files_hits(h, "word") == 2);
    files_say(h, id, ROLE_USER, "word three");
    CHECK(files_hits(h, "word") == 3);
    history_close(h);
    files_remove(&f);
}

static void newest_model(void)
{
    struct history_message m = {.role = ROLE_ASSISTANT, .text = "x", .len = 1};
    char id[HISTORY_ID_CAP];
    struct files f;
    struct err err;
    struct history *h;
    char *model;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_newest_model(h, &model, &err) && model == NULL);
    CHECK(history_begin_session(h, "begun only", NULL, id, &err));
    CHECK(history_newest_model(h, &model, &err) && model == NULL);
    m.model = "first";
    CHECK(history_add(h, id, &m, NULL, &err));
    m.model = "second";
    CHECK(history_add(h, id, &m, NULL, &err));
    m.model = NULL;
    CHECK(history_add(h, id, &m, NULL, &err));
    CHECK(history_newest_model(h, &model, &err) && model != NULL &&
          strcmp(model, "second") == 0);
    free(model);
    history_close(h);
    files_remove(&f);
}

/* True when the file holds these bytes anywhere. */
static bool file_holds(const char *path, const char *needle)
{
    size_t len = 0;
    char *data = access(path, F_OK) == 0 ? test_read(path, &len) : NULL;
    bool found = data != NULL && memmem(data, len, needle, strlen(needle)) != NULL;

    free(data);
    return found;
}

static void deleting(void)
{
    char id[HISTORY_ID_CAP] = "";
    char other[HISTORY_ID_CAP] = "";
    char journal[256];
    char wal[256];
    struct history_health health;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "the canaryword must go");
    files_say(h, other, ROLE_USER, "and this must stay");
    files_say(h, id, ROLE_ASSISTANT, "canaryword again");
    snprintf(wal, sizeof(wal), "%s-wal", f.db);
    CHECK(file_holds(f.db, "canaryword") || file_holds(wal, "canaryword"));
    CHECK(history_delete_session(h, id, &err));
    CHECK(!history_delete_session(h, id, &err) && err.kind == ERR_SESSION);
    CHECK(files_hits(h, "canaryword") == 0 && files_hits(h, "stay") == 1);
    CHECK(history_check(h, &health, &err) && health.ok && health.n_messages == 1);
    history_close(h);
    CHECK(!file_holds(f.db, "canaryword"));
    snprintf(journal, sizeof(journal), "%s-journal", f.db);
    CHECK(!file_holds(journal, "canaryword"));
    CHECK(!file_holds(wal, "canaryword"));
    files_remove(&f);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void private_files(void)
{
    char id[HISTORY_ID_CAP] = "";
    char path[256];
    char side[300];
    struct files f;
    struct history *h;
    mode_t mask;

    files_make(&f);
    mask = umask(0);
    snprintf(path, sizeof(path), "%s/a/b/history.db", f.folder);
    h = files_open(path, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "x");
    CHECK(mode_of(path) == 0600);
    snprintf(side, sizeof(side), "%s-journal", path);
    CHECK(mode_of(side) == 0600 || mode_of(side) == 0);
    snprintf(side, sizeof(side), "%s-wal", path);
    CHECK(mode_of(side) == 0600 || mode_of(side) == 0);
    history_close(h);
    snprintf(side, sizeof(side), "%s/a", f.folder);
    CHECK(mode_of(side) == 0700);
    snprintf(side, sizeof(side), "%s/a/b", f.folder);
    CHECK(mode_of(side) == 0700);
    CHECK(chmod(path, 0644) == 0);
    history_close(files_open(path, HISTORY_WRITE));
    CHECK(mode_of(path) == 0600);
    umask(mask);
    unlink(path);
    snprintf(path, sizeof(path), "%s/a/b/history.db-journal", f.folder);
    unlink(path);
    rmdir(side);
    snprintf(side, sizeof(side), "%s/a", f.folder);
    rmdir(side);
    files_remove(&f);
}

static void reading_makes_nothing(void)
{
    char id[HISTORY_ID_CAP] = "";
    struct history_sessions list;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_READ);
    CHECK(history_list_sessions(h, 0, 0, &list, &err) && list.n == 0);
    CHECK(!history_newest_session(h, id, &err) && err.kind == ERR_SESSION);
    CHECK(!history_resolve(h, "abc", id, &err) && err.kind == ERR_SESSION);
    CHECK(files_hits(h, "x") == 0);
    CHECK(!history_begin_session(h, "m", NULL, id, &err) && err.kind == ERR_DB);
    history_close(h);
    CHECK(access(f.db, F_OK) != 0);
    id[0] = '\0';
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "x");
    history_close(h);
    h = files_open(f.db, HISTORY_READ);
    CHECK(!history_set_title(h, id, "t", &err) && err.kind == ERR_DB);
    history_close(h);
    files_remove(&f);
}

/* Names that SQLite would take for something else than a path. */
static void odd_names(void)
{
    static const char *const names[] = {":memory:", "file:x?mode=memory", "a b\nc",
                                        "%41", "x'\"y"};
    char here[4096];
    struct files f;

    files_make(&f);
    if (!CHECK(getcwd(here, sizeof(here)) != NULL) || !CHECK(chdir(f.folder) == 0))
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char id[HISTORY_ID_CAP] = "";
        struct history *h = files_open(names[i], HISTORY_WRITE);

        if (h == NULL)
            continue;
        files_say(h, id, ROLE_USER, "x");
        history_close(h);
        CHECK(access(names[i], F_OK) == 0);
    }
    CHECK(chdir(here) == 0);
    files_remove(&f);
}

static void health(void)
{
    char id[HISTORY_ID_CAP] = "";
    struct history_health health;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    files_say(h, id, ROLE_USER, "x");
    if (CHECK(history_check(h, &health, &err))) {
        CHECK(health.ok && health.problem[0] == '\0');
        CHECK(health.schema_version == health.schema_newest);
        CHECK(strcmp(health.journal_mode, "persist") == 0 ||
              strcmp(health.journal_mode, "wal") == 0);
        CHECK(health.n_sessions == 1 && health.n_messages == 1);
        CHECK(health.size_bytes > 0);
    }
    history_close(h);
    files_remove(&f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"round_trip", round_trip},
        {"sessions_newest_first", sessions_newest_first},
        {"order_is_not_the_clock", order_is_not_the_clock},
        {"titles", titles},
        {"title_by_hand_stays", title_by_hand_stays},
        {"resolving", resolving},
        {"unfinished_answers", unfinished_answers},
        {"changes_as_one", changes_as_one},
        {"newest_model", newest_model},
        {"deleting", deleting},
        {"private_files", private_files},
        {"reading_makes_nothing", reading_makes_nothing},
        {"odd_names", odd_names},
        {"health", health},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
