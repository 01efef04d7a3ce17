/* SPDX-License-Identifier: MIT
 *
 * How fast this machine reads memory: what decoding is limited by.
 */
#ifndef HADAL_MEMSPEED_H
#define HADAL_MEMSPEED_H

#include <stddef.h>

/* Bytes a second of n_threads that read n_bytes together (far more than caches hold):
 * the best of some tries. 0 where it cannot be measured. */
double memspeed_measure(int n_threads, size_t n_bytes, int tries);

#endif
