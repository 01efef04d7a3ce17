#!/bin/bash
# Golden screens at three sizes, with CJK, emoji, combining marks, Markdown, thinking,
# and text that tries to drive the terminal. UPDATE_SCREENS=1 writes them anew.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
chat=${top_builddir:-.}/fake_chat

# ask TEXT LAST-OF-ANSWER: sends, and waits until the answer is complete.
ask() {
    tui_type "$1"
    tui_keys Enter
    tui_wait "$2"
    tui_wait_gone 'answering|reading prompt'
}

for size in 80x24 40x12 200x60; do
    tui_forget
    tui_start $size "$chat --builtin"
    tui_wait '0/4096'
    tui_golden welcome-$size
    ask 'cjk' 'Combining.*end|end\.$'
    tui_golden cjk-$size
    ask 'code' 'Done'
    tui_golden code-$size
    ask 'evil' 'after'
    tui_golden evil-$size
    ask 'think' 'answer is 42'
    tui_keys Tab
    tui_wait 'Then I answer it'
    tui_keys Tab
    tui_wait_gone 'Then I answer it'
    ask 'this is too long' 'new session'
    tui_golden error-$size
    tui_keys C-u
    tui_keys F2
    tui_wait '1 session( |$)'
    tui_keys Escape
    tui_wait_gone '1 session( |$)'
    tui_keys F1
    tui_wait 'send the message'
    tui_golden help-$size
    tui_keys Escape
    tui_wait_gone 'send the message'
    tui_keys C-d
    tui_wait 'exit status 0'
    tui_check_restored
done
tui_end
