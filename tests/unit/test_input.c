/* SPDX-License-Identifier: MIT
 *
 * Keys from the bytes that terminals send, whole and in pieces.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/buf.h"
#include "tests/test.h"
#include "ui/input.h"
#include "ui/keymap.h"

/* Writes a key so that it can be compared: "alt+char:98". */
static void add_key(struct buf *out, const struct input *in, const struct key *key)
{
    static const char *const names[] = {
        "char",   "enter", "tab",   "esc",    "bs",      "up",   "down",
        "left",   "right", "home",  "end",    "pgup",    "pgdn", "insert",
        "delete", "f",     "paste", "cursor", "unknown",
    };

    if (out->len > 0)
        buf_add_text(out, " ");
    buf_addf(out, "%s%s%s%s", key->mods & INPUT_CTRL ? "ctrl+" : "",
             key->mods & INPUT_ALT ? "alt+" : "",
             key->mods & INPUT_SHIFT ? "shift+" : "", names[key->kind]);
    if (key->kind == INPUT_CHAR || key->kind == INPUT_FUNCTION ||
        key->kind == INPUT_CURSOR)
        buf_addf(out, ":%u", (unsigned)key->ch);
    if (key->kind == INPUT_PASTE)
        buf_addf(out, "[%s]", buf_text(input_pasted(in)));
}

static void take_all(struct input *in, struct buf *out)
{
    struct key key;

    while (input_take(in, &key))
        add_key(out, in, &key);
}

struct sample {
    const char *bytes, *keys;
};

static const struct sample samples[] = {
    {"a", "char:97"},
    {"\r", "enter"},
    {"\n", "ctrl+char:106"},
    {"\t", "tab"},
    {"\x03", "ctrl+char:99"},
    {"\x1f", "ctrl+char:95"},
    {"\x7f\b", "bs bs"},
    {"\xE8\xAA\x9E", "char:35486"},
    {"\xF0\x9F\x99\x82", "char:128578"},
    {"\033[A\033OB\033[1;5C", "up down ctrl+right"},
    {"\033[H\033[F\033[1~\033[4~", "home end home end"},
    {"\033[5~\033[6~\033[3~", "pgup pgdn delete"},
    {"\033OP\033[11~\033[[A\033[24~", "f:1 f:1 f:1 f:12"},
    {"\033b\033\r", "alt+char:98 alt+enter"},
    {"\033[Z", "shift+tab"},
    {"\033[13;2u\033[97;5u", "shift+enter ctrl+char:97"},
    {"\033[2;3R", "cursor:131075"},
    {"\033[1;2R", "shift+f:3"},
    {"\033]11;rgb:0/0/0\033\\x", "unknown char:120"},
    {"\033P1$r0m\033\\x", "unknown char:120"},
    {"\033[?1;2cx", "unknown char:120"},
    {"\033[I\033[Ox", "unknown unknown char:120"},
    {"\033[200~two\rlines\033[201~x", "unknown paste[two\rlines] char:120"},
    {"\033[200~\033[A\x03\033[201~", "unknown paste[\033[A\x03]"},
    {"\xFF", "char:65533"},
};

static void test_samples(void)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct input in;
        struct buf keys;

        input_init(&in);
        buf_init(&keys, 4096);
        CHECK(input_feed(&in, samples[i].bytes, strlen(samples[i].bytes)));
        take_all(&in, &keys);
        if (strcmp(buf_text(&keys), samples[i].keys) != 0)
            FAIL("sample %zu: '%s', expected '%s'", i, buf_text(&keys),
                 samples[i].keys);
        CHECK(!input_is_waiting(&in));
        buf_release(&keys);
        input_release(&in);
    }
}

/* One byte at a time the keys are the same; of pasted text the pieces may differ. */
static void test_pieces(void)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct input in;
        struct buf keys;

        if (strstr(samples[i].keys, "paste") != NULL)
            continue;
        input_init(&in);
        buf_init(&keys, 4096);
        for (const char *p = samples[i].bytes; *p != '\0'; p++) {
            CHECK(input_feed(&in, p, 1));
            take_all(&in, &keys);
        }
        if (strcmp(buf_text(&keys), samples[i].keys) != 0)
            FAIL("sample %zu: '%s', expected '%s'", i, buf_text(&keys),
                 samples[i].keys);
        buf_release(&keys);
        input_release(&in);
    }
}

