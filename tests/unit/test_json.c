/* SPDX-License-Identifier: MIT
 *
 * Tests of src/base/json: what is refused and with which words, exact integers, and
 * that what is written is read back.
 */
#include "config.h"

#include "src/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

struct json_case {
    const char *text;
    const char *why; /* part of the message; NULL: accepted */
};

static const struct json_case texts[] = {
    {"{}", NULL},
    {" [ ] \n", NULL},
    {"null", NULL},
    {"\"x\"", NULL},
    {"-0.5e-3", NULL},
    {"[1,2,[3,{\"a\":[]}],true,false,null]", NULL},
    {"{\"a\":1,\"A\":2}", NULL},
    {"[\"\\ud83d\\ude00 \\\" \\\\ \\/ \\b\\f\\n\\r\\t \\u00e9\"]", NULL},
    {"", "the text ends where a value is expected at line 1, column 1"},
    {"{} x", "text after the end at line 1, column 4"},
    {"{}{}", "text after the end"},
    {"[1,\n 2,\n x]", "expected a value at line 3, column 2"},
    {"[1,]", "expected a value"},
    {"[1 2]", "expected a comma"},
    {"[", "the text ends"},
    {"[1", "the text ends too early"},
    {"[1}", "closing bracket"},
    {"{\"a\":1,}", "expected a key"},
    {"{a:1}", "expected a key"},
    {"{\"a\" 1}", "expected a colon"},
    {"{\"a\"", "expected a colon"},
    {"{\"a\":", "the text ends"},
    {"\"a", "ends inside a string"},
    {"\"a\\", "unknown escape"},
    {"\"\\x\"", "unknown escape"},
    {"\"\\u12\"", "four hexadecimal digits"},
    {"\"\\u0000\"", "NUL in a string"},
    {"\"\\ud800\"", "half of a surrogate pair"},
    {"\"\\ud800\\u0041\"", "half of a surrogate pair"},
    {"\"\\udc00\"", "half of a surrogate pair"},
    {"\"\n\"", "control character"},
    {"\"\xFF\"", "not UTF-8"},
    {"\"\xED\xA0\x80\"", "not UTF-8"},
    {"\xEF\xBB\xBF{}", "expected a value"},
    {"01", "malformed number"},
    {"-", "malformed number"},
    {"1.", "malformed number"},
    {"1e", "malformed number"},
    {".5", "expected a value"},
    {"+1", "expected a value"},
    {"NaN", "expected a value"},
    {"nul", "unexpected text"},
    {"1e400", "number out of range"},
    {"{\"rope\":-1e999}", "number out of range in \"rope\""},
    {"1234567890123456789012345678901234567890123456789012345678901",
     "more than 60 characters"},
    {"{\"a\":1,\"b\":{\"c\":1,\"c\":2}}", "duplicate key \"c\""},
    {"{\"a\":1,\"\\u0061\":2}", "duplicate key \"a\""},
};

static void strict(void)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct json_case *c = &texts[i];
        struct err err = {.kind = ERR_NONE};
        cJSON *tree = json_parse(c->text, strlen(c->text), "x.json", ERR_MODEL, &err);

        if ((tree != NULL) != (c->why == NULL))
            FAIL("'%s': %s", c->text, tree != NULL ? "accepted" : err.text);
        else if (tree == NULL && (strncmp(err.text, "x.json: ", 8) != 0 ||
                                  strstr(err.text, c->why) == NULL))
            FAIL("'%s': says '%s'", c->text, err.text);
        else if (tree == NULL)
            CHECK(err.kind == ERR_MODEL);
        cJSON_Delete(tree);
    }
}

static void raw_nul_is_refused(void)
{
    CHECK(json_parse("\"a\0b\"", 5, "x", ERR_USAGE, NULL) == NULL);
    CHECK(json_parse("{}\0", 3, "x", ERR_USAGE, NULL) == NULL);
}

static cJSON *nested(size_t depth)
{
    char text[2048];
    cJSON *tree;

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    tree = json_parse(text, 2 * depth, "x", ERR_USAGE, NULL);
    return tree;
}

static void depth_limit(void)
{
    cJSON *tree = nested(200);

    CHECK(tree != NULL);
    cJSON_Delete(tree);
    CHECK(nested(201) == NULL);
}

