/* SPDX-License-Identifier: MIT
 *
 * Keys from bytes: see input.h. Sequences: ECMA-48 (CSI parameters), xterm's
 * ctlseqs (modifiers as parameter 2, paste as 200~ and 201~), the Linux console's
 * CSI [ A to E, and the kitty protocol's CSI ... u.
 */
#include "config.h"

#include "src/base/utf8.h"
#include "ui/input.h"

#include <string.h>

enum { ESC = 0x1B, DEL = 0x7F, MAX_SEQUENCE = 64, MAX_WAITING = 1 << 20 };

static const char paste_end[] = "\033[201~";

struct named_key {
    int code; /* the final byte, or the first parameter before ~ */
    enum input_kind kind;
    uint32_t ch;
};

static const struct named_key by_final[] = {
    {'A', INPUT_UP, 0},       {'B', INPUT_DOWN, 0},     {'C', INPUT_RIGHT, 0},
    {'D', INPUT_LEFT, 0},     {'H', INPUT_HOME, 0},     {'F', INPUT_END, 0},
    {'P', INPUT_FUNCTION, 1}, {'Q', INPUT_FUNCTION, 2}, {'R', INPUT_FUNCTION, 3},
    {'S', INPUT_FUNCTION, 4}, {'M', INPUT_ENTER, 0},
};

static const struct named_key by_number[] = {
    {1, INPUT_HOME, 0},       {2, INPUT_INSERT, 0},     {3, INPUT_DELETE, 0},
    {4, INPUT_END, 0},        {5, INPUT_PAGE_UP, 0},    {6, INPUT_PAGE_DOWN, 0},
    {7, INPUT_HOME, 0},       {8, INPUT_END, 0},        {11, INPUT_FUNCTION, 1},
    {12, INPUT_FUNCTION, 2},  {13, INPUT_FUNCTION, 3},  {14, INPUT_FUNCTION, 4},
    {15, INPUT_FUNCTION, 5},  {17, INPUT_FUNCTION, 6},  {18, INPUT_FUNCTION, 7},
    {19, INPUT_FUNCTION, 8},  {20, INPUT_FUNCTION, 9},  {21, INPUT_FUNCTION, 10},
    {23, INPUT_FUNCTION, 11}, {24, INPUT_FUNCTION, 12},
};

void input_init(struct input *in)
{
    memset(in, 0, sizeof(*in));
    buf_init(&in->bytes, MAX_WAITING);
    buf_init(&in->paste, MAX_WAITING);
}

void input_release(struct input *in)
{
    buf_release(&in->bytes);
    buf_release(&in->paste);
}

bool input_feed(struct input *in, const char *bytes, size_t len)
{
    return buf_add(&in->bytes, bytes, len);
}

const struct buf *input_pasted(const struct input *in)
{
    return &in->paste;
}

bool input_is_waiting(const struct input *in)
{
    return in->bytes.len > 0 && !in->in_paste;
}

static bool find_named(const struct named_key *table, size_t n, int code,
                       struct key *out)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].code == code) {
            out->kind = table[i].kind;
            out->ch = table[i].ch;
            return true;
        }
    }
    return false;
}

/* One byte, or one character, that begins no sequence. Returns the bytes taken, 0 where
 * a character is not complete. */
static size_t take_plain(const char *p, size_t len, struct key *out)
{
    unsigned char c = (unsigned char)p[0];

    *out = (struct key){.kind = INPUT_CHAR, .ch = c};
    if (c == '\r') {
        *out = (struct key){.kind = INPUT_ENTER};
    } else if (c == '\t') {
        *out = (struct key){.kind = INPUT_TAB};
    } else if (c == DEL || c == '\b') {
        *out = (struct key){.kind = INPUT_BACKSPACE};
    } else if (c == ESC) {
        *out = (struct key){.kind = INPUT_ESC};
    } else if (c < 0x20) {
        out->mods = INPUT_CTRL;
        out->ch = c == 0    ? ' '
                  : c <= 26 ? (uint32_t)(c + 'a' - 1)
                            : (uint32_t)(c + '@');
    } else if (c >= 0x80) {
        if (utf8_incomplete_tail(p, len) == len)
            return 0;
        return utf8_decode(p, len, &out->ch, NULL);
    }
    return 1;
}

struct sequence {
    int param[3];
    int n_param;
    char marker; /* '?', '<', '=', '>' before the parameters, or 0 */
    char final;
    size_t len; /* of the whole, ESC included */
};

/* Reads ESC [ ... final. False while it is not complete. */
static bool parse_csi(const char *p, size_t len, struct sequence *s)
{
    memset(s, 0, sizeof(*s));
    for (size_t i = 2; i < len; i++) {
        unsigned char c = (unsigned char)p[i];

        s->len = i + 1;
        if (c >= '0' && c <= '9') {
            int *v = &s->param[s->n_param < 3 ? s->n_param : 2];

            if (*v < 100000)
                *v = *v * 10 + (c - '0');
        } else if (c == ';') {
            s->n_param++;
        } else if (c >= '<' && c <= '?') {
            s->marker = (char)c;
        } else if ((c >= 0x40 && c <= 0x7E) || c < 0x20 || i >= MAX_SEQUENCE) {
            s->final = (char)c;
            return true;
        }
    }
    return false;
}

/* CSI 13;2u and the like: a character by its number. */
static void set_by_code_point(struct key *out, uint32_t c)
{
    char byte = (char)c;
    unsigned mods = out->mods;

    if (c >= 0x20 && c != DEL) {
        out->kind = INPUT_CHAR;
        out->ch = c;
        return;
    }
    take_plain(&byte, 1, out);
    out->mods |= mods;
}

