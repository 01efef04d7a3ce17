/* SPDX-License-Identifier: MIT
 *
 * How fast this machine reads memory: what decoding is limited by.
 */
#ifndef HADAL_MEMSPEED_H
#define HADAL_MEMSPEED_H

/* Bytes a second with this many threads, measured in a fraction of a second; 0 where it
 * cannot be measured. */
double memspeed_measure(int n_threads);

#endif
