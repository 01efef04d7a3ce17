/* SPDX-License-Identifier: MIT
 *
 * Makes the MLA file that an older converter would have written: kv_b in one piece.
 */
#ifndef HADAL_TESTS_JOINED_H
#define HADAL_TESTS_JOINED_H

#include <stdbool.h>

/* Writes the model at `path` (split k_b and v_b) with joined attn_kv_b tensors in F32
 * and the keys of that time. `name` ends in XXXXXX and becomes the new file's path; the
 * caller removes it. Without vocabulary. */
bool joined_write(const char *path, char *name);

#endif