static void interpret(const struct sequence *s, struct key *out)
{
    int mods = s->param[1] > 0 && s->param[1] <= 16 ? s->param[1] - 1 : 0;

    *out = (struct key){.kind = INPUT_UNKNOWN, .mods = (unsigned)mods & 7};
    if (s->marker != 0) {
        out->mods = 0;
        return;
    }
    if (s->final == 'R' && s->n_param == 1 && s->param[0] > 1) {
        *out = (struct key){.kind = INPUT_CURSOR,
                            .ch = (uint32_t)s->param[0] << 16 |
                                  (uint32_t)(s->param[1] & 0xFFFF)};
    } else if (s->final == 'Z') {
        *out = (struct key){.kind = INPUT_TAB, .mods = INPUT_SHIFT};
    } else if (s->final == 'u') {
        set_by_code_point(out, (uint32_t)s->param[0]);
    } else if (s->final == '~') {
        find_named(by_number, sizeof(by_number) / sizeof(by_number[0]), s->param[0],
                   out);
    } else {
        find_named(by_final, sizeof(by_final) / sizeof(by_final[0]), s->final, out);
    }
}

/* ESC [ ...: the bytes taken, 0 while it is not complete. */
static size_t take_csi(struct input *in, struct key *out)
{
    const char *p = in->bytes.data;
    struct sequence s;

    if (in->bytes.len > 2 && p[2] == '[') { /* Linux console: ESC [ [ A */
        if (in->bytes.len < 4)
            return 0;
        *out = (struct key){.kind = INPUT_UNKNOWN};
        if (p[3] >= 'A' && p[3] <= 'E')
            *out =
                (struct key){.kind = INPUT_FUNCTION, .ch = (uint32_t)(p[3] - 'A' + 1)};
        return 4;
    }
    if (!parse_csi(p, in->bytes.len, &s))
        return 0;
    interpret(&s, out);
    if (s.final == '~' && s.param[0] == 200) {
        in->in_paste = true;
        out->kind = INPUT_UNKNOWN;
    }
    return s.len;
}

/* OSC, DCS, APC, PM, SOS: an answer of the terminal that nobody asked for here. */
static size_t skip_string(const char *p, size_t len, struct key *out)
{
    *out = (struct key){.kind = INPUT_UNKNOWN};
    for (size_t i = 2; i < len; i++) {
        if (p[i] == '\a')
            return i + 1;
        if (p[i] == '\\' && p[i - 1] == ESC)
            return i + 1;
    }
    return 0;
}

static size_t take_escape(struct input *in, struct key *out)
{
    const char *p = in->bytes.data;
    size_t len = in->bytes.len;
    size_t n;

    if (len < 2)
        return 0;
    switch (p[1]) {
    case '[':
        return take_csi(in, out);
    case 'O':
        if (len < 3)
            return 0;
        *out = (struct key){.kind = INPUT_UNKNOWN};
        find_named(by_final, sizeof(by_final) / sizeof(by_final[0]), p[2], out);
        return 3;
    case ']':
    case 'P':
    case '_':
    case '^':
    case 'X':
        return skip_string(p, len, out);
    case ESC:
        *out = (struct key){.kind = INPUT_ESC};
        return 1;
    default:
        n = take_plain(p + 1, len - 1, out);
        out->mods |= INPUT_ALT;
        return n == 0 ? 0 : n + 1;
    }
}

/* How many bytes at the end may be the beginning of the end mark. */
static size_t held_back(const char *p, size_t len)
{
    size_t n = sizeof(paste_end) - 2;

    for (n = n < len ? n : len; n > 0; n--)
        if (memcmp(p + len - n, paste_end, n) == 0)
            return n;
    return 0;
}

/* Pasted text up to its end mark, or what has come of it. */
static bool take_paste(struct input *in, struct key *out)
{
    const char *p = in->bytes.data;
    const char *end = memmem(p, in->bytes.len, paste_end, sizeof(paste_end) - 1);
    size_t n;

    n = end != NULL ? (size_t)(end - p) : in->bytes.len - held_back(p, in->bytes.len);
    if (end == NULL)
        n -= utf8_incomplete_tail(p, n);
    if (end == NULL && n > 0 && p[n - 1] == '\r')
        n--; /* it may be half of CR LF */
    buf_clear(&in->paste);
    if (n > 0 && !buf_add(&in->paste, p, n))
        n = 0;
    buf_drop(&in->bytes, end != NULL ? n + sizeof(paste_end) - 1 : n);
    if (end != NULL)
        in->in_paste = false;
    *out = (struct key){.kind = INPUT_PASTE};
    return n > 0 || end != NULL;
}

bool input_take(struct input *in, struct key *out)
{
    size_t n;

    if (in->bytes.len == 0)
        return false;
    if (in->in_paste)
        return take_paste(in, out);
    if (in->bytes.data[0] == ESC)
        n = take_escape(in, out);
    else
        n = take_plain(in->bytes.data, in->bytes.len, out);
    buf_drop(&in->bytes, n);
    return n > 0;
}

bool input_flush(struct input *in, struct key *out)
{
    size_t n;

    if (!input_is_waiting(in))
        return false;
    if (in->bytes.data[0] != ESC || in->bytes.len == 1) {
        *out = (struct key){.kind = INPUT_UNKNOWN};
        if (in->bytes.data[0] == ESC)
            out->kind = INPUT_ESC;
        buf_drop(&in->bytes, 1);
        return true;
    }
    n = take_plain(in->bytes.data + 1, in->bytes.len - 1, out);
    out->mods |= INPUT_ALT;
    if (in->bytes.len > 2) /* an unfinished sequence means nothing */
        *out = (struct key){.kind = INPUT_UNKNOWN};
    buf_drop(&in->bytes, n == 0 || in->bytes.len > 2 ? in->bytes.len : n + 1);
    return true;
}
