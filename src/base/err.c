/* SPDX-License-Identifier: MIT
 *
 * struct err: see err.h.
 */
#include "config.h"

#include "src/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return false;
    err->kind = kind;
    err->code = 0;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return false;
}

bool err_set_errno(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
{
    va_list args;
    size_t len;
    char why[128];

    if (err == NULL)
        return false;
    err->kind = kind;
    err->code = code;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s",
             strerror_r(code, why, sizeof(why)));
    return false;
}

bool err_wrap(struct err *err, const char *fmt, ...)
{
    char inner[sizeof(((struct err *)NULL)->text)];
    va_list args;
    size_t len;

    if (err == NULL)
        return false;
    memcpy(inner, err->text, sizeof(inner));
    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
    return false;
}
