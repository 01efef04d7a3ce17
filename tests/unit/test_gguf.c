/* SPDX-License-Identifier: MIT
 *
 * model/format/gguf: what it reads, what it refuses and in which words. Faults are
 * written with tests/gguf_build; the hostile set adds those that others thought of.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/format/gguf_priv.h"
#include "tests/gguf_build.h"
#include "tests/hostile.h"
#include "tests/test.h"

/* Opens what the builder holds and expects the text, after "x.gguf: ", to hold `want`;
 * want NULL: expects it to open. */
static void expect_bytes(const unsigned char *data, size_t len, const char *want,
                         const char *what)
{
    struct err err = {0};
    struct gguf *g = gguf_open_bytes("x.gguf", data, len, &err);

    if (want == NULL && g == NULL)
        FAIL("%s: %s", what, err.text);
    if (want != NULL && g != NULL)
        FAIL("%s: accepted", what);
    if (want != NULL && g == NULL &&
        (strncmp(err.text, "x.gguf: ", 8) != 0 || strstr(err.text, want) == NULL))
        FAIL("%s: \"%s\", expected \"%s\"", what, err.text, want);
    if (g == NULL && err.kind != ERR_MODEL)
        FAIL("%s: kind %d", what, (int)err.kind);
    gguf_close(g);
}

static void expect(struct gguf_build *b, const char *want, const char *what)
{
    size_t len;
    unsigned char *data = build_file(b, &len);

    expect_bytes(data, len, want, what);
    free(data);
    build_release(b);
}

static const int64_t vector[4] = {32};
static const int64_t matrix[4] = {32, 3};

/* A file with a key and two tensors. */
static void build_valid(struct gguf_build *b)
{
    build_init(b);
    build_key_text(b, "general.architecture", "llama");
    build_tensor(b, "one", TYPE_F32, vector);
    build_tensor(b, "two", TYPE_Q4_0, matrix);
}

static void test_values(void)
{
    struct gguf_build b;
    struct gguf_text text;
    struct gguf_array a;
    struct err err = {0};
    struct gguf *g;
    unsigned char *data;
    int64_t i = 7;
    double f = 7;
    size_t len;

    build_valid(&b);
    build_key_u32(&b, "a.number", 4000000000u);
    build_key_f32(&b, "a.float", 0.5f);
    build_key_f32(&b, "a.nan", NAN);
    build_key_begin(&b, "a.big", GGUF_U64);
    build_u64(&b.keys, UINT64_MAX);
    build_key_begin(&b, "a.negative", GGUF_I16);
    buf_add(&b.keys, "\xfe\xff", 2);
    build_key_begin(&b, "a.list", GGUF_ARRAY);
    build_u32(&b.keys, GGUF_STRING);
    build_u64(&b.keys, 2);
    build_text(&b.keys, "x");
    build_text(&b.keys, "");
    build_key_begin(&b, "a.bytes", GGUF_ARRAY);
    build_u32(&b.keys, GGUF_I8);
    build_u64(&b.keys, 2);
    buf_add(&b.keys, "\x01\xff", 2);
    data = build_file(&b, &len);
    build_release(&b);
    g = gguf_open_bytes("x.gguf", data, len, &err);
    if (!CHECK(g != NULL))
        goto done;
    CHECK(gguf_get_int(g, "absent", 0, 9, &i, &err) == 0 && i == 7);
    CHECK(gguf_get_int(g, "a.number", 0, INT64_MAX, &i, &err) == 1 && i == 4000000000);
    CHECK(gguf_get_int(g, "a.number", 0, 9, &i, &err) == -1);
    CHECK(strstr(err.text, "x.gguf: a.number is 4000000000, out of range") != NULL);
    CHECK(gguf_get_int(g, "a.big", 0, 9, &i, &err) == -1);
    CHECK(strstr(err.text, "a.big is 18446744073709551615") != NULL);
    CHECK(gguf_get_int(g, "a.negative", -9, 9, &i, &err) == 1 && i == -2);
    CHECK(gguf_get_int(g, "a.float", 0, 9, &i, &err) == -1);
    CHECK(strstr(err.text, "a.float is of type f32, expected an integer") != NULL);
    CHECK(gguf_get_float(g, "a.float", &f, &err) == 1 && f == 0.5);
    CHECK(gguf_get_float(g, "a.nan", &f, &err) == -1);
    CHECK(gguf_get_float(g, "a.number", &f, &err) == -1);
    CHECK(gguf_get_text(g, "general.architecture", &text, &err) == 1 && text.len == 5);
    CHECK(gguf_get_array(g, "a.list", &a, &err) == 1 && a.n == 2 &&
          a.kind == GGUF_STRING && a.text[0].len == 1 && a.text[1].len == 0);
    CHECK(gguf_get_array(g, "a.bytes", &a, &err) == 1 && a.n == 2 &&
          gguf_array_int(&a, 0) == 1 && gguf_array_int(&a, 1) == -1);
    CHECK(gguf_n_keys(g) == 8 && strcmp(gguf_key_name(g, 1), "a.number") == 0);
    CHECK(gguf_key_kind(g, 1) == GGUF_U32);
    CHECK(gguf_n_tensors(g) == 2 && gguf_find_tensor(g, "three") == NULL);
    CHECK(gguf_find_tensor(g, "two")->bytes == 3 * 18);
    CHECK(gguf_find_tensor(g, "two")->ne[1] == 3 &&
          gguf_find_tensor(g, "one")->ne[1] == 1);
done:
    gguf_close(g);
    free(data);
}

