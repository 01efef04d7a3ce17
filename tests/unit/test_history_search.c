/* SPDX-License-Identifier: MIT
 *
 * Search: the words of a text, the query language, filters, order, excerpts; and that
 * no query is an error.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/history.h"
#include "history/words.h"
#include "src/base/buf.h"
#include "src/base/utf8.h"
#include "tests/history_files.h"
#include "tests/test.h"

/* --- words ---------------------------------------------------------------------- */

static int add_word(void *ctx, int flags, const char *word, int len, int start, int end)
{
    struct buf *out = ctx;

    if (out->len > 0)
        buf_add_char(out, (flags & FTS5_TOKEN_COLOCATED) != 0 ? '+' : ' ');
    buf_add(out, word, (size_t)len);
    CHECK(start >= 0 && start < end);
    return SQLITE_OK;
}

static void check_words(const char *text, enum words_use use, const char *expected)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    CHECK(words_cut(text, (int)strlen(text), use, add_word, &out) == SQLITE_OK);
    if (strcmp(buf_text(&out), expected) != 0)
        FAIL("words of '%s' are '%s', not '%s'", text, buf_text(&out), expected);
    buf_release(&out);
}

static void words_of_texts(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        {" .,;", ""},
        {"Hello, World!", "hello world"},
        {"snake_case x_1", "snake case x 1"},
        {"getUserName", "getusername+get+user+name"},
        {"HTTPServer", "httpserver+http+server"},
        {"ABC Abc aB", "abc abc ab+a+b"},
        {"v2.0 3D", "v2 0 3d"},
        {"don't", "don t"},
        {"\xC3\x89LAN e\xCC\x81lan", "elan elan"},
        {"Stra\xC3\x9F\x65 \xEF\xAC\x81x", "strasse fix"},
        {"\xEF\xBC\xA1\xEF\xBC\xA2", "ab"},            /* full-width A B */
        {"co\xC2\xADop a\xE2\x80\x8D\x62", "coop ab"}, /* soft hyphen, joiner */
        {"大模型", "大模 模型 型"},
        {"模", "模"},
        {"用GPT写", "用 gpt 写"},
        {"カタカナ", "カタ タカ カナ ナ"},
        {"a\xFF\xFE"
         "b",
         "a b"},
        {"x\xF0\x9F\x98\x80y", "x \xF0\x9F\x98\x80 y"},
        {"нёбо Й", "небо и"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_words(cases[i][0], WORDS_OF_TEXT, cases[i][1]);
}

static void words_of_queries(void)
{
    static const char *const cases[][2] = {
        {"getUserName", "getusername"},
        {"大模型", "大模 模型"},
        {"模", "模"},
        {"模型。", "模型"},
        {"模型 推", "模型 型 推"},
        {"用GPT", "用 gpt"},
        {"GPT写好", "gpt 写好"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_words(cases[i][0], WORDS_OF_QUERY, cases[i][1]);
    CHECK(words_of_phrase("模", 3).open_end && words_of_phrase("a 模", 5).open_end);
    CHECK(!words_of_phrase("模型", 6).open_end && !words_of_phrase("模a", 4).open_end);
    CHECK(words_of_phrase("++ --", 5).n_words == 0);
}

/* Any bytes: it ends, and every word is UTF-8. */
static int valid_word(void *ctx, int flags, const char *word, int len, int start,
                      int end)
{
    (void)flags;
    CHECK(len > 0 && utf8_is_valid(word, (size_t)len));
    CHECK(start >= 0 && start < end && end <= *(int *)ctx);
    return SQLITE_OK;
}

static void words_of_noise(void)
{
    uint32_t seed = 1;
    char text[512];
    int len = (int)sizeof(text);

    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            uint32_t r = files_random(&seed);

            text[i] = (char)(round % 2 == 0 ? r : 0xE0 | (r & 0x1F));
            if (round % 3 == 0 && (r & 0x300) != 0)
                text[i] = (char)(0x80 | (r & 0x3F));
        }
        CHECK(words_cut(text, len, WORDS_OF_TEXT, valid_word, &len) == SQLITE_OK);
        CHECK(words_cut(text, len, WORDS_OF_QUERY, valid_word, &len) == SQLITE_OK);
    }
}

/* --- queries -------------------------------------------------------------------- */

/* A history of these messages, each in a session of its own. */
static struct history *make(struct files *f, const char *const *texts, size_t n)
{
    struct history *h;

    files_make(f);
    h = files_open(f->db, HISTORY_WRITE);
    for (size_t i = 0; i < n; i++) {
        char id[HISTORY_ID_CAP] = "";

        files_say(h, id, ROLE_USER, texts[i]);
    }
    return h;
}

static void finds(void)
{
    static const char *const texts[] = {
        "Hello GitHub world, the DeepSeek model",
        "大模型推理很快。GPT推理",
        "snake_case_name and getUserName in C++",
        "\xC3\x89lan vital",
        "foo bar baz",
        "안녕하세요 세계",
        "ภาษาไทยง่าย",
        "カタカナとひらがな",
    };
    static const struct {
        const char *query;
        int hits;
    } cases[] = {
        {"hello", 1},
        {"HELLO world", 1},
        {"hello foo", 0},
        {"\"hello github\"", 1},
        {"\"github hello\"", 0},
        {"github hello", 1},
        {"hub", 1},
        {"\"deepseek model\"", 1},
        {"deep*", 1},
        {"dee*", 1},
        {"dee", 0},
        {"*", 0},
        {"eep*", 0},
        {"模型", 1},
        {"模", 1},
        {"型推", 1},
        {"推理很快", 1},
        {"\"模型推理\"", 1},
        {"很慢", 0},
        {"模型 gpt", 1},
        {"gpt推", 1},
        {"快", 1},
        {"理", 1},
        {"snake_case_name", 1},
        {"case_name", 1},
        {"snake", 1},
        {"name", 1},
        {"getusername", 1},
        {"getUserName", 1},
        {"user", 1},
        {"c++", 1},
        {"elan", 1},
        {"\xC3\x89LAN", 1},
        {"e\xCC\x81lan", 1},
        {"foo baz", 1},
        {"\"foo baz\"", 0},
        {"\"foo bar\" baz", 1},
        {"foo AND baz", 0},
        {"foo OR nothing", 0},
        {"NOT foo", 0},
        {"NEAR(foo bar)", 0},
        {"text:foo", 0},
        {"foo-bar", 1},
        {"foo-baz", 0},
        {"^foo", 1},
        {"foo + bar", 1},
        {"\"foo", 1},
        {"foo\"", 1},
        {"\"\"", 0},
        {"\"\" foo", 1},
        {"\"foo\"\"bar\"", 1},
        {"세계", 1},
        {"녕하", 1},
        {"ไทย", 1},
        {"タカ", 1},
        {"ひら", 1},
        {"", 0},
        {"   ", 0},
        {"++", 0},
        {"foo ++", 1},
    };
    struct files f;
    struct history *h = make(&f, texts, sizeof(texts) / sizeof(texts[0]));

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int hits = files_hits(h, cases[i].query);

        if (hits != cases[i].hits)
            FAIL("'%s' has %d hits, not %d", cases[i].query, hits, cases[i].hits);
    }
    history_close(h);
    files_remove(&f);
}

