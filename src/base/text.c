/* SPDX-License-Identifier: MIT
 *
 * C strings: see text.h.
 */
#include "config.h"

#include "src/base/text.h"

#include <string.h>
#include <strings.h>

/* The last characters of text, as many as end has; NULL where it has fewer. */
static const char *tail_of(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);

    return len >= n ? text + len - n : NULL;
}

bool text_starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool text_ends_with(const char *text, const char *end)
{
    const char *tail = tail_of(text, end);

    return tail != NULL && strcmp(tail, end) == 0;
}

bool text_ends_with_any_case(const char *text, const char *end)
{
    const char *tail = tail_of(text, end);

    return tail != NULL && strcasecmp(tail, end) == 0;
}