static void test_paste_in_pieces(void)
{
    static const char bytes[] = "\033[200~日本\r\n\033[20 語\033[201~";
    struct input in;
    struct buf pasted;
    struct key key;

    input_init(&in);
    buf_init(&pasted, 4096);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        CHECK(input_feed(&in, bytes + i, 1));
        while (input_take(&in, &key))
            if (key.kind == INPUT_PASTE)
                buf_add(&pasted, input_pasted(&in)->data, input_pasted(&in)->len);
    }
    CHECK(strcmp(buf_text(&pasted), "日本\r\n\033[20 語") == 0);
    CHECK(!in.in_paste);
    buf_release(&pasted);
    input_release(&in);
}

static void test_flush(void)
{
    struct input in;
    struct key key;

    input_init(&in);
    CHECK(input_feed(&in, "\033", 1));
    CHECK(!input_take(&in, &key));
    CHECK(input_is_waiting(&in));
    CHECK(input_flush(&in, &key) && key.kind == INPUT_ESC && key.mods == 0);
    CHECK(!input_is_waiting(&in));
    CHECK(input_feed(&in, "\033[", 2));
    CHECK(!input_take(&in, &key));
    CHECK(input_flush(&in, &key) && key.kind == INPUT_CHAR && key.mods == INPUT_ALT);
    CHECK(input_feed(&in, "\033\033", 2));
    CHECK(input_take(&in, &key) && key.kind == INPUT_ESC);
    CHECK(!input_take(&in, &key) && input_flush(&in, &key) && key.kind == INPUT_ESC);
    input_release(&in);
}

/* Any three bytes, then quiet: everything is consumed, nothing is waited for. */
static void test_any_bytes(void)
{
    static const unsigned char some[] = {0,   3,   '\r', 27,   '[',  'O',  '2',  ';',
                                         '~', 'R', 'u',  0x7F, 0x80, 0xC3, 0xE6, 0xFF};
    const size_t n = sizeof(some);

    for (size_t i = 0; i < n * n * n; i++) {
        char bytes[3] = {(char)some[i % n], (char)some[i / n % n],
                         (char)some[i / n / n]};
        struct input in;
        struct key key;
        int rounds = 0;

        input_init(&in);
        CHECK(input_feed(&in, bytes, 3));
        while (input_take(&in, &key) || input_flush(&in, &key))
            if (!CHECK(++rounds < 10))
                break;
        CHECK(in.bytes.len == 0);
        input_release(&in);
    }
}

static void test_keymap(void)
{
    struct buf keys;

    buf_init(&keys, 256);
    for (enum action a = ACTION_NONE + 1; a < ACTION_N; a++) {
        buf_clear(&keys);
        keymap_keys(a, &keys);
        CHECK(keys.len > 0); /* every action can be reached */
        CHECK(strlen(keymap_help(a)) <= 56);
    }
    buf_clear(&keys);
    keymap_keys(ACTION_DELETE_WORD, &keys);
    CHECK(strcmp(buf_text(&keys), "^W, Alt-Backspace") == 0);
    buf_release(&keys);
}

/* The manual's section on keys is the key table in mdoc. */
static void add_manual(struct buf *out)
{
    buf_add_text(out, ".Sh KEYS OF THE CHAT\n");
    for (enum action_group g = GROUP_CHAT; g < GROUP_N; g++) {
        buf_addf(out, ".Ss %s\n.Bl -tag -width \"^W, Alt-Backspace\" -compact\n",
                 keymap_group_title(g));
        for (enum action a = ACTION_NONE + 1; a < ACTION_N; a++) {
            if (keymap_group(a) != g)
                continue;
            buf_add_text(out, ".It ");
            keymap_keys(a, out);
            buf_addf(out, "\n%s\n", keymap_help(a));
        }
        buf_add_text(out, ".El\n");
    }
}

static void test_manual(void)
{
    const char *top = getenv("top_srcdir");
    char path[4096];
    struct buf section;
    char *page;

    buf_init(&section, 65536);
    add_manual(&section);
    snprintf(path, sizeof(path), "%s/man/hadal.1", top == NULL ? "." : top);
    page = test_read(path, NULL);
    if (page != NULL && strstr(page, buf_text(&section)) == NULL)
        FAIL("man/hadal.1 lacks this section:\n%s", buf_text(&section));
    free(page);
    buf_release(&section);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"samples", test_samples},       {"pieces", test_pieces},
        {"paste", test_paste_in_pieces}, {"flush", test_flush},
        {"any_bytes", test_any_bytes},   {"keymap", test_keymap},
        {"manual", test_manual},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
