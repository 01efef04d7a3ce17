/* SPDX-License-Identifier: MIT
 *
 * Times as users write them in filters: see history_parse_since in history.h.
 */
#include "config.h"

#include <string.h>

#include "history/history.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)

/* Reads exactly n digits. */
static bool digits(const char **at, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool literal(const char **at, char c)
{
    return *(*at)++ == c;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant,
 * "chrono-compatible low-level date algorithms": years begin in March). */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* "2026-11-24", or a whole time as hadal prints it: "2026-11-24T06:00:00Z". */
static bool parse_date(const char *text, int64_t *ms)
{
    int year, month, day;
    int hour = 0, minute = 0, second = 0;

    if (!digits(&text, 4, &year) || !literal(&text, '-') || !digits(&text, 2, &month) ||
        !literal(&text, '-') || !digits(&text, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return false;
    if (*text == 'T' &&
        (!literal(&text, 'T') || !digits(&text, 2, &hour) || !literal(&text, ':') ||
         !digits(&text, 2, &minute) || !literal(&text, ':') ||
         !digits(&text, 2, &second) || !literal(&text, 'Z')))
        return false;
    if (*text != '\0' || hour > 23 || minute > 59 || second > 60)
        return false;
    *ms = days_of(year, month, day) * DAY_MS + hour * HOUR_MS + minute * 60000 +
          second * 1000;
    return true;
}

/* "7d", "24h": so long before now. */
static bool parse_span(const char *text, int64_t now_ms, int64_t *ms)
{
    int64_t n = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (n > 100000000)
            return false;
        n = n * 10 + (*at - '0');
    }
    if (at == text || (*at != 'd' && *at != 'h') || at[1] != '\0')
        return false;
    *ms = now_ms - n * (*at == 'd' ? DAY_MS : HOUR_MS);
    return true;
}

bool history_parse_since(const char *text, int64_t now_ms, int64_t *since_ms,
                         struct err *err)
{
    if (parse_date(text, since_ms) || parse_span(text, now_ms, since_ms))
        return true;
    return err_set(err, ERR_USAGE, "'%s' is no date; write it as 2026-11-24, 7d or 24h",
                   text);
}
