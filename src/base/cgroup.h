/* SPDX-License-Identifier: MIT
 *
 * The control groups that this process is in, of both versions: where the numbers of
 * one controller stand. Who wants a limit reads it in each of the groups.
 *
 * In a container the path of a group may be another namespace's and not exist here:
 * then only the root's own files are there. Sources: cgroups(7), cgroup-v2.rst of
 * Linux.
 */
#ifndef HADAL_BASE_CGROUP_H
#define HADAL_BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* version: 1 or 2; folder: of one group, valid for the call. */
typedef void (*cgroup_fn)(void *ctx, int version, const char *folder);

/* Calls fn for the group of this controller ("memory", "cpu") and for each above it. */
void cgroup_each(const char *controller, cgroup_fn fn, void *ctx);

/* The first n numbers of FOLDER/NAME. False where one is missing or a word, as "max" of
 * version 2 is. */
bool cgroup_read(const char *folder, const char *name, int64_t *out, int n);

#endif
