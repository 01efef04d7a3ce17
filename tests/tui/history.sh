#!/bin/bash
# Sessions: a second one, back to the first by the list, going on with it, search across
# them with Enter at the hit, titles, commands.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=${top_builddir:-.}/fake_chat

tui_start 80x24 "$chat"
tui_wait 'ctx 0/4096'
tui_type 'about walnuts'
tui_keys Enter
tui_wait '1 messages: .user about walnuts.'
tui_keys M-n
tui_wait_gone 'walnuts'
tui_type 'about zebras'
tui_keys Enter
tui_wait '1 messages: .user about zebras.'
tui_has 'hadal .*about zebras' # the title in the bar

# The list: newest first, the current one marked; filter; open; go on.
tui_keys F2
tui_wait '▌ about zebras' # "2 sessions" is in the line of keys too
tui_has '[^F]2 sessions'
tui_type 'WALN'
tui_wait '1 of 2 sessions'
tui_keys Enter
tui_wait '1 messages: .user about walnuts.'
tui_has_not 'zebras'
tui_type 'go on'
tui_keys Enter
tui_wait '3 messages: .user about walnuts. .assistant 1 messages: '
tui_wait 'user go on.'

# Search finds it in the other session.
tui_keys F3
tui_wait 'search:'
tui_type 'zebras'
tui_wait '2 hits'
tui_keys Enter
tui_wait '1 messages: .user about zebras.'

# Commands: title, completion, an unknown one, a path, which is none.
tui_type '/ti'
tui_keys Tab
tui_wait '> /title'
tui_type 'Striped horses'
tui_keys Enter
tui_wait 'hadal .*Striped horses'
tui_type '/serach x'
tui_keys Enter
tui_wait 'did you mean /search'
tui_keys C-u
tui_type '/usr/bin is a path'
tui_keys Enter
tui_wait '3 messages: .*'
tui_wait 'user /usr/bin is a path.'
tui_tmux set-option -g set-clipboard on
tui_type '/copy'
tui_keys Enter
tui_wait 'copied'
tui_tmux show-buffer | grep -q '3 messages: .*user /usr/bin is a path' || tui_fail 'not in the clipboard'
tui_type '/system Be brief'
tui_keys Enter
tui_wait 'system prompt is changed'
tui_type 'next'
tui_keys Enter
tui_wait 'messages: .system Be brief.'
# Deleting asks once more; what is deleted is gone from the list and the screen.
tui_keys F2
tui_wait '▌ Striped horses'
tui_keys M-d
tui_wait 'Alt-d again'
tui_keys M-d
tui_wait '1 session$'
tui_keys Escape
tui_wait_gone '1 session$'
tui_has_not 'zebras|horses'
tui_type '/quit'
tui_keys Enter
tui_wait 'exit status 0'
tui_check_restored

# A session asked for that is not there.
tui_start 80x24 "$chat --session nosuchsession"
tui_wait 'exit status 3'

# Without a history that can be opened: one warning, and the chat goes on.
tui_forget
mkdir "$HADAL_DB"
tui_start 80x24 "$chat"
tui_wait 'this is not saved'
tui_type 'still here'
tui_keys Enter
tui_wait '1 messages: .user still here.'
tui_has_not 'this is not saved'
tui_keys C-d
tui_wait 'exit status 0'
tui_end
