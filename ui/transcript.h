/* SPDX-License-Identifier: MIT
 *
 * The conversation on the screen: messages, their rows at the present width, and the
 * place that is being read.
 *
 * Rows are made when they are first looked at and kept; a growing answer lays out only
 * its last lines again. The place is either "the end" (following a growing answer) or
 * a row of a message, which stays put whatever comes below. All text given here is made
 * safe for the terminal on the way in.
 */
#ifndef HADAL_UI_TRANSCRIPT_H
#define HADAL_UI_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/message.h"
#include "ui/canvas.h"

struct transcript;

struct transcript *transcript_open(void) MUST_USE;
void transcript_close(struct transcript *t);
void transcript_clear(struct transcript *t);
bool transcript_is_empty(const struct transcript *t);

/* Appends an empty message. id (0: none) is for transcript_show; time 0: not shown. */
void transcript_begin(struct transcript *t, enum role role, int64_t time_ms,
                      int64_t id);
/* The last message grows. Whole UTF-8 characters. */
void transcript_add_text(struct transcript *t, const char *text, size_t len);
void transcript_add_thinking(struct transcript *t, const char *text, size_t len);
/* How long the last message's thinking took and its length; n_tokens 0: not known. */
void transcript_set_thought(struct transcript *t, double seconds, int n_tokens);
/* A remark below the last message: "stopped". NULL or "" takes it away. */
void transcript_set_note(struct transcript *t, const char *note, enum style style);

/* Folds or unfolds the thinking of all messages. */
void transcript_toggle_thinking(struct transcript *t);

void transcript_scroll(struct transcript *t, int rows); /* negative: back */
void transcript_to_top(struct transcript *t);
void transcript_to_end(struct transcript *t); /* and follows */
/* Brings the message with this id to the top, or the row in it that has `found` (may be
 * NULL) to the upper part; false where there is no such message. */
bool transcript_show(struct transcript *t, int64_t id, const char *found);
bool transcript_is_following(const struct transcript *t);

/* Draws the part that is being read, and corrects the place to the size. Sets whether
 * rows wait below. */
void transcript_draw(struct transcript *t, struct canvas *c, struct rect area,
                     bool *more_below);

#endif