/* A text that no NUL follows: under a sanitizer, reading past its end is seen. */
static void needs_no_nul(void)
{
    static const char *const cut[] = {"[1", "\"a", "{\"a\":tru", "12", "\"\\u00", "-"};

    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        size_t len = strlen(cut[i]);
        char *text = malloc(len);

        memcpy(text, cut[i], len);
        cJSON_Delete(json_parse(text, len, "x", ERR_USAGE, NULL));
        free(text);
    }
}

static void large_objects(void)
{
    struct buf text;
    cJSON *tree;
    struct err err = {.kind = ERR_NONE};

    buf_init(&text, 1 << 20);
    buf_add_char(&text, '{');
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "\"key%d\":%d,", i, i);
    buf_add_text(&text, "\"last\":0");
    buf_add_char(&text, '}');
    tree = json_parse(buf_text(&text), text.len, "x", ERR_USAGE, &err);
    CHECK(tree != NULL);
    cJSON_Delete(tree);
    text.len -= 9;
    buf_add_text(&text, "\"key123\":0}");
    CHECK(json_parse(buf_text(&text), text.len, "x", ERR_USAGE, &err) == NULL);
    CHECK(strstr(err.text, "duplicate key \"key123\"") != NULL);
    buf_release(&text);
}

static void integers_are_exact(void)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } numbers[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"6000000000", true, 6000000000},
        {"2.0", true, 2},
        {"1e3", true, 1000},
        {"9007199254740991", true, 9007199254740991},
        {"9007199254740993", false, 0},
        {"18446744073709551616", false, 0},
        {"1.5", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *text = numbers[i].text;
        cJSON *tree = json_parse(text, strlen(text), "x", ERR_USAGE, NULL);
        int64_t value = 0;

        if (json_int(tree, INT64_MIN, INT64_MAX, &value) != numbers[i].ok ||
            value != numbers[i].value)
            FAIL("%s", text);
        CHECK(!json_int(tree, 5, 6, &value));
        cJSON_Delete(tree);
    }
    CHECK(!json_int(NULL, 0, 1, NULL));
}

static void write_all(struct buf *out)
{
    static const char text[] =
        "q\" \\ \n\t\x01\x1B\x7F \xC2\x9B \xE2\x80\xAE \xC3\xA9 \xFF";
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "text");
    json_text_n(&w, text, sizeof(text) - 1);
    json_key(&w, "none");
    json_text(&w, NULL);
    json_key(&w, "list");
    json_array(&w);
    json_integer(&w, -5);
    json_unsigned(&w, 18446744073709551615U);
    json_number(&w, 0.1);
    json_number(&w, NAN);
    json_number(&w, 1e300);
    json_float(&w, 0.1F);
    json_bool(&w, true);
    json_array(&w);
    json_end_array(&w);
    json_raw(&w, "{\"k\":1}", 7);
    json_end_array(&w);
    json_end_object(&w);
}

static void writer_writes_json(void)
{
    struct buf out;
    cJSON *tree;
    struct err err = {.kind = ERR_NONE};
    static const char expected[] =
        "{\"text\":\"q\\\" \\\\ \\n\\t\\u0001\\u001b\\u007f \\u009b \\u202e \xC3\xA9 "
        "\xEF\xBF\xBD\",\"none\":null,\"list\":[-5,18446744073709551615,0.1,null,1e+"
        "300,"
        "0.100000001,true,[],{\"k\":1}]}";

    buf_init(&out, 4096);
    write_all(&out);
    if (strcmp(buf_text(&out), expected) != 0)
        FAIL("wrote %s", buf_text(&out));
    tree = json_parse(buf_text(&out), out.len, "out", ERR_FAILED, &err);
    CHECK(tree != NULL);
    cJSON_Delete(tree);
    buf_release(&out);
}

static void numbers_read_back(void)
{
    static const double values[] = {
        0, -0.0, 1.0 / 3, 1e-310, 123456789.123456789, 1e22, 0.30000000000000004, -2.5};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct buf out;
        struct json_writer w;

        buf_init(&out, 100);
        json_begin(&w, &out);
        json_number(&w, values[i]);
        if (strtod(buf_text(&out), NULL) != values[i])
            FAIL("%s", buf_text(&out));
        buf_release(&out);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"strict", strict},
        {"raw_nul_is_refused", raw_nul_is_refused},
        {"depth_limit", depth_limit},
        {"needs_no_nul", needs_no_nul},
        {"large_objects", large_objects},
        {"integers_are_exact", integers_are_exact},
        {"writer_writes_json", writer_writes_json},
        {"numbers_read_back", numbers_read_back},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
