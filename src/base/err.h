/* SPDX-License-Identifier: MIT
 *
 * struct err: how every fallible function says what went wrong.
 *
 * Lives on the caller's stack and has a fixed size, so that reporting never
 * allocates. A fallible function returns bool (or a pointer, NULL on failure) and
 * takes `struct err *err` last; err is written only on failure. Texts are lower case,
 * without a full stop, name what failed first and the remedy where there is one.
 */
#ifndef HADAL_BASE_ERR_H
#define HADAL_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#else
#define MUST_USE
#define PRINTF_LIKE(fmt_at, args_at)
#endif

/* What kind of failure: the exit code of the program follows from it (exit_code()
 * in src/exit_code.h), and a caller may branch on it. */
enum err_kind {
    ERR_NONE,
    ERR_USAGE,     /* wrong options or unparsable input                     exit 2 */
    ERR_IO,        /* a file that cannot be read, output not written         exit 1 */
    ERR_FAILED,    /* any other failure                                      exit 1 */
    ERR_MODEL,     /* model missing, damaged, unsupported                    exit 3 */
    ERR_SESSION,   /* session missing                                        exit 3 */
    ERR_NET,       /* network                                                exit 4 */
    ERR_DB,        /* history database                                       exit 5 */
    ERR_CONTEXT,   /* the prompt does not fit the context                    exit 6 */
    ERR_MEMORY,    /* not enough memory, host or device                      exit 7 */
    ERR_DEVICE,    /* the device asked for is not there                      exit 7 */
    ERR_CONSTRAINT, /* schema or grammar not satisfiable                     exit 9 */
    ERR_TIMEOUT,   /* --timeout passed                                     exit 124 */
    ERR_CANCELLED, /* the caller's stop flag was seen; no message is due. From a
                      command: ended by a signal, code is the exit code 128 + n */
};

struct err {
    enum err_kind kind;
    int code; /* errno, sqlite or curl code; 0 where there is none */
    char text[768];
};

/* Fills *err and returns false, so that `return err_set(...)` reads well. A NULL err
 * is allowed: the failure is then only signalled. */
bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* As err_set, and appends ": " and the text of the errno value `code`. */
bool err_set_errno(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Puts "what was tried: " in front of the text that is there. Returns false. */
bool err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
