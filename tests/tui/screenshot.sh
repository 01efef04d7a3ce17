#!/bin/bash
# Makes share/screenshot.svg again, from the real program with the model built in. Not a
# test: run it by hand where the look has changed.
#   top_srcdir=. top_builddir=build tests/tui/screenshot.sh
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
hadal=$(realpath "${top_builddir:-.}")/hadal

for question in "How do I search my sessions?" "Where are my messages stored?" \
    "Which models can hadal run?" "What happens when I press Escape?"; do
    "$hadal" run --temp 0 "$question" >/dev/null 2>&1
done
tui_term=tmux-256color
tui_start 110x28 "$hadal --temp 0"
tui_wait 'ctx 0/'
for question in "Who are you?" "How do I use hadal in a pipe?" "Which keys are there?"; do
    tui_type "$question"
    tui_keys Enter
    tui_wait "$question"
    sleep 1
    tui_wait_gone 'answering|reading'
done
tui_type 'And can I keep typing while it answers? 日本語もOK'
tui_keys F2
tui_wait 'sessions$|sessions '
sleep 0.5
tui_tmux capture-pane -t t -e -p |
    python3 "${top_srcdir:-.}/tests/tui/screenshot.py" 110 >"${top_srcdir:-.}/share/screenshot.svg"
tui_screen
tui_end
