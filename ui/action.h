/* SPDX-License-Identifier: MIT
 *
 * The one list of what keys can do. It feeds the key table (keymap.c), the help screen,
 * and the manual page, whose section on keys a test compares with it.
 */
#ifndef HADAL_UI_ACTION_H
#define HADAL_UI_ACTION_H

/* ACTION(name, group, help) */
#define ACTIONS(ACTION)                                                                \
    ACTION(SEND, CHAT, "send the message; while an answer comes, queue it")            \
    ACTION(NEWLINE, CHAT, "a new line in the message")                                 \
    ACTION(CANCEL, CHAT, "stop the answer and keep what came; leave a panel")          \
    ACTION(INTERRUPT, CHAT, "stop the answer; clear the message; twice: quit")         \
    ACTION(END_OF_INPUT, CHAT, "quit, when the message is empty")                      \
    ACTION(NEW_SESSION, CHAT, "begin a new session")                                   \
    ACTION(STOP_DOWNLOAD, CHAT, "stop the download; what has come is kept")            \
    ACTION(FOLD, CHAT, "show or fold the model's thinking; complete a /command")       \
    ACTION(HELP, PLACES, "help: all keys and commands")                                \
    ACTION(SESSIONS, PLACES, "list of sessions: type to filter, Enter opens")          \
    ACTION(SEARCH, PLACES, "search all messages: Enter opens at the hit")              \
    ACTION(MODELS, PLACES, "list of models: Enter goes on with the one chosen")        \
    ACTION(REDRAW, PLACES, "draw the screen again")                                    \
    ACTION(SUSPEND, PLACES, "suspend; fg comes back")                                  \
    ACTION(PAGE_UP, READING, "a page back; the answer goes on below")                  \
    ACTION(PAGE_DOWN, READING, "a page on")                                            \
    ACTION(LINE_UP, READING, "a line back")                                            \
    ACTION(LINE_DOWN, READING, "a line on")                                            \
    ACTION(TOP, READING, "to the beginning")                                           \
    ACTION(BOTTOM, READING, "to the end, and follow the answer")                       \
    ACTION(UP, WRITING, "a row up; from the first row, the message sent before")       \
    ACTION(DOWN, WRITING, "a row down; from the last row, the message sent after")     \
    ACTION(LEFT, WRITING, "a character left")                                          \
    ACTION(RIGHT, WRITING, "a character right")                                        \
    ACTION(WORD_LEFT, WRITING, "a word left")                                          \
    ACTION(WORD_RIGHT, WRITING, "a word right")                                        \
    ACTION(LINE_START, WRITING, "to the line's beginning; empty: to the top")          \
    ACTION(LINE_END, WRITING, "to the line's end; there already: to the bottom")       \
    ACTION(DELETE_LEFT, WRITING, "delete the character before the cursor")             \
    ACTION(DELETE_RIGHT, WRITING, "delete the character at the cursor")                \
    ACTION(DELETE_WORD, WRITING, "delete the word before the cursor")                  \
    ACTION(DELETE_TO_START, WRITING, "delete to the line's beginning")                 \
    ACTION(DELETE_TO_END, WRITING, "delete to the line's end")                         \
    ACTION(YANK, WRITING, "put back what was deleted last")                            \
    ACTION(RENAME, SESSIONS, "name the session anew")                                  \
    ACTION(DELETE, SESSIONS, "delete the session; asks once more")

enum action_group {
    GROUP_CHAT,
    GROUP_PLACES,
    GROUP_READING,
    GROUP_WRITING,
    GROUP_SESSIONS,
    GROUP_N
};

#define ACTION_ENUM(name, group, help) ACTION_##name,
enum action { ACTION_NONE, ACTIONS(ACTION_ENUM) ACTION_N };
#undef ACTION_ENUM

#endif
