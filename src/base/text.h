/* SPDX-License-Identifier: MIT
 *
 * Questions about C strings that many ask.
 */
#ifndef HADAL_BASE_TEXT_H
#define HADAL_BASE_TEXT_H

#include <stdbool.h>

bool text_starts_with(const char *text, const char *start);
bool text_ends_with(const char *text, const char *end);
/* Letters of ASCII are alike in either case: for the endings of file names. */
bool text_ends_with_any_case(const char *text, const char *end);

#endif
