/* SPDX-License-Identifier: MIT
 *
 * Themes: see theme.h. Without colour, weight and underline carry the difference.
 */
#include "config.h"

#include "ui/theme.h"

enum { OWN = -1, RED = 1, GREEN, YELLOW, BLUE, MAGENTA, CYAN };

static const struct look colour[STYLE_N] = {
    [STYLE_TEXT] = {OWN, 0},
    [STYLE_DIM] = {OWN, LOOK_DIM},
    [STYLE_STRONG] = {OWN, LOOK_BOLD},
    [STYLE_EMPHASIS] = {OWN, LOOK_ITALIC},
    [STYLE_CODE] = {YELLOW, 0},
    [STYLE_HEADING] = {MAGENTA, LOOK_BOLD},
    [STYLE_LINK] = {BLUE, LOOK_UNDERLINE},
    [STYLE_YOU] = {CYAN, LOOK_BOLD},
    [STYLE_MODEL] = {GREEN, LOOK_BOLD},
    [STYLE_THINKING] = {OWN, LOOK_DIM | LOOK_ITALIC},
    [STYLE_BAR] = {OWN, LOOK_REVERSE},
    [STYLE_RULE] = {OWN, LOOK_DIM},
    [STYLE_PROMPT] = {CYAN, LOOK_BOLD},
    [STYLE_NOTICE] = {YELLOW, LOOK_BOLD},
    [STYLE_ERROR] = {RED, LOOK_BOLD},
    [STYLE_SELECTED] = {OWN, LOOK_REVERSE},
    [STYLE_MATCH] = {OWN, LOOK_BOLD | LOOK_UNDERLINE},
};

static const unsigned mono[STYLE_N] = {
    [STYLE_CODE] = LOOK_DIM,
    [STYLE_HEADING] = LOOK_BOLD | LOOK_UNDERLINE,
    [STYLE_NOTICE] = LOOK_BOLD,
    [STYLE_ERROR] = LOOK_BOLD | LOOK_REVERSE,
};

struct look theme_look(enum theme theme, enum style style)
{
    struct look look = colour[style];

    if (theme == THEME_MONO) {
        look.colour = OWN;
        if (mono[style] != 0)
            look.flags = mono[style];
    }
    return look;
}
