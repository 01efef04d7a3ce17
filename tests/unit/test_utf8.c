/* SPDX-License-Identifier: MIT
 *
 * Tests of src/base/utf8: decoding, repair by maximal subparts, streams.
 */
#include "config.h"

#include "src/base/utf8.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

struct repair_case {
    const char *name;
    const char *in;
    size_t len;
    const char *out;
};

#define R "\xEF\xBF\xBD"
#define IN(text) (text), sizeof(text) - 1

static const struct repair_case repairs[] = {
    {"empty", IN(""), ""},
    {"ascii", IN("abc"), "abc"},
    {"two, three, four bytes", IN("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
     "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
    {"Latin-1", IN("na\xEFve"), "na" R "ve"},
    {"lone continuation", IN("\x80\xBF"), R R},
    {"overlong", IN("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), R R R R R R R R "A"},
    {"surrogate", IN("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), R R R R R R R R "A"},
    {"above 10FFFF", IN("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), R R R R R "A" R R "B"},
    /* Unicode 15, table 3-11 */
    {"truncated", IN("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), R R R R "A"},
    {"truncated at the end", IN("a\xF0\x9F\x98"), "a" R},
    {"F5 and above", IN("\xF5\x80\x80\x80"), R R R R},
    {"last of each length", IN("\xDF\xBF\xEF\xBF\xBF\xF4\x8F\xBF\xBF"),
     "\xDF\xBF\xEF\xBF\xBF\xF4\x8F\xBF\xBF"},
};

static void repair_by_maximal_subparts(void)
{
    for (size_t i = 0; i < sizeof(repairs) / sizeof(repairs[0]); i++) {
        const struct repair_case *c = &repairs[i];
        struct buf out;

        buf_init(&out, 1000);
        CHECK(utf8_repair(&out, c->in, c->len));
        if (strcmp(buf_text(&out), c->out) != 0)
            FAIL("%s: got '%s'", c->name, buf_text(&out));
        CHECK(utf8_is_valid(buf_text(&out), out.len));
        CHECK(utf8_is_valid(c->in, c->len) == (strcmp(c->in, c->out) == 0));
        buf_release(&out);
    }
}

static void repair_keeps_nul(void)
{
    struct buf out;

    buf_init(&out, 100);
    CHECK(utf8_repair(&out, "a\0b\xFF", 4));
    CHECK(out.len == 6 && memcmp(out.data, "a\0b" R, 6) == 0);
    buf_release(&out);
}

static void repair_stops_at_maximum(void)
{
    struct buf out;

    buf_init(&out, 4);
    CHECK(!utf8_repair(&out, "ab\xFFz", 4));
    buf_release(&out);
}

static void code_points_round_trip(void)
{
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        char bytes[4];
        uint32_t back;
        bool valid;
        size_t n;

        if (c >= 0xD800 && c < 0xE000)
            continue;
        n = utf8_encode(c, bytes);
        if (utf8_decode(bytes, n, &back, &valid) != n || back != c || !valid)
            FAIL("U+%04X", (unsigned)c);
        if (n > 1 && utf8_incomplete_tail(bytes, n - 1) != n - 1)
            FAIL("U+%04X: its beginning is not held back", (unsigned)c);
        if (utf8_incomplete_tail(bytes, n) != 0)
            FAIL("U+%04X: complete, yet held back", (unsigned)c);
    }
}

static void decode_reports_ill_formed(void)
{
    uint32_t c;
    bool valid;

    CHECK(utf8_decode("\xE2\x82", 2, &c, &valid) == 2 && c == 0xFFFD && !valid);
    CHECK(utf8_decode("\xE2\x41", 2, &c, &valid) == 1 && c == 0xFFFD && !valid);
    CHECK(utf8_decode("\xEF\xBF\xBD", 3, &c, &valid) == 3 && c == 0xFFFD && valid);
    CHECK(utf8_decode("\xC0", 1, &c, NULL) == 1 && c == 0xFFFD);
}

static void incomplete_tail(void)
{
    CHECK(utf8_incomplete_tail("", 0) == 0);
    CHECK(utf8_incomplete_tail("abc", 3) == 0);
    CHECK(utf8_incomplete_tail("a\xE2\x82", 3) == 2);
    CHECK(utf8_incomplete_tail("a\xF0\x9F\x98", 4) == 3);
    CHECK(utf8_incomplete_tail("\xED\xA0", 2) == 0); /* a surrogate: never */
    CHECK(utf8_incomplete_tail("\xC0", 1) == 0);
    CHECK(utf8_incomplete_tail("\x80\x80\x80\x80", 4) == 0);
}

/* However a text is cut, a stream gives what repairing it whole gives. */
static void stream_equals_repair(void)
{
    for (size_t i = 0; i < sizeof(repairs) / sizeof(repairs[0]); i++) {
        const struct repair_case *c = &repairs[i];

        for (size_t step = 1; step <= 4; step++) {
            struct utf8_stream s = {.n_held = 0};
            struct buf out;

            buf_init(&out, 1000);
            for (size_t at = 0; at < c->len; at += step) {
                size_t n = c->len - at < step ? c->len - at : step;

                utf8_stream_add(&s, c->in + at, n, &out);
                CHECK(utf8_is_valid(buf_text(&out), out.len));
            }
            utf8_stream_end(&s, &out);
            if (strcmp(buf_text(&out), c->out) != 0)
                FAIL("%s in steps of %zu: got '%s'", c->name, step, buf_text(&out));
            buf_release(&out);
        }
    }
}

static void stream_shows_at_once(void)
{
    struct utf8_stream s = {.n_held = 0};
    struct buf out;

    buf_init(&out, 100);
    utf8_stream_add(&s, "a\xE2\x82", 3, &out);
    CHECK(strcmp(buf_text(&out), "a") == 0);
    utf8_stream_add(&s, "\xAC", 1, &out);
    CHECK(strcmp(buf_text(&out), "a\xE2\x82\xAC") == 0);
    buf_clear(&out);
    utf8_stream_add(&s, "\xF0", 1, &out);
    utf8_stream_add(&s, "x", 1, &out);
    CHECK(strcmp(buf_text(&out), R "x") == 0);
    buf_release(&out);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"repair_by_maximal_subparts", repair_by_maximal_subparts},
        {"repair_keeps_nul", repair_keeps_nul},
        {"repair_stops_at_maximum", repair_stops_at_maximum},
        {"code_points_round_trip", code_points_round_trip},
        {"decode_reports_ill_formed", decode_reports_ill_formed},
        {"incomplete_tail", incomplete_tail},
        {"stream_equals_repair", stream_equals_repair},
        {"stream_shows_at_once", stream_shows_at_once},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