/* Every part of a text of a script without spaces is found. */
static void finds_any_part(void)
{
    static const char *const texts[] = {"深度求索推出了新的大语言模型并开放了权重"};
    const size_t n_chars = strlen(texts[0]) / 3;
    char part[128];
    struct files f;
    struct history *h = make(&f, texts, 1);

    for (size_t from = 0; from < n_chars; from++)
        for (size_t n = 1; from + n <= n_chars; n++) {
            snprintf(part, sizeof(part), "%.*s", (int)(n * 3), texts[0] + from * 3);
            if (files_hits(h, part) != 1)
                FAIL("'%s' is not found", part);
        }
    history_close(h);
    files_remove(&f);
}

/* 500 queries of what is syntax elsewhere: none is an error, and as no part but one has
 * a word, each finds exactly the message with that word. */
static void nasty_queries(void)
{
    static const char *const parts[] = {
        "\"",
        "'",
        "*",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "^",
        "+",
        "-",
        ":",
        ";",
        "--",
        "/*",
        "*/",
        "\\",
        "%",
        "?",
        "@",
        "#",
        "$",
        "&",
        "|",
        "~",
        "`",
        "<",
        ">",
        "=",
        ",",
        ".",
        "\"\"",
        "\"*",
        "*\"",
        "^\"",
        "\t",
        "\n",
        "\r",
        "\x01",
        "\x7f",
        "\xff",
        "\xc3",
        "\xe2\x80\xae",
        "\xef\xbf\xbd",
        "\xed\xa0\x80",
        "   ",
        "!",
        "\033[",
        "\"\"\"",
    };
    static const char *const texts[] = {"before", "the needle here", "after"};
    const uint32_t n_parts = sizeof(parts) / sizeof(parts[0]);
    uint32_t seed = 7;
    struct files f;
    struct history *h = make(&f, texts, 3);

    for (int i = 0; i < 500; i++) {
        uint32_t n = 1 + files_random(&seed) % 6;
        uint32_t at = files_random(&seed) % n;
        struct buf query;

        buf_init(&query, 1024);
        for (uint32_t k = 0; k < n; k++) {
            buf_add_text(&query, parts[files_random(&seed) % n_parts]);
            if (k == at && i % 5 != 0)
                buf_add_text(&query, i % 2 == 0 ? "needle" : " needle ");
        }
        if (files_hits(h, buf_text(&query)) != (i % 5 != 0 ? 1 : 0))
            FAIL("query %d: '%s'", i, buf_text(&query));
        buf_release(&query);
    }
    history_close(h);
    files_remove(&f);
}

