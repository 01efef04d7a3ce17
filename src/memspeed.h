/* SPDX-License-Identifier: MIT
 *
 * How fast this machine reads memory: what decoding is limited by.
 */
#ifndef HADAL_MEMSPEED_H
#define HADAL_MEMSPEED_H

#include <stddef.h>

/* By the clock, or by the time that the threads ran: what others have of the CPUs
 * meanwhile is left out. */
enum memspeed_time { MEMSPEED_CLOCK, MEMSPEED_RUNNING };

/* Bytes a second of n_threads that read n_bytes together (far more than caches hold):
 * the best of some tries. 0 where it cannot be measured. */
double memspeed_measure(int n_threads, size_t n_bytes, int tries,
                        enum memspeed_time how);

#endif
