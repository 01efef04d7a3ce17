#!/bin/bash
# The real program with the model that is built in: an answer comes, the status line says
# how fast, a second turn goes on, an old session is opened and gone on with, and
# `hadal log` knows all of it.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
hadal=$(realpath "${top_builddir:-.}")/hadal
[ -f "${top_srcdir:-.}/share/hadal-mini.gguf" ] || { echo "SKIP: no hadal-mini"; exit 77; }

tui_start 80x24 "$hadal --temp 0"
tui_wait 'hadal-mini is built in'
tui_wait 'ctx 0/'
tui_type 'Who are you?'
tui_keys Enter
tui_wait 'ctx [1-9][0-9]*/[0-9]+ .*tok/s'
tui_wait_gone 'answering|reading'
tui_type 'And what else?'
tui_keys Enter
tui_wait '^   And what else'
sleep 0.2
tui_wait_gone 'answering|reading'
tui_keys C-d
tui_wait 'exit status 0'
tui_check_restored

"$hadal" log --json | grep -q '"messages": *4' || tui_fail 'the history has not 4 messages'
tui_start 80x24 "$hadal --temp 0"
tui_wait 'ctx 0/'
tui_keys F3
tui_wait 'search:'
tui_type 'else'
tui_wait '[1-9] hits?'
tui_keys Enter
tui_wait '^   And what else'
tui_type 'Goodbye then'
tui_keys Enter
tui_wait '^   Goodbye then'
sleep 0.2
tui_wait_gone 'answering|reading'
tui_keys C-d
tui_wait 'exit status 0'
"$hadal" log --json | grep -q '"messages": *6' || tui_fail 'the session was not gone on with'

# A model that cannot be loaded: the screen is given back, one line says why.
printf 'no model' >"$tui_dir/bad.gguf"
tui_start 80x24 "$hadal -m $tui_dir/bad.gguf"
tui_wait 'not a GGUF file'
tui_wait 'exit status 3'
tui_check_restored
tui_end