static void huge_queries(void)
{
    static const char *const texts[] = {"a b c needle"};
    struct files f;
    struct history *h = make(&f, texts, 1);
    struct buf query;

    buf_init(&query, 1 << 20);
    for (int i = 0; i < 2000; i++)
        buf_add_text(&query, "a b c ");
    CHECK(files_hits(h, query.data) == 1);
    buf_add_text(&query, "missing");
    CHECK(files_hits(h, query.data) == 0);
    buf_clear(&query);
    for (int i = 0; i < 20000; i++)
        buf_add_text(&query, "(");
    buf_add_text(&query, " needle");
    CHECK(files_hits(h, query.data) == 1);
    buf_clear(&query);
    for (int i = 0; i < 20000; i++)
        buf_add_text(&query, "x");
    CHECK(files_hits(h, query.data) == 0);
    buf_release(&query);
    history_close(h);
    files_remove(&f);
}

/* --- order, filters, excerpts ---------------------------------------------------- */

static void order_and_rank(void)
{
    static const char *const texts[] = {
        "parser parser parser",
        "a parser, and many other words that make the message a long one to read",
        "one parser",
        "nothing to see",
    };
    struct history_query query = {.text = "parser", .limit = 2};
    struct history_hits newest, best;
    struct files f;
    struct err err;
    struct history *h = make(&f, texts, 4);

    if (CHECK(history_search(h, &query, &newest, &err)) && CHECK(newest.n == 2)) {
        CHECK(newest.row[0].message_id == 3 && newest.row[1].message_id == 2);
        query.best = true;
        if (CHECK(history_search(h, &query, &best, &err)) && CHECK(best.n == 2)) {
            CHECK(best.row[0].message_id == 1 && best.row[1].message_id == 3);
            CHECK(best.row[0].rank > best.row[1].rank);
            CHECK(fabs(best.row[1].rank - newest.row[0].rank) < 1e-12);
            history_hits_release(&best);
        }
        history_hits_release(&newest);
    }
    history_close(h);
    files_remove(&f);
}

static int count(struct history *h, const struct history_query *query)
{
    struct history_hits hits;
    struct err err;
    int n;

    if (!history_search(h, query, &hits, &err)) {
        FAIL("%s", err.text);
        return -1;
    }
    n = (int)hits.n;
    history_hits_release(&hits);
    return n;
}

static void filters(void)
{
    struct history_message m = {.text = "word", .len = 4};
    char id[HISTORY_ID_CAP];
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    for (int i = 0; i < 6; i++) {
        CHECK(history_begin_session(h, i < 3 ? "one" : "org/two", NULL, id, &err));
        m.role = i % 2 == 0 ? ROLE_USER : ROLE_ASSISTANT;
        m.time_ms = 1000 * (i + 1);
        m.model = i == 0 ? "own" : NULL;
        CHECK(history_add(h, id, &m, NULL, &err));
    }
    for (int best = 0; best < 2; best++) {
        struct history_query q = {.text = "word", .best = best != 0};

        CHECK(count(h, &q) == 6);
        q.model = "one";
        CHECK(count(h, &q) == 2);
        q.model = "own";
        CHECK(count(h, &q) == 1);
        q.model = "nobody";
        CHECK(count(h, &q) == 0);
        q.model = NULL;
        q.since_ms = 4000;
        CHECK(count(h, &q) == 3);
        q.has_role = true;
        q.role = ROLE_USER;
        CHECK(count(h, &q) == 1);
        q.since_ms = 0;
        q.model = "two";
        CHECK(count(h, &q) == 1);
        q.model = "wo";
        CHECK(count(h, &q) == 0);
    }
    history_close(h);
    files_remove(&f);
}