static void test_header(void)
{
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        {"", "empty file"},
        {"GGU", "truncated"},
        {"GGUF", "truncated"},
        {"abc", "not a GGUF file"},
        {"\x1b[2J....", "not a GGUF file (it starts with \"\")"},
        {"version https://git-lfs.github.com/spec/v1", "LFS pointer"},
        {"<!DOCTYPE html>", "web page"},
        {"tjgg....", "ggjt"},
    };
    static const struct {
        uint32_t version;
        const char *want;
    } versions[] = {
        {0, "GGUF version 0 is"},
        {1, "GGUF version 1 is"},
        {2, NULL},
        {4, "GGUF version 4 is"},
        {4711, "GGUF version 4711 is"},
        {0x03000000, "big-endian"},
        {UINT32_MAX, "version 4294967295"},
    };
    struct gguf_build b;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_bytes((const unsigned char *)cases[i].bytes, strlen(cases[i].bytes),
                     cases[i].want, cases[i].want);
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        build_valid(&b);
        b.version = versions[i].version;
        expect(&b, versions[i].want, "version");
    }
}

static void test_counts(void)
{
    static const uint64_t wrong[] = {
        4, 1000, (uint64_t)1 << 32, (uint64_t)1 << 58, (uint64_t)1 << 63, UINT64_MAX,
    };
    static const char *const words[] = {
        NULL,
        "truncated: 352 bytes cannot hold",
        "header announces",
        "header announces",
        "header announces",
        "header announces",
    };
    struct gguf_build b;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        build_valid(&b);
        b.n_tensors = wrong[i];
        expect(&b, words[i] == NULL ? "tensor 3" : words[i], "tensors");
        build_valid(&b);
        b.n_keys = wrong[i];
        expect(&b, words[i] == NULL ? "key" : words[i], "keys");
    }
    build_valid(&b);
    b.n_keys = 0; /* a key is read as a tensor */
    expect(&b, "", "no keys");
}

/* Every proper prefix of a valid file is refused as truncated, none is read past. */
static void test_truncated(void)
{
    struct gguf_build b;
    unsigned char *data;
    size_t len;

    build_valid(&b);
    data = build_file(&b, &len);
    build_release(&b);
    for (size_t n = 1; n + 10 < len; n++) { /* the last 10 bytes are padding */
        unsigned char *part = malloc(n);
        struct err err = {0};
        struct gguf *g;

        memcpy(part, data, n);
        g = gguf_open_bytes("x.gguf", part, n, &err);
        if (g != NULL ||
            (strstr(err.text, "trunc") == NULL && strstr(err.text, "past") == NULL &&
             strstr(err.text, "too many") == NULL))
            FAIL("%zu of %zu bytes: %s", n, len, g != NULL ? "accepted" : err.text);
        gguf_close(g);
        free(part);
    }
    free(data);
}

