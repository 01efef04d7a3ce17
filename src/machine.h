/* SPDX-License-Identifier: MIT
 *
 * What kind of machine this is, for `hadal doctor`.
 */
#ifndef HADAL_MACHINE_H
#define HADAL_MACHINE_H

#include <stddef.h>

#include "src/base/buf.h"

/* The processor's name ("" where unknown), and those of its features that hadal has
 * kernels for or could have, separated by spaces. */
void machine_cpu(struct buf *name, struct buf *features);

#endif
