/* SPDX-License-Identifier: MIT
 *
 * The test harness: see test.h.
 */
#include "tests/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *current;
static int n_failures; /* of the running case */
static bool skipped;

bool test_check(bool ok, const char *file, int line, const char *what)
{
    if (!ok)
        test_fail(file, line, "%s", what);
    return ok;
}

bool test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    n_failures++;
    if (n_failures > 20)
        return false;
    fprintf(stderr, "%s:%d: %s: ", file, line, current);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

void test_skip(const char *fmt, ...)
{
    va_list args;

    skipped = true;
    printf("SKIP %s: ", current);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static bool wanted(const char *name, int argc, char **argv)
{
    if (argc < 2)
        return true;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

int test_main(int argc, char **argv, const struct test_case *cases, size_t n)
{
    int n_passed = 0;
    int n_failed = 0;
    int n_skipped = 0;

    for (size_t i = 0; i < n; i++) {
        if (argc == 2 && strcmp(argv[1], "--list") == 0) {
            puts(cases[i].name);
            continue;
        }
        if (!wanted(cases[i].name, argc, argv))
            continue;
        current = cases[i].name;
        n_failures = 0;
        skipped = false;
        cases[i].run();
        if (n_failures > 0) {
            printf("FAIL %s (%d checks)\n", current, n_failures);
            n_failed++;
        } else if (skipped) {
            n_skipped++;
        } else {
            n_passed++;
        }
    }
    printf("%d passed, %d failed, %d skipped\n", n_passed, n_failed, n_skipped);
    if (n_failed > 0)
        return 1;
    return n_passed == 0 && n_skipped > 0 ? 77 : 0;
}

static const char *existing(const char *env, const char *between, const char *name)
{
    static char path[3][4096];
    static int turn;
    struct stat st;
    const char *top = getenv(env);

    turn = (turn + 1) % 3;
    snprintf(path[turn], sizeof(path[turn]), "%s%s%s", top == NULL ? "." : top, between,
             name);
    return stat(path[turn], &st) == 0 ? path[turn] : NULL;
}

const char *test_data(const char *name)
{
    return existing("top_srcdir", "/tests/data/", name);
}

const char *test_shared(const char *name)
{
    if (getenv("HADAL_SHARED") != NULL)
        return existing("HADAL_SHARED", "/fixtures/", name);
    return existing("top_srcdir", "/../shared/fixtures/", name);
}

const char *test_fixture(const char *name)
{
    const char *path = test_data(name);

    return path != NULL ? path : test_shared(name);
}

char *test_read(const char *path, size_t *len)
{
    FILE *f = path == NULL ? NULL : fopen(path, "rb");
    char *data = NULL;
    long size;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        FAIL("cannot read %s", path == NULL ? "(missing file)" : path);
        goto done;
    }
    rewind(f);
    data = malloc((size_t)size + 1);
    if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
        FAIL("cannot read %s", path);
        free(data);
        data = NULL;
        goto done;
    }
    data[size] = '\0';
    if (len != NULL)
        *len = (size_t)size;
done:
    if (f != NULL)
        fclose(f);
    return data;
}
