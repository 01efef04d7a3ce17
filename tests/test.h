/* SPDX-License-Identifier: MIT
 *
 * A small test harness: cases in a table, checks that say file and line, JSON fixtures.
 *
 * A test program has a table of cases and hands it to test_main, which runs all of them
 * or those named on the command line (--list lists), prints one line a failure and
 * returns the exit code for main. A case may call test_skip.
 */
#ifndef HADAL_TESTS_TEST_H
#define HADAL_TESTS_TEST_H

#include <stdbool.h>
#include <stddef.h>

struct test_case {
    const char *name;
    void (*run)(void);
};

int test_main(int argc, char **argv, const struct test_case *cases, size_t n);

/* Counts a failure and prints where. Returns ok. */
bool test_check(bool ok, const char *file, int line, const char *what);
/* As test_check, with a message. */
bool test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The running case is skipped, with the reason; the case returns afterwards. */
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(cond) test_check((cond), __FILE__, __LINE__, #cond)
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Path of a file under tests/data, or NULL. Static storage, one at a time. */
const char *test_data(const char *name);
/* Path of a fixture under ../shared/fixtures (of the source tree), or NULL when the
 * folder is not there (then skip). */
const char *test_shared(const char *name);
/* tests/data first, then ../shared/fixtures. */
const char *test_fixture(const char *name);
/* A whole file, NUL-terminated; free(). NULL on failure (which is also counted). */
char *test_read(const char *path, size_t *len);

#endif
