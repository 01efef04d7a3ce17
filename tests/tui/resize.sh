#!/bin/bash
# Resizing while an answer comes: after a storm of sizes the screen is what a fresh one
# would be, and the program is alive. Suspending and coming back draws it again.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=$(realpath "${top_builddir:-.}")/fake_chat
export FAKE_TOKEN_MS=5

tui_start 80x24 "$chat"
tui_wait 'ctx 0/4096'
tui_type 'many lines'
tui_keys Enter
tui_wait 'line 10 of'
for i in $(seq 20); do
    tui_resize $((i * 7 % 90 + 1)) $((i * 5 % 30 + 1))
done
tui_resize 1 1
tui_resize 60 20
tui_wait 'line 200 of'
tui_wait_gone 'answering'
tui_masked >"$tui_dir/after-storm"
tui_keys C-l
sleep 0.3
tui_masked | diff "$tui_dir/after-storm" - || tui_fail 'not what a fresh screen is'
[ "$(tui_screen | sed -n 18p)" = "$(printf '─%.0s' $(seq 60))" ] || tui_fail 'no rule at its row'
tui_keys C-d
tui_wait 'exit status 0'
tui_check_restored

# ^Z, and fg. An interactive shell has job control.
tui_start 80x24 "bash --norc --noprofile -i"
tui_wait '[$#] *$'
tui_type "PS1='ready> '; $chat"
tui_keys Enter
tui_wait 'ctx 0/4096'
tui_type 'kept'
tui_wait '> kept'
tui_keys C-z
tui_wait 'Stopped'
tui_has 'ready> '
tui_type 'fg'
tui_keys Enter
tui_wait '> kept'
tui_has 'ctx 0/4096'
tui_keys C-u C-d
tui_wait_gone 'ctx 0/4096'
tui_end