static void test_keys(void)
{
    static const uint32_t types[] = {13, 77, 99, 1u << 31, UINT32_MAX};
    static const uint64_t lengths[] = {100000, (uint64_t)1 << 40, UINT64_MAX - 7};
    struct gguf_build b;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        build_valid(&b);
        b.n_keys++;
        build_u64(&b.keys, lengths[i]);
        expect(&b, "key 2: string length", "key length");
        build_valid(&b);
        build_key_begin(&b, "k", GGUF_STRING);
        build_u64(&b.keys, lengths[i]);
        expect(&b, "key \"k\": string length", "string length");
        build_valid(&b);
        build_key_begin(&b, "k", GGUF_ARRAY);
        build_u32(&b.keys, GGUF_U32);
        build_u64(&b.keys, lengths[i]);
        expect(&b, "key \"k\": an array of", "array length");
        build_valid(&b);
        build_key_begin(&b, "k", GGUF_ARRAY);
        build_u32(&b.keys, GGUF_STRING);
        build_u64(&b.keys, lengths[i]);
        expect(&b, "key \"k\": an array of", "strings");
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        build_valid(&b);
        build_key_begin(&b, "k", types[i]);
        build_u64(&b.keys, 0);
        expect(&b, "key \"k\": unknown value type", "value type");
        build_valid(&b);
        build_key_begin(&b, "k", GGUF_ARRAY);
        build_u32(&b.keys, types[i]);
        build_u64(&b.keys, 1);
        expect(&b, "key \"k\": unknown array element type", "element type");
    }
}

static void test_key_names(void)
{
    struct gguf_build b;

    build_valid(&b);
    build_key_begin(&b, "k", GGUF_ARRAY);
    build_u32(&b.keys, GGUF_ARRAY);
    build_u64(&b.keys, 0);
    expect(&b, "arrays of arrays", "nested");
    build_valid(&b);
    build_key_u32(&b, "general.architecture", 1);
    expect(&b, "key \"general.architecture\" appears twice", "twice");
    build_valid(&b);
    build_key_u32(&b, "", 1);
    expect(&b, "key 2: its name is empty", "empty name");
    build_valid(&b);
    b.n_keys++;
    build_u64(&b.keys, 3);
    buf_add(&b.keys, "a\0b\0\0\0\0\x01", 8);
    expect(&b, "NUL", "NUL in a name");
    build_valid(&b);
    build_key_u32(&b, "\x1b]0;odd\x07 \xff", 1);
    expect(&b, NULL, "odd name");
}

static void test_alignment(void)
{
    static const struct {
        uint32_t v;
        const char *want;
    } cases[] = {
        {0, "general.alignment is 0"},
        {24, "general.alignment 24 is not a power of two"},
        {131072, "general.alignment is 131072"},
        {0x80000000u, "general.alignment is 2147483648"},
        {UINT32_MAX, "general.alignment"},
        {64, NULL},
        {65536, NULL},
    };
    struct gguf_build b;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        build_init(&b);
        b.alignment = cases[i].want == NULL ? cases[i].v : 32;
        build_key_u32(&b, "general.alignment", cases[i].v);
        build_tensor(&b, "one", TYPE_F32, vector);
        build_tensor(&b, "two", TYPE_F32, vector);
        expect(&b, cases[i].want, "alignment");
    }
    build_init(&b);
    build_key_text(&b, "general.alignment", "32");
    expect(&b, "general.alignment is of type string", "alignment");
}

