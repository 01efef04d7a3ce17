/* SPDX-License-Identifier: MIT
 *
 * From the bytes that a terminal sends to keys: UTF-8 characters, control and Alt
 * combinations, the escape sequences of special keys, bracketed paste.
 *
 * Pure: bytes go in, keys come out. An ESC alone is told from the beginning of a
 * sequence by time, which the caller measures (input_flush).
 */
#ifndef HADAL_UI_INPUT_H
#define HADAL_UI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"

enum input_kind {
    INPUT_CHAR, /* ch; with INPUT_CTRL ch is the small letter or sign: ^C is 'c' */
    INPUT_ENTER,
    INPUT_TAB,
    INPUT_ESC,
    INPUT_BACKSPACE,
    INPUT_UP,
    INPUT_DOWN,
    INPUT_LEFT,
    INPUT_RIGHT,
    INPUT_HOME,
    INPUT_END,
    INPUT_PAGE_UP,
    INPUT_PAGE_DOWN,
    INPUT_INSERT,
    INPUT_DELETE,
    INPUT_FUNCTION, /* ch: 1 to 12 */
    INPUT_PASTE,    /* a piece of pasted text: input_pasted() */
    INPUT_CURSOR,  /* the terminal says where its cursor is: ch is row << 16 | column */
    INPUT_UNKNOWN, /* a sequence without a meaning here */
};

enum input_mods { INPUT_SHIFT = 1 << 0, INPUT_ALT = 1 << 1, INPUT_CTRL = 1 << 2 };

struct key {
    enum input_kind kind;
    uint32_t ch;
    unsigned mods; /* enum input_mods */
};

struct input {
    struct buf bytes; /* not yet decoded */
    struct buf paste; /* the last INPUT_PASTE */
    bool in_paste;
};

void input_init(struct input *in);
void input_release(struct input *in);

/* Takes bytes; false where so many wait already that some were dropped. */
bool input_feed(struct input *in, const char *bytes, size_t len);

/* The next key, or false when none is complete. */
bool input_take(struct input *in, struct key *out);

/* True when bytes wait that could be the beginning of a longer sequence. */
bool input_is_waiting(const struct input *in);

/* No more bytes came in time: what waits is decoded as it stands. */
bool input_flush(struct input *in, struct key *out);

/* Text of the last INPUT_PASTE as the terminal sent it; valid until the next take. */
const struct buf *input_pasted(const struct input *in);

#endif
