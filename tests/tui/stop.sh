#!/bin/bash
# Stopping an answer keeps what came: on the screen, in the history, and in the context
# of the next turn. Typing and scrolling go on while it comes; Enter queues.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=${top_builddir:-.}/fake_chat
export FAKE_TOKEN_MS=20

for key in Escape C-c; do
    tui_forget
    tui_start 80x24 "$chat"
    tui_wait 'ctx 0/4096'
    tui_type 'many lines'
    tui_keys Enter
    tui_wait 'line 3 of'
    tui_has 'answering'
    tui_keys "$key"
    tui_wait 'stopped'
    tui_has 'line 3 of'
    tui_has_not 'line 200'
    tui_type 'and now'
    tui_keys Enter
    tui_wait '3 messages: .user many lines. .assistant line 1 of'
    tui_keys C-d
    tui_wait 'exit status 0'
    tui_start 80x24 "$chat --continue"
    tui_wait 'stopped'
    tui_keys C-d
    tui_wait 'exit status 0'
done

# While it comes: scroll away and back, type, queue.
tui_forget
tui_start 80x24 "$chat"
tui_wait 'ctx 0/4096'
tui_type 'many lines'
tui_keys Enter
tui_wait 'line 30 of'
tui_keys PageUp
tui_wait 'more below'
before=$(tui_screen | head -n 19 | tail -n 18)
tui_type 'typed meanwhile'
tui_wait '> typed meanwhile'
[ "$before" = "$(tui_screen | head -n 19 | tail -n 18)" ] || tui_fail 'the place moved'
tui_keys Enter
tui_wait 'queued: typed meanwhile'
tui_keys Escape
tui_wait '3 messages: .*typed meanwhile|typed meanwhile\]'

# Leaving in the middle keeps it too.
tui_type 'many lines'
tui_keys Enter
tui_wait 'line 5 of'
tui_keys C-d
tui_wait 'exit status 0'
tui_check_restored
tui_start 80x24 "$chat --continue"
tui_wait 'line 5 of'
tui_has 'stopped'
tui_keys C-d
tui_end
