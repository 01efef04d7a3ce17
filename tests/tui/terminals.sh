#!/bin/bash
# Terminals: what TERM can be, no colour, a locale that is not UTF-8.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=${top_builddir:-.}/fake_chat

for term in xterm-256color screen linux vt100 tmux-256color; do
    infocmp "$term" >/dev/null 2>&1 || continue
    tui_term=$term tui_start 80x24 "$chat"
    tui_wait 'ctx 0/4096'
    tui_type 'hello 日本'
    tui_keys Enter
    tui_wait '1 messages: .user hello 日本.'
    tui_keys C-d
    tui_wait 'exit status 0'
    [ $term = linux ] || [ $term = vt100 ] || tui_check_restored # these have one screen
done

for term in dumb no-such-terminal; do
    tui_term=$term tui_start 80x24 "$chat"
    tui_wait "hadal run"
    tui_wait 'exit status 1'
done
tui_start 80x24 "env -u TERM $chat"
tui_wait 'TERM is not set'
tui_wait 'exit status 1'

tui_start 80x24 "LC_ALL=C $chat --mono"
tui_wait 'ctx 0/4096'
tui_type 'cjk'
tui_keys Enter
tui_wait '日本語の敬語'
tui_keys C-d
tui_wait 'exit status 0'
tui_end
