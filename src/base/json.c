/* SPDX-License-Identifier: MIT
 *
 * JSON: see json.h.
 *
 * Reading goes in three passes: a scanner of our own decides whether the text is JSON
 * (RFC 8259, and nothing more) and says where it is not; cJSON then builds the tree
 * from text that is known to be good; a last walk refuses duplicate keys and numbers
 * beyond a double. No pass recurses on the input but cJSON's, and the scanner has
 * limited its depth by then.
 */
#include "config.h"

#include "src/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"

#define MAX_DEPTH 200
#define MAX_NUMBER_BYTES 60         /* cJSON cuts numbers at 63 */
#define MAX_VALUES 2000000          /* cJSON takes about 100 bytes for each */
#define MAX_SAFE 9007199254740991LL /* 2^53 - 1: integers up to here are exact */

/* ---- scanner ---- */

struct scan {
    const char *text;
    size_t len;
    size_t at;
    const char *why; /* set on failure; `at` is where */
    size_t n_values;
    int depth;
    bool in_object[MAX_DEPTH];
};

static bool scan_fail(struct scan *s, const char *why)
{
    s->why = why;
    return false;
}

static int scan_peek(const struct scan *s)
{
    return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static void scan_space(struct scan *s)
{
    int c = scan_peek(s);

    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        s->at++;
        c = scan_peek(s);
    }
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits of \uXXXX; -1 when they are not. */
static int scan_hex4(const struct scan *s, size_t at)
{
    int value = 0;

    if (s->len - at < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit((unsigned char)s->text[at + i]);

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* At the 'u' of an escape. */
static bool scan_unicode_escape(struct scan *s)
{
    int unit = scan_hex4(s, s->at + 1);
    int low;

    if (unit < 0)
        return scan_fail(s, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return scan_fail(s, "NUL in a string");
    s->at += 5;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    if (unit > 0xDBFF || s->len - s->at < 6 || s->text[s->at] != '\\' ||
        s->text[s->at + 1] != 'u')
        return scan_fail(s, "half of a surrogate pair");
    low = scan_hex4(s, s->at + 2);
    if (low < 0xDC00 || low > 0xDFFF)
        return scan_fail(s, "half of a surrogate pair");
    s->at += 6;
    return true;
}

static bool scan_escape(struct scan *s)
{
    int c;

    s->at++;
    c = scan_peek(s);
    if (c == 'u')
        return scan_unicode_escape(s);
    if (c <= 0 || strchr("\"\\/bfnrt", c) == NULL)
        return scan_fail(s, "unknown escape in a string");
    s->at++;
    return true;
}

static bool scan_string(struct scan *s)
{
    s->at++;
    for (;;) {
        int c = scan_peek(s);
        uint32_t code_point;
        bool valid = true;

        if (c < 0)
            return scan_fail(s, "the text ends inside a string");
        if (c == '"')
            break;
        if (c < 0x20)
            return scan_fail(s, "control character in a string");
        if (c == '\\') {
            if (!scan_escape(s))
                return false;
        } else if (c < 0x80) {
            s->at++;
        } else {
            size_t n =
                utf8_decode(s->text + s->at, s->len - s->at, &code_point, &valid);

            if (!valid)
                return scan_fail(s, "not UTF-8");
            s->at += n;
        }
    }
    s->at++;
    return true;
}

static size_t scan_digits(struct scan *s)
{
    size_t start = s->at;

    while (scan_peek(s) >= '0' && scan_peek(s) <= '9')
        s->at++;
    return s->at - start;
}

static bool scan_number(struct scan *s)
{
    size_t start = s->at;
    bool zero;
    size_t n;

    if (scan_peek(s) == '-')
        s->at++;
    zero = scan_peek(s) == '0';
    n = scan_digits(s);
    if (n == 0 || (zero && n > 1))
        return scan_fail(s, "malformed number");
    if (scan_peek(s) == '.') {
        s->at++;
        if (scan_digits(s) == 0)
            return scan_fail(s, "malformed number");
    }
    if (scan_peek(s) == 'e' || scan_peek(s) == 'E') {
        s->at++;
        if (scan_peek(s) == '+' || scan_peek(s) == '-')
            s->at++;
        if (scan_digits(s) == 0)
            return scan_fail(s, "malformed number");
    }
    if (s->at - start > MAX_NUMBER_BYTES)
        return scan_fail(s, "number of more than 60 characters");
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);

    if (s->len - s->at < len || memcmp(s->text + s->at, word, len) != 0)
        return scan_fail(s, "unexpected text");
    s->at += len;
    return true;
}

static bool scan_push(struct scan *s, bool object)
{
    if (s->depth == MAX_DEPTH)
        return scan_fail(s, "nested more than 200 deep");
    s->in_object[s->depth++] = object;
    s->at++;
    return true;
}

/* A key and its colon. */
static bool scan_key(struct scan *s)
{
    scan_space(s);
    if (scan_peek(s) != '"')
        return scan_fail(s, "expected a key in quotes");
    if (!scan_string(s))
        return false;
    scan_space(s);
    if (scan_peek(s) != ':')
        return scan_fail(s, "expected a colon after the key");
    s->at++;
    return true;
}

/* A value, or the opening of one: *open says that something was opened. */
static bool scan_value(struct scan *s, bool *open)
{
    int c;

    scan_space(s);
    c = scan_peek(s);
    *open = c == '{' || c == '[';
    if (++s->n_values > MAX_VALUES)
        return scan_fail(s, "more than 2000000 values");
    if (*open)
        return scan_push(s, c == '{');
    if (c == '"')
        return scan_string(s);
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(s);
    if (c == 't')
        return scan_word(s, "true");
    if (c == 'f')
        return scan_word(s, "false");
    if (c == 'n')
        return scan_word(s, "null");
    return scan_fail(s, c < 0 ? "the text ends where a value is expected"
                              : "expected a value");
}

/* After a value: closes what ends here. *more: another element follows. */
static bool scan_after(struct scan *s, bool *more)
{
    *more = false;
    while (s->depth > 0) {
        bool object = s->in_object[s->depth - 1];
        int c;

        scan_space(s);
        c = scan_peek(s);
        if (c == ',') {
            s->at++;
            *more = true;
            return true;
        }
        if (c != (object ? '}' : ']'))
            return scan_fail(s, c < 0 ? "the text ends too early"
                                      : "expected a comma or the closing bracket");
        s->at++;
        s->depth--;
    }
    return true;
}

static bool scan_document(struct scan *s)
{
    bool more = true;

    while (more) {
        bool open;
        int c;

        if (s->depth > 0 && s->in_object[s->depth - 1] && !scan_key(s))
            return false;
        if (!scan_value(s, &open))
            return false;
        if (open) {
            scan_space(s);
            c = scan_peek(s);
            if (c != (s->in_object[s->depth - 1] ? '}' : ']'))
                continue;
        }
        if (!scan_after(s, &more))
            return false;
    }
    scan_space(s);
    if (s->at < s->len)
        return scan_fail(s, "text after the end");
    return true;
}

static bool report_scan(const struct scan *s, const char *what, enum err_kind kind,
                        struct err *err)
{
    size_t line = 1;
    size_t column = 1;

    for (size_t i = 0; i < s->at && i < s->len; i++) {
        column++;
        if (s->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return err_set(err, kind, "%s: %s at line %zu, column %zu", what, s->why, line,
                   column);
}

/* ---- duplicate keys and numbers ---- */

static uint64_t hash_key(const char *key)
{
    uint64_t hash = 0xCBF29CE484222325U;

    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001B3U;
    return hash ^ hash >> 29;
}

/* The second of two members with one key, or NULL: by a hash set of n slots or more. */
static const char *duplicate_hashed(const cJSON *object, size_t n)
{
    size_t n_slots = 16;
    const char **slot;
    const char *found = NULL;

    while (n_slots < 2 * n)
        n_slots *= 2;
    slot = mem_array(n_slots, sizeof(*slot));
    for (const cJSON *m = object->child; m != NULL && found == NULL; m = m->next) {
        size_t i = hash_key(m->string) & (n_slots - 1);

        while (slot[i] != NULL && strcmp(slot[i], m->string) != 0)
            i = (i + 1) & (n_slots - 1);
        if (slot[i] != NULL)
            found = m->string;
        slot[i] = m->string;
    }
    free(slot);
    return found;
}

static const char *duplicate_key(const cJSON *object)
{
    size_t n = 0;

    for (const cJSON *m = object->child; m != NULL; m = m->next)
        n++;
    if (n > 16)
        return duplicate_hashed(object, n);
    for (const cJSON *a = object->child; a != NULL; a = a->next)
        for (const cJSON *b = a->next; b != NULL; b = b->next)
            if (strcmp(a->string, b->string) == 0)
                return b->string;
    return NULL;
}

static bool check_item(const cJSON *item, const char *what, enum err_kind kind,
                       struct err *err)
{
    const char *key;

    if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
        return err_set(err, kind, "%s: number out of range%s%.80s%s", what,
                       item->string != NULL ? " in \"" : "",
                       item->string != NULL ? item->string : "",
                       item->string != NULL ? "\"" : "");
    if (!cJSON_IsObject(item))
        return true;
    key = duplicate_key(item);
    if (key != NULL)
        return err_set(err, kind, "%s: duplicate key \"%.80s\"", what, key);
    return true;
}

/* Depth first, with the path kept by hand. */
static bool check_tree(const cJSON *root, const char *what, enum err_kind kind,
                       struct err *err)
{
    const cJSON *path[MAX_DEPTH + 1];
    size_t depth = 0;
    const cJSON *item = root;

    for (;;) {
        if (!check_item(item, what, kind, err))
            return false;
        if (item->child != NULL) {
            path[depth++] = item;
            item = item->child;
            continue;
        }
        while (item->next == NULL && depth > 0)
            item = path[--depth];
        if (depth == 0)
            return true;
        item = item->next;
    }
}

/* ---- reading ---- */

cJSON *json_parse(const char *text, size_t len, const char *what, enum err_kind kind,
                  struct err *err)
{
    struct scan scan = {.text = text, .len = len};
    char *copy;
    cJSON *tree;

    if (!scan_document(&scan)) {
        report_scan(&scan, what, kind, err);
        return NULL;
    }
    /* cJSON has read past the end of text that no NUL ends. */
    copy = mem_dup_n(text, len);
    tree = cJSON_ParseWithLength(copy, len + 1);
    free(copy);
    if (tree == NULL) {
        err_set(err, ERR_MEMORY, "%s: not enough memory for %zu values", what,
                scan.n_values);
        return NULL;
    }
    if (!check_tree(tree, what, kind, err)) {
        cJSON_Delete(tree);
        return NULL;
    }
    return tree;
}

const cJSON *json_get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

bool json_int(const cJSON *item, int64_t min, int64_t max, int64_t *out)
{
    double value;

    if (!cJSON_IsNumber(item))
        return false;
    value = item->valuedouble;
    if (!(value >= (double)-MAX_SAFE && value <= (double)MAX_SAFE))
        return false;
    if (value != trunc(value) || (int64_t)value < min || (int64_t)value > max)
        return false;
    *out = (int64_t)value;
    return true;
}

/* ---- writing ---- */

/* The limit of a writer's buffer is the caller's affair: text that does not fit is
 * missing, which the caller sees by comparing out->len with out->max. */

void json_begin(struct json_writer *w, struct buf *out)
{
    w->out = out;
    w->need_comma = false;
}

static void begin_value(struct json_writer *w)
{
    if (w->need_comma)
        buf_add_char(w->out, ',');
    w->need_comma = true;
}

static void open_bracket(struct json_writer *w, char bracket)
{
    begin_value(w);
    buf_add_char(w->out, bracket);
    w->need_comma = false;
}

static void close_bracket(struct json_writer *w, char bracket)
{
    buf_add_char(w->out, bracket);
    w->need_comma = true;
}

void json_object(struct json_writer *w)
{
    open_bracket(w, '{');
}

void json_end_object(struct json_writer *w)
{
    close_bracket(w, '}');
}

void json_array(struct json_writer *w)
{
    open_bracket(w, '[');
}

void json_end_array(struct json_writer *w)
{
    close_bracket(w, ']');
}

/* JSON must escape only quotes, backslashes and C0; the others here would act on a
 * terminal or reorder what is read there (C1, line separators, bidirectional controls,
 * tags), and JSON loses nothing by spelling them out. */
static bool must_escape(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7F && c <= 0x9F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
           (c >= 0xE0000 && c <= 0xE007F);
}

static void write_escape(struct buf *out, uint32_t c)
{
    static const char from[] = "\"\\\n\r\t\b\f";
    static const char to[] = "\"\\nrtbf";
    const char *known = c > 0 && c < 0x80 ? strchr(from, (int)c) : NULL;

    if (known != NULL) {
        buf_add_char(out, '\\');
        buf_add_char(out, to[known - from]);
    } else if (c < 0x10000) {
        buf_addf(out, "\\u%04x", (unsigned)c);
    } else {
        c -= 0x10000;
        buf_addf(out, "\\u%04x\\u%04x", 0xD800U + (unsigned)(c >> 10),
                 0xDC00U + (unsigned)(c & 0x3FF));
    }
}

static void write_quoted(struct buf *out, const char *text, size_t len)
{
    size_t at = 0;
    size_t plain = 0; /* text[plain..at) waits to be copied as it is */

    buf_add_char(out, '"');
    while (at < len) {
        uint32_t c;
        bool valid;
        size_t n = utf8_decode(text + at, len - at, &c, &valid);

        if (!valid || must_escape(c)) {
            buf_add(out, text + plain, at - plain);
            if (valid)
                write_escape(out, c);
            else
                buf_add(out, "\xEF\xBF\xBD", 3);
            plain = at + n;
        }
        at += n;
    }
    buf_add(out, text + plain, at - plain);
    buf_add_char(out, '"');
}

void json_key(struct json_writer *w, const char *key)
{
    begin_value(w);
    write_quoted(w->out, key, strlen(key));
    buf_add_char(w->out, ':');
    w->need_comma = false;
}

void json_text(struct json_writer *w, const char *text)
{
    if (text == NULL)
        json_null(w);
    else
        json_text_n(w, text, strlen(text));
}

void json_text_n(struct json_writer *w, const char *text, size_t len)
{
    begin_value(w);
    write_quoted(w->out, text, len);
}

void json_integer(struct json_writer *w, int64_t value)
{
    begin_value(w);
    buf_addf(w->out, "%lld", (long long)value);
}

void json_unsigned(struct json_writer *w, uint64_t value)
{
    begin_value(w);
    buf_addf(w->out, "%llu", (unsigned long long)value);
}

/* printf's number with the decimal point of JSON, whatever the locale writes. */
static void write_number(struct json_writer *w, double value, int digits)
{
    char text[64];
    bool in_point = false;

    begin_value(w);
    snprintf(text, sizeof(text), "%.*g", digits, value);
    for (const char *p = text; *p != '\0'; p++) {
        bool own = strchr("0123456789+-e", *p) != NULL;

        if (own || !in_point)
            buf_add_char(w->out, own ? *p : '.');
        in_point = !own;
    }
}

void json_number(struct json_writer *w, double value)
{
    char text[64];
    int digits = 15;

    if (!isfinite(value)) {
        json_null(w);
        return;
    }
    /* The shortest of the three that reads back as the same number. */
    while (digits < 17) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
        digits++;
    }
    write_number(w, value, digits);
}

void json_float(struct json_writer *w, float value)
{
    if (isfinite(value))
        write_number(w, (double)value, 9);
    else
        json_null(w);
}

void json_bool(struct json_writer *w, bool value)
{
    begin_value(w);
    buf_add_text(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    begin_value(w);
    buf_add_text(w->out, "null");
}

void json_raw(struct json_writer *w, const char *json, size_t len)
{
    begin_value(w);
    buf_add(w->out, json, len);
}
