/* SPDX-License-Identifier: MIT
 *
 * Time: a steady clock for durations, UTC for records.
 */
#ifndef HADAL_BASE_CLOCK_H
#define HADAL_BASE_CLOCK_H

#include <stdint.h>

/* Seconds of a clock that never goes back. */
double clock_seconds(void);

/* Milliseconds since 1970, UTC. */
int64_t clock_utc_ms(void);

/* "2026-11-24T06:00:00Z" of a UTC time in milliseconds. out holds 32 bytes. */
void clock_format_utc(int64_t utc_ms, char out[32]);

#endif
