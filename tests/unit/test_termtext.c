/* SPDX-License-Identifier: MIT
 *
 * What termtext shows of hostile text, and how wide it says things are.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/termtext.h"
#include "src/base/utf8.h"
#include "tests/test.h"

struct shown {
    const char *in, *many, *one; /* one NULL: the same as many */
};

static const struct shown shown[] = {
    {"plain text", "plain text", NULL},
    {"a\nb\tc", "a\nb\tc", "a^Jb^Ic"},
    {"dos\r\nline", "dos\nline", "dos^M^Jline"},
    {"over\rwrite", "over^Mwrite", NULL},
    {"\033]52;c;aGk=\a", "^[]52;c;aGk=^G", NULL},
    {"\033[2J\033[H", "^[[2J^[[H", NULL},
    {"\x7f\b", "^?^H", NULL},
    {"\xC2\x9B"
     "31m",
     "<U+009B>31m", NULL},
    {"\x9B"
     "31m",
     "\xEF\xBF\xBD"
     "31m",
     NULL},
    {"a\xE2\x80\xAE"
     "b",
     "a<U+202E>b", NULL},
    {"\xE2\x81\xA6x\xE2\x81\xA9", "<U+2066>x<U+2069>", NULL},
    {"\xF3\xA0\x81\xA8", "<U+E0068>", NULL},
    {"\xEF\xBB\xBFx", "<U+FEFF>x", NULL},
    {"日本語 naïve 👩‍💻", "日本語 naïve 👩‍💻", NULL},
    {"مرحبا", "مرحبا", NULL},
    {"cut \xE6\x97", "cut \xEF\xBF\xBD", NULL},
};

static void check_shown(const struct shown *s)
{
    struct buf out;
    const char *one = s->one == NULL ? s->many : s->one;

    buf_init(&out, 4096);
    CHECK(termtext_add(&out, s->in, strlen(s->in)));
    if (strcmp(buf_text(&out), s->many) != 0)
        FAIL("'%s', expected '%s'", buf_text(&out), s->many);
    buf_clear(&out);
    CHECK(termtext_add_line(&out, s->in, strlen(s->in)));
    if (strcmp(buf_text(&out), one) != 0)
        FAIL("line '%s', expected '%s'", buf_text(&out), one);
    buf_release(&out);
}

static void test_shown(void)
{
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        check_shown(&shown[i]);
}

/* No byte string at all brings a control byte to the terminal. */
static void test_every_pair(void)
{
    struct buf out;

    buf_init(&out, 64);
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char in[2] = {(char)a, (char)b};

            buf_clear(&out);
            CHECK(termtext_add_line(&out, in, 2));
            CHECK(utf8_is_valid(out.data, out.len));
            for (size_t i = 0; i < out.len; i++)
                CHECK((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7F);
        }
    }
    buf_release(&out);
}

struct cluster {
    const char *text;
    int width;
};

static const struct cluster clusters[] = {
    {"a", 1},
    {"é", 1},
    {"e\xCC\x81", 1},
    {"語", 2},
    {"한", 2},
    {"ᄒ\xE1\x85\xA1\xE1\x86\xAB", 2}, /* the same syllable, decomposed */
    {"🙂", 2},
    {"👍🏽", 2},
    {"👩‍💻", 2},
    {"👨‍👩‍👧‍👦", 2},
    {"🇩🇪", 2},
    {"❤️", 2},
    {"❤", 1},
    {"1️⃣", 2},
    {"กำ", 2},
    {"नि", 2},
    {"ｱ", 1},
    {"Ａ", 2},
    {"\t", 1},
    {"…", 1},
    {"\xF0\x9F\xAB\xA8", 2}, /* shaking face, of Unicode 15 */
};

static void test_clusters(void)
{
    for (size_t i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++) {
        const char *text = clusters[i].text;
        size_t len = strlen(text);
        int width = -1;
        size_t n = termtext_cluster(text, len, &width);

        if (n != len || width != clusters[i].width)
            FAIL("'%s': %zu of %zu bytes, width %d, expected %d", text, n, len, width,
                 clusters[i].width);
    }
}

static void test_width(void)
{
    const char *text = "ab 日本 👍🏽 e\xCC\x81!";

    CHECK(termtext_width(text, strlen(text)) == 3 + 5 + 3 + 2);
    CHECK(termtext_width("", 0) == 0);
    CHECK(termtext_char_width(0x301) == 0);
    CHECK(termtext_char_width(0x1FAE8) == 2);
    CHECK(termtext_char_width(0x7) == 0);
}

static void test_limit(void)
{
    struct buf out;

    buf_init(&out, 4);
    CHECK(!termtext_add(&out, "\033\033\033", 3));
    CHECK(out.len == 4);
    buf_release(&out);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"shown", test_shown},       {"every_pair", test_every_pair},
        {"clusters", test_clusters}, {"width", test_width},
        {"limit", test_limit},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
