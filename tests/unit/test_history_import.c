/* SPDX-License-Identifier: MIT
 *
 * Import of damaged files: never a crash, and all or nothing. What good files come to
 * is tested in tests/cli/history.py.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history/db.h"
#include "history/history.h"
#include "tests/history_files.h"
#include "tests/test.h"

static const char own[] =
    "[{\"session\":\"abc\",\"title\":\"t\",\"model\":null,\"created_ms\":1,"
    "\"messages\":["
    "{\"role\":\"user\",\"content\":\"q\",\"time_ms\":2,\"seed\":7,\"token_ids\":[1,-2]"
    "},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
    "\"thinking\":\"h\",\"settings\":\"{}\",\"stop_reason\":\"eos\"}]}]";

static const char chatgpt[] =
    "[{\"title\":\"t\",\"id\":\"x-1\",\"create_time\":1700000000.5,\"current_node\":"
    "\"b\","
    "\"mapping\":{\"r\":{\"parent\":null,\"message\":null},\"a\":{\"parent\":\"r\","
    "\"message\":{\"author\":{\"role\":\"user\"},\"content\":{\"parts\":[\"q\"]}}},"
    "\"b\":{\"parent\":\"a\",\"message\":{\"author\":{\"role\":\"assistant\"},"
    "\"content\":"
    "{\"parts\":[\"a\",{\"text\":\"b\"},7]},\"metadata\":{\"model_slug\":\"m\"}}}}}]";

static const char lines[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"}]}\n\n"
    "{\"messages\":[{\"role\":\"user\",\"content\":\"two\"}]}\n";

static void write_file(const char *path, const char *data, size_t len)
{
    FILE *out = fopen(path, "wb");

    CHECK(out != NULL && fwrite(data, 1, len, out) == len);
    if (out != NULL)
        fclose(out);
}

static int64_t count_messages(struct history *h)
{
    struct history_health health = {0};
    struct err err;

    CHECK(history_check(h, &health, &err) && health.ok);
    return health.n_messages;
}

/* Imports; where that fails, nothing may have come. Returns whether it worked. */
static bool try_import(struct history *h, const char *path)
{
    int64_t before = count_messages(h);
    struct history_imported counts = {0};
    struct err err;

    if (history_import(h, path, &counts, &err)) {
        CHECK(count_messages(h) == before + counts.n_messages);
        return true;
    }
    CHECK(err.kind == ERR_USAGE || err.kind == ERR_IO || err.kind == ERR_DB);
    CHECK(count_messages(h) == before);
    return false;
}

/* One to four bytes changed, or the end cut off. */
static void mutate(char *data, size_t *len, uint32_t *seed)
{
    static const char bytes[] = "\"{}[],:0\\\n\xff z9-n";
    uint32_t n = 1 + files_random(seed) % 4;

    for (uint32_t i = 0; i < n; i++)
        data[files_random(seed) % *len] =
            bytes[files_random(seed) % (sizeof(bytes) - 1)];
    if (files_random(seed) % 4 == 0)
        *len = files_random(seed) % *len;
}

static void mutated(const char *good, size_t good_len)
{
    char path[256];
    char *data = malloc(good_len);
    uint32_t seed = 21;
    struct files f;
    struct history *h;

    files_make(&f);
    snprintf(path, sizeof(path), "%s/import", f.folder);
    h = files_open(f.db, HISTORY_WRITE);
    write_file(path, good, good_len);
    CHECK(try_import(h, path));
    for (int i = 0; i < 120 && data != NULL; i++) {
        size_t len = good_len;

        memcpy(data, good, good_len);
        mutate(data, &len, &seed);
        write_file(path, data, len);
        try_import(h, path);
    }
    history_close(h);
    free(data);
    files_remove(&f);
}

static void mutated_own(void)
{
    mutated(own, sizeof(own) - 1);
}

static void mutated_chatgpt(void)
{
    mutated(chatgpt, sizeof(chatgpt) - 1);
}

static void mutated_lines(void)
{
    mutated(lines, sizeof(lines) - 1);
}

static void mutated_llm(void)
{
    static const char sql[] =
        "CREATE TABLE conversations (id TEXT, name TEXT, model TEXT);"
        "CREATE TABLE responses (id TEXT, model TEXT, prompt TEXT, system TEXT,"
        " response TEXT, conversation_id TEXT, datetime_utc TEXT);"
        "INSERT INTO responses VALUES ('r', 'm', 'q', 's', 'a', NULL, "
        "'2023-01-01T00:00:00');"
        "INSERT INTO responses VALUES (NULL, 7, x'ff00', 1.5, NULL, 'c', NULL);";
    struct files f;
    struct err err;
    struct db db;
    char *data;
    size_t len = 0;

    files_make(&f);
    if (!CHECK(db_open(&db, f.db, DB_READ_WRITE, &err)))
        return;
    if (!db_exec(&db, sql, &err))
        FAIL("%s", err.text);
    db_close(&db);
    data = test_read(f.db, &len);
    files_remove(&f);
    if (data != NULL)
        mutated(data, len);
    free(data);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"mutated_own", mutated_own},
        {"mutated_chatgpt", mutated_chatgpt},
        {"mutated_lines", mutated_lines},
        {"mutated_llm", mutated_llm},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