/* A session that went on with another model: each question is its answer's model's. */
static void models(void)
{
    static const char *const answered_by[] = {"org/a", "b", NULL};
    struct history_message m = {.text = "word", .len = 4};
    struct history_query q = {.text = "word"};
    char id[HISTORY_ID_CAP];
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_begin_session(h, "org/a", NULL, id, &err));
    for (size_t i = 0; i < 3; i++) {
        m.role = ROLE_USER;
        m.model = NULL;
        CHECK(history_add(h, id, &m, NULL, &err));
        m.role = ROLE_ASSISTANT;
        m.model = answered_by[i];
        if (m.model != NULL)
            CHECK(history_add(h, id, &m, NULL, &err));
    }
    q.model = "org/a";
    CHECK(count(h, &q) == 2);
    q.model = "a";
    CHECK(count(h, &q) == 2);
    q.model = "b";
    CHECK(count(h, &q) == 3); /* and the question that waits for its answer */
    q.model = "rg/a";
    CHECK(count(h, &q) == 0);
    history_close(h);
    files_remove(&f);
}

static void snippets(void)
{
    struct buf text;
    char id[HISTORY_ID_CAP] = "";
    struct history_query query = {.text = "needle"};
    struct history_hits hits;
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 500; i++)
        buf_add_text(&text, "hay \033[31m\n");
    buf_add_text(&text, "Needle");
    for (int i = 0; i < 500; i++)
        buf_add_text(&text, "\r\n\xff stack");
    files_say(h, id, ROLE_USER, text.data);
    buf_release(&text);
    if (CHECK(history_search(h, &query, &hits, &err)) && CHECK(hits.n == 1)) {
        const char *s = hits.row[0].snippet;
        int n_chars = 0;

        CHECK(utf8_is_valid(s, strlen(s)));
        for (const char *c = s; *c != '\0'; c++) {
            CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
            n_chars += ((unsigned char)*c & 0xc0) != 0x80;
        }
        CHECK(n_chars > 80 && n_chars < 240);
        CHECK(hits.row[0].mark_len == 6 &&
              strncmp(s + hits.row[0].mark, "Needle", 6) == 0);
        history_hits_release(&hits);
    }
    history_close(h);
    files_remove(&f);
}

static void finds_in_thinking(void)
{
    struct history_message m = {.role = ROLE_ASSISTANT,
                                .text = "short",
                                .len = 5,
                                .thinking = "the deep thought",
                                .thinking_len = 16};
    struct history_query query = {.text = "thought"};
    struct history_hits hits;
    char id[HISTORY_ID_CAP];
    struct files f;
    struct err err;
    struct history *h;

    files_make(&f);
    h = files_open(f.db, HISTORY_WRITE);
    CHECK(history_begin_session(h, NULL, NULL, id, &err));
    CHECK(history_add(h, id, &m, NULL, &err));
    CHECK(files_hits(h, "short thought") == 1);
    if (CHECK(history_search(h, &query, &hits, &err)) && CHECK(hits.n == 1)) {
        CHECK(strcmp(hits.row[0].snippet, "the deep thought") == 0);
        CHECK(hits.row[0].mark == 9 && hits.row[0].mark_len == 7);
        history_hits_release(&hits);
    }
    history_close(h);
    files_remove(&f);
}

static void since(void)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"1970-01-01", 0},
        {"2026-11-24", 1795478400000},
        {"2024-02-29", 1709164800000},
        {"2026-11-24T06:00:00Z", 1795500000000},
        {"7d", 1795478400000 - 7LL * 86400000},
        {"24h", 1795478400000 - 86400000},
        {"0d", 1795478400000},
        {"2026-02-29", -1},
        {"2026-13-01", -1},
        {"2026-00-10", -1},
        {"2026-11-31", -1},
        {"2026-11-24x", -1},
        {"2026-11", -1},
        {"", -1},
        {"d", -1},
        {"-7d", -1},
        {"7", -1},
        {"7w", -1},
        {"7dd", -1},
        {"99999999999d", -1},
        {"yesterday", -1},
        {"2026-11-24T25:00:00Z", -1},
        {"+7d", -1},
        {" 7d", -1},
        {"1e3d", -1},
    };
    struct err err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -2;
        bool ok = history_parse_since(cases[i].text, 1795478400000, &ms, &err);

        if (ok != (cases[i].ms != -1) || (ok && ms != cases[i].ms))
            FAIL("'%s' gives %lld", cases[i].text, (long long)ms);
        if (!ok)
            CHECK(err.kind == ERR_USAGE);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"words_of_texts", words_of_texts},
        {"words_of_queries", words_of_queries},
        {"words_of_noise", words_of_noise},
        {"finds", finds},
        {"finds_any_part", finds_any_part},
        {"nasty_queries", nasty_queries},
        {"huge_queries", huge_queries},
        {"order_and_rank", order_and_rank},
        {"filters", filters},
        {"models", models},
        {"snippets", snippets},
        {"finds_in_thinking", finds_in_thinking},
        {"since", since},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
