/* SPDX-License-Identifier: MIT
 *
 * How each kind of text looks: the roles that views use, and their colours among the
 * terminal's own 16, so that light and dark terminals both stay readable.
 */
#ifndef HADAL_UI_THEME_H
#define HADAL_UI_THEME_H

enum style {
    STYLE_TEXT,
    STYLE_DIM,
    STYLE_STRONG,
    STYLE_EMPHASIS,
    STYLE_CODE,
    STYLE_HEADING,
    STYLE_LINK,
    STYLE_YOU,
    STYLE_MODEL,
    STYLE_THINKING,
    STYLE_BAR,
    STYLE_RULE,
    STYLE_PROMPT,
    STYLE_NOTICE,
    STYLE_ERROR,
    STYLE_SELECTED,
    STYLE_MATCH,
    STYLE_N,
};

enum look_flags {
    LOOK_BOLD = 1 << 0,
    LOOK_DIM = 1 << 1,
    LOOK_UNDERLINE = 1 << 2,
    LOOK_REVERSE = 1 << 3,
    LOOK_ITALIC = 1 << 4,
};

struct look {
    int colour;     /* 0 to 7, or -1: the terminal's own */
    unsigned flags; /* enum look_flags */
};

enum theme { THEME_COLOUR, THEME_MONO };

struct look theme_look(enum theme theme, enum style style);

#endif