static void test_tensors(void)
{
    static const uint64_t big = (uint64_t)1 << 62;
    static const struct {
        uint32_t n_dims;
        uint64_t ne[5];
        uint32_t type;
        uint64_t offset;
        const char *want;
    } cases[] = {
        {1, {8}, 0, 128, "data 128+32 is past the end"},
        {1, {8}, 0, (uint64_t)1 << 40, "data 1099511627776+32 is past the end"},
        {1, {8}, 0, UINT64_MAX - 31, "past the end"},
        {1, {8}, 0, 0, "overlaps"},
        {1, {8}, 0, 1, "not aligned"},
        {0, {0}, 0, 64, "0 dimensions"},
        {5, {1, 1, 1, 1, 1}, 0, 64, "5 dimensions"},
        {UINT32_MAX, {0}, 0, 64, "4294967295 dimensions"},
        {1, {0}, 0, 64, "dimension 1 is 0"},
        {2, {8, UINT64_MAX}, 0, 64, "dimension 2 is 18446744073709551615"},
        {2, {8, (uint64_t)1 << 63}, 0, 64, "dimension 2 is 9223372036854775808"},
        {2, {(uint64_t)1 << 32, (uint64_t)1 << 32}, 0, 64, "shape overflows"},
        {1, {big}, 0, 64, "size overflows"},
        {1, {big - 32}, 8, 64, "truncated: 160 bytes of 4.9 EB"},
        {1, {8}, 4, 64, "element type 4, Q4_2 (removed), is not supported"},
        {1, {8}, 200, 64, "element type 200, unknown, is not supported"},
        {1, {8}, UINT32_MAX, 64, "is not supported"},
        {1, {8}, 39, 64, "MXFP4"},
        {1, {16}, 2, 64, "rows of 16 do not fit Q4_0 blocks of 32"},
        {2, {128, 256}, 12, 64, "rows of 128 do not fit Q4_K blocks of 256"},
    };
    struct gguf_build b;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ne[5];

        memcpy(ne, cases[i].ne, sizeof(ne));
        build_init(&b);
        build_tensor(&b, "first", TYPE_F32, (const int64_t[4]){16});
        if (cases[i].n_dims > 5) {
            build_entry(&b, "odd", 5, ne, 0, 0);
            memset(b.table.data + b.table.len - 56, 0xff, 4); /* n_dims */
        } else {
            build_entry(&b, "odd", cases[i].n_dims, ne, cases[i].type, cases[i].offset);
        }
        expect(&b, cases[i].want, cases[i].want);
    }
}

static void test_names(void)
{
    char name[66];
    struct gguf_build b;

    memset(name, 'x', sizeof(name) - 1);
    name[65] = '\0';
    build_valid(&b);
    build_tensor(&b, "one", TYPE_F32, vector);
    expect(&b, "tensor \"one\" appears twice", "twice");
    build_valid(&b);
    build_tensor(&b, "", TYPE_F32, vector);
    expect(&b, "tensor 3: its name is empty", "empty");
    build_valid(&b);
    build_tensor(&b, "\xff", TYPE_F32, vector);
    expect(&b, "tensor 3: its name is not valid UTF-8", "not UTF-8");
    for (int len = 63; len < 66; len++) {
        name[len] = '\0';
        build_valid(&b);
        build_tensor(&b, name, TYPE_F32, vector);
        expect(&b, len == 63 ? NULL : "tensor 3: name length", "long");
        name[len] = 'x';
    }
}

/* Families whose faults lie below the meaning of keys and tensors. */
static void check_hostile(const struct hostile_case *c)
{
    static const char *const families[] = {"header", "metadata", "tensors", "split"};
    static const char *const later[] = {"architecture_empty", "norm_missing",
                                        "router_shape"};
    bool mine = strcmp(c->what, "reject") != 0;
    struct err err = {0};
    struct gguf *g;

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        mine = mine || strcmp(c->family, families[i]) == 0;
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        mine = mine && strcmp(c->name, later[i]) != 0;
    if (!mine)
        return;
    g = c->path != NULL
            ? gguf_open(c->path, &err)
            : gguf_open_bytes("x.gguf", (const unsigned char *)c->data, c->len, &err);
    if ((g == NULL) != (strcmp(c->what, "reject") == 0))
        FAIL("%s: %s", c->name, g == NULL ? err.text : "accepted");
    if (g == NULL && !hostile_is_named(c, strchr(err.text, ':')))
        FAIL("%s: \"%s\" does not name the fault", c->name, err.text);
    gguf_close(g);
}

