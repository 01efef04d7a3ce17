#!/bin/bash
# Pasted text goes into the input whole, newlines and control bytes too, and sends
# nothing. The input grows to a third of the screen.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=${top_builddir:-.}/fake_chat

tui_start 80x24 "$chat"
tui_wait 'ctx 0/4096'
tui_paste "one
two $(printf '\033')[31m $(printf '\003') 日本
three"
tui_wait '^  three'
tui_has '^> one'
tui_has '^  two \^\[\[31m \^C 日本'
tui_has_not 'messages'
tui_keys Enter
tui_wait '1 messages: .user one'

tui_paste "$(seq 100)"
tui_wait '^  100'
[ "$(tui_screen | grep -cE '^  [0-9]+$')" -le 8 ] || tui_fail 'the input is too high'
tui_keys C-c
tui_wait '^>$'

# Editing by grapheme: one Backspace takes a whole family.
tui_type 'ab👨‍👩‍👧‍👦é'
tui_keys BSpace BSpace
tui_wait '^> ab$'
tui_keys C-a
tui_type 'x'
tui_wait '^> xab$'
tui_keys C-k
tui_wait '^> x$'
tui_keys C-u
tui_keys Up
tui_wait '^> one'
tui_keys C-c C-d
tui_wait 'exit status 0'
tui_check_restored
tui_end
