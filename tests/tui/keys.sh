#!/bin/bash
# The keys that scripts may press (the contract of the command line), on the chat with a
# worker that answers without a model.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=${top_builddir:-.}/fake_chat

tui_start 80x24 "$chat"
tui_wait 'ctx 0/4096'

# ^J is a newline, Enter sends, the answer comes.
tui_type 'first line'
tui_keys C-j
tui_type 'second line'
tui_wait '^  second line'
tui_keys Enter
tui_wait '1 messages: \[user first line'
tui_has '^   second line'

# ^C clears a line that is not empty; on an empty one it warns.
tui_type 'to be cleared'
tui_wait '> to be cleared'
tui_keys C-c
tui_wait_gone 'to be cleared'
tui_keys C-c
tui_wait 'again to quit'
tui_wait_gone 'again to quit' # after 2 s

# F1 help, Esc leaves. F2 opens and closes.
tui_keys F1
tui_wait 'a page back'
tui_keys Escape
tui_wait_gone 'a page back'
tui_keys F2
tui_wait '1 session$'
tui_has 'first line'
tui_keys F2
tui_wait_gone '1 session$'

# F3 searches as one types; Enter opens at the hit.
tui_keys F3
tui_wait 'search:'
tui_type 'second'
tui_wait '2 hits' # the message, and the answer that repeats it
tui_keys Escape
tui_wait_gone '2 hits'

# ^L draws again, ^D on an empty line quits, elsewhere it deletes.
tui_keys C-l
tui_wait '1 messages'
tui_type 'x'
tui_keys C-d Left C-d
tui_wait '^>$'
tui_keys C-d
tui_wait 'exit status 0'
tui_check_restored

# ^C twice on an empty line quits.
tui_start 80x24 "$chat"
tui_wait 'ctx 0/4096'
tui_keys C-c
tui_wait 'again to quit'
tui_keys C-c
tui_wait 'exit status 0'
tui_check_restored
tui_end