static void test_hostile(void)
{
    hostile_each(check_hostile);
}

/* Writes the two parts of a split set to a folder; returns the path of the first. */
static char *write_part(const char *dir, int i, struct gguf_build *b)
{
    char *path = malloc(256);
    size_t len;
    unsigned char *data = build_file(b, &len);
    FILE *f;

    snprintf(path, 256, "%s/m-%05d-of-00002.gguf", dir, i + 1);
    f = fopen(path, "wb");
    CHECK(f != NULL && fwrite(data, 1, len, f) == len);
    if (f != NULL)
        fclose(f);
    free(data);
    build_release(b);
    return path;
}

static void begin_part(struct gguf_build *b, uint32_t no, uint32_t count,
                       uint32_t total)
{
    build_init(b);
    if (no == 0)
        build_key_text(b, "general.architecture", "llama");
    build_key_u32(b, "split.no", no);
    build_key_u32(b, "split.count", count);
    build_key_u32(b, "split.tensors.count", total);
}

static void test_split(void)
{
    static const struct {
        uint32_t no, count, total;
        const char *name, *want;
    } cases[] = {
        {1, 2, 2, "two", NULL},
        {1, 3, 2, "two", "says that it is part 2 of 3"},
        {0, 2, 2, "two", "says that it is part 1 of 2"},
        {1, 2, 2, "one", "\"one\" appears twice"},
    };
    char dir[] = "/tmp/hadal-test-XXXXXX";
    struct gguf_build b;
    struct err err = {0};
    struct gguf *g;
    char *first;
    char *second;

    if (!CHECK(mkdtemp(dir) != NULL))
        return;
    begin_part(&b, 0, 2, 2);
    build_tensor(&b, "one", TYPE_F32, vector);
    first = write_part(dir, 0, &b);
    g = gguf_open(first, &err);
    CHECK(g == NULL && strstr(err.text, "part 00002-of-00002 is missing (looked for "
                                        "'m-00002-of-00002.gguf')") != NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin_part(&b, cases[i].no, cases[i].count, cases[i].total);
        build_tensor(&b, cases[i].name, TYPE_F32, vector);
        second = write_part(dir, 1, &b);
        g = gguf_open(first, &err);
        if (cases[i].want != NULL)
            CHECK(g == NULL && strstr(err.text, cases[i].want) != NULL);
        else if (CHECK(g != NULL))
            CHECK(gguf_n_tensors(g) == 2 && gguf_find_tensor(g, "two")->file == 1);
        gguf_close(g);
        if (cases[i].no == 1 && cases[i].count == 2) {
            g = gguf_open(second, &err);
            CHECK(g == NULL && strstr(err.text, "give the first part") != NULL);
        }
        unlink(second);
        free(second);
    }
    unlink(first);
    free(first);
    rmdir(dir);
}

static void test_changed(void)
{
    char dir[] = "/tmp/hadal-test-XXXXXX";
    struct gguf_build b;
    struct err err = {0};
    struct gguf *g;
    char *path;

    if (!CHECK(mkdtemp(dir) != NULL))
        return;
    build_valid(&b);
    path = write_part(dir, 0, &b);
    g = gguf_open(path, &err);
    if (CHECK(g != NULL)) {
        CHECK(gguf_unchanged(g, &err));
        CHECK(truncate(path, 10) == 0);
        CHECK(!gguf_unchanged(g, &err) &&
              strstr(err.text, "changed while in use") != NULL);
    }
    gguf_close(g);
    unlink(path);
    free(path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"values", test_values},       {"header", test_header},
        {"counts", test_counts},       {"truncated", test_truncated},
        {"keys", test_keys},           {"key_names", test_key_names},
        {"alignment", test_alignment}, {"tensors", test_tensors},
        {"names", test_names},         {"hostile", test_hostile},
        {"split", test_split},         {"changed", test_changed},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
