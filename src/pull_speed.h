/* SPDX-License-Identifier: MIT
 *
 * What a model that is about to be fetched would do on this machine.
 */
#ifndef HADAL_PULL_SPEED_H
#define HADAL_PULL_SPEED_H

#include "src/fetch/pull.h"

/* Tokens a second that decoding can reach when memory is what it waits for; 0: not
 * known. threads 0: as many as this process may keep busy. Takes some tenths of a
 * second and 256 MB; nothing where memory is short. */
double pull_speed_estimate(const struct pull_plan *plan, int threads);

#endif
