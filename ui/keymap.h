/* SPDX-License-Identifier: MIT
 *
 * Which key does what, and how that is told to people.
 */
#ifndef HADAL_UI_KEYMAP_H
#define HADAL_UI_KEYMAP_H

#include "src/base/buf.h"
#include "ui/action.h"
#include "ui/input.h"

/* ACTION_NONE where the key is not bound (a character to type, perhaps). */
enum action keymap_find(const struct key *key);

const char *keymap_group_title(enum action_group group);
enum action_group keymap_group(enum action action);
const char *keymap_help(enum action action);

/* The keys of an action as people write them: "PgUp", "^W, Alt-Backspace". */
void keymap_keys(enum action action, struct buf *out);

#endif
