/* SPDX-License-Identifier: MIT
 *
 * The key table: see keymap.h. The keys that scripts may press are the contract of the
 * command line; the others follow readline and less. No binding depends on ^S, ^Q (flow
 * control), ^B (tmux) or ^P alone (zellij).
 */
#include "config.h"

#include "ui/keymap.h"

#include <stddef.h>
#include <string.h>

struct binding {
    enum input_kind kind;
    uint32_t ch;
    unsigned mods;
    enum action action;
};

static const struct binding bindings[] = {
    {INPUT_ENTER, 0, 0, ACTION_SEND},
    {INPUT_CHAR, 'j', INPUT_CTRL, ACTION_NEWLINE},
    {INPUT_ENTER, 0, INPUT_ALT, ACTION_NEWLINE},
    {INPUT_ESC, 0, 0, ACTION_CANCEL},
    {INPUT_CHAR, 'c', INPUT_CTRL, ACTION_INTERRUPT},
    {INPUT_CHAR, 'd', INPUT_CTRL, ACTION_END_OF_INPUT},
    {INPUT_CHAR, 'n', INPUT_ALT, ACTION_NEW_SESSION},
    {INPUT_CHAR, 'x', INPUT_CTRL, ACTION_STOP_DOWNLOAD},
    {INPUT_TAB, 0, 0, ACTION_FOLD},
    {INPUT_FUNCTION, 1, 0, ACTION_HELP},
    {INPUT_CHAR, '_', INPUT_CTRL, ACTION_HELP},
    {INPUT_FUNCTION, 2, 0, ACTION_SESSIONS},
    {INPUT_FUNCTION, 3, 0, ACTION_SEARCH},
    {INPUT_FUNCTION, 4, 0, ACTION_MODELS},
    {INPUT_CHAR, 'l', INPUT_CTRL, ACTION_REDRAW},
    {INPUT_CHAR, 'z', INPUT_CTRL, ACTION_SUSPEND},
    {INPUT_PAGE_UP, 0, 0, ACTION_PAGE_UP},
    {INPUT_PAGE_DOWN, 0, 0, ACTION_PAGE_DOWN},
    {INPUT_UP, 0, INPUT_ALT, ACTION_LINE_UP},
    {INPUT_UP, 0, INPUT_SHIFT, ACTION_LINE_UP},
    {INPUT_DOWN, 0, INPUT_ALT, ACTION_LINE_DOWN},
    {INPUT_DOWN, 0, INPUT_SHIFT, ACTION_LINE_DOWN},
    {INPUT_HOME, 0, INPUT_CTRL, ACTION_TOP},
    {INPUT_CHAR, '<', INPUT_ALT, ACTION_TOP},
    {INPUT_END, 0, INPUT_CTRL, ACTION_BOTTOM},
    {INPUT_CHAR, '>', INPUT_ALT, ACTION_BOTTOM},
    {INPUT_UP, 0, 0, ACTION_UP},
    {INPUT_DOWN, 0, 0, ACTION_DOWN},
    {INPUT_LEFT, 0, 0, ACTION_LEFT},
    {INPUT_RIGHT, 0, 0, ACTION_RIGHT},
    {INPUT_CHAR, 'f', INPUT_CTRL, ACTION_RIGHT},
    {INPUT_CHAR, 'b', INPUT_ALT, ACTION_WORD_LEFT},
    {INPUT_LEFT, 0, INPUT_CTRL, ACTION_WORD_LEFT},
    {INPUT_CHAR, 'f', INPUT_ALT, ACTION_WORD_RIGHT},
    {INPUT_RIGHT, 0, INPUT_CTRL, ACTION_WORD_RIGHT},
    {INPUT_HOME, 0, 0, ACTION_LINE_START},
    {INPUT_CHAR, 'a', INPUT_CTRL, ACTION_LINE_START},
    {INPUT_END, 0, 0, ACTION_LINE_END},
    {INPUT_CHAR, 'e', INPUT_CTRL, ACTION_LINE_END},
    {INPUT_BACKSPACE, 0, 0, ACTION_DELETE_LEFT},
    {INPUT_DELETE, 0, 0, ACTION_DELETE_RIGHT},
    {INPUT_CHAR, 'w', INPUT_CTRL, ACTION_DELETE_WORD},
    {INPUT_BACKSPACE, 0, INPUT_ALT, ACTION_DELETE_WORD},
    {INPUT_CHAR, 'u', INPUT_CTRL, ACTION_DELETE_TO_START},
    {INPUT_CHAR, 'k', INPUT_CTRL, ACTION_DELETE_TO_END},
    {INPUT_CHAR, 'y', INPUT_CTRL, ACTION_YANK},
    {INPUT_CHAR, 'r', INPUT_ALT, ACTION_RENAME},
    {INPUT_CHAR, 'd', INPUT_ALT, ACTION_DELETE},
};

struct action_text {
    enum action_group group;
    const char *help;
};

#define ACTION_ROW(name, group, help) [ACTION_##name] = {GROUP_##group, help},
static const struct action_text texts[ACTION_N] = {ACTIONS(ACTION_ROW)};
#undef ACTION_ROW

static const char *const group_titles[GROUP_N] = {
    [GROUP_CHAT] = "Chat",
    [GROUP_PLACES] = "Places",
    [GROUP_READING] = "Reading",
    [GROUP_WRITING] = "Writing",
    [GROUP_SESSIONS] = "In the list of sessions",
};

static const char *const key_names[] = {
    [INPUT_ENTER] = "Enter",   [INPUT_TAB] = "Tab",
    [INPUT_ESC] = "Esc",       [INPUT_BACKSPACE] = "Backspace",
    [INPUT_UP] = "Up",         [INPUT_DOWN] = "Down",
    [INPUT_LEFT] = "Left",     [INPUT_RIGHT] = "Right",
    [INPUT_HOME] = "Home",     [INPUT_END] = "End",
    [INPUT_PAGE_UP] = "PgUp",  [INPUT_PAGE_DOWN] = "PgDn",
    [INPUT_INSERT] = "Insert", [INPUT_DELETE] = "Delete",
};

enum action keymap_find(const struct key *key)
{
    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
        const struct binding *b = &bindings[i];

        if (b->kind == key->kind && b->mods == key->mods && b->ch == key->ch)
            return b->action;
    }
    return ACTION_NONE;
}

const char *keymap_group_title(enum action_group group)
{
    return group_titles[group];
}

enum action_group keymap_group(enum action action)
{
    return texts[action].group;
}

const char *keymap_help(enum action action)
{
    return texts[action].help;
}

static void add_key_name(const struct binding *b, struct buf *out)
{
    if (b->kind == INPUT_CHAR && b->mods == INPUT_CTRL) {
        buf_addf(out, "^%c", b->ch >= 'a' ? (int)b->ch - 'a' + 'A' : (int)b->ch);
        return;
    }
    buf_addf(out, "%s%s%s", b->mods & INPUT_CTRL ? "Ctrl-" : "",
             b->mods & INPUT_ALT ? "Alt-" : "", b->mods & INPUT_SHIFT ? "Shift-" : "");
    if (b->kind == INPUT_CHAR)
        buf_add_char(out, (char)b->ch);
    else if (b->kind == INPUT_FUNCTION)
        buf_addf(out, "F%u", (unsigned)b->ch);
    else
        buf_add_text(out, key_names[b->kind]);
}

void keymap_keys(enum action action, struct buf *out)
{
    const char *between = "";

    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
        if (bindings[i].action != action)
            continue;
        buf_add_text(out, between);
        add_key_name(&bindings[i], out);
        between = ", ";
    }
}
