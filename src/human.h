/* SPDX-License-Identifier: MIT
 *
 * Numbers for people: "3.5 GB", "671 B".
 */
#ifndef HADAL_HUMAN_H
#define HADAL_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void human_bytes(size_t bytes, char out[32]);  /* "98.1 MB", powers of 1000 */
void human_count(int64_t count, char out[32]); /* "134 M", "1.5 B" */

/* "3:07" or "2:03:07" for this many bytes at this rate (a second); false where it is
 * not known, or longer than anybody waits. */
bool human_time_left(double rate, int64_t bytes, char out[32]);

#endif
