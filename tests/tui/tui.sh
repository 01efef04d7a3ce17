# Helpers for tests that drive the real program in a real terminal (tmux). Sourced.
#
# A private tmux server, a private home, and a deadline for everything: what is waited
# for is looked for again and again, so that slow machines only take longer.

command -v tmux >/dev/null || { echo "SKIP: tmux is not installed"; exit 77; }
set -u

tui_name=$(basename "$0" .sh)
tui_dir=$(mktemp -d "${TMPDIR:-/tmp}/hadal-$tui_name.XXXXXX") || exit 1
tui_socket=$tui_dir/tmux.0 # one a start: a server that ends takes its time
tui_starts=0
tui_fails=0
export HADAL_DB=$tui_dir/history.db HOME=$tui_dir TZ=UTC
unset NO_COLOR TMUX HADAL_MODEL
export LC_ALL=C.UTF-8

tui_tmux() { tmux -S "$tui_socket" -f /dev/null "$@"; }

tui_done() {
    tui_tmux kill-server 2>/dev/null
    sleep 0.2 # its children still write here
    rm -rf "$tui_dir"
}
trap tui_done EXIT

# tui_start COLSxROWS COMMAND...: runs it; its exit status is shown at the end.
tui_start() {
    local size=$1
    shift
    tui_tmux kill-server 2>/dev/null
    tui_starts=$((tui_starts + 1))
    tui_socket=$tui_dir/tmux.$tui_starts
    rm -f "$tui_dir"/stty.*
    tui_tmux new-session -d -s t -x "${size%x*}" -y "${size#*x}" \
        "TERM=${tui_term:-screen-256color}; export TERM; stty -g >$tui_dir/stty.before; $*; \
         echo \"exit status \$?\"; stty -g >$tui_dir/stty.after; sleep 600"
    tui_tmux set-option -g status off
    tui_tmux set-option -g escape-time 0
    tui_resize "${size%x*}" "${size#*x}"
}

tui_keys() { tui_tmux send-keys -t t "$@"; }
tui_type() { tui_tmux send-keys -t t -l "$1"; }
tui_screen() { tui_tmux capture-pane -t t -p; }
tui_resize() { tui_tmux resize-window -t t -x "$1" -y "$2"; }

# tui_forget: the history begins anew.
tui_forget() { rm -rf "${tui_dir:?}"/history.db*; }

# tui_paste TEXT: as a terminal with bracketed paste does.
tui_paste() {
    printf '%s' "$1" | tui_tmux load-buffer -
    tui_tmux paste-buffer -p -t t
}

tui_fail() {
    echo "FAIL $tui_name: $1"
    tui_screen | sed 's/^/  | /'
    tui_fails=$((tui_fails + 1))
}

# tui_wait PATTERN: until a row of the screen matches (grep -E); at most 20 s.
tui_wait() {
    local i
    for i in $(seq 400); do
        tui_screen | grep -qE -- "$1" && return 0
        sleep 0.05
    done
    tui_fail "'$1' did not appear"
    tui_end # the rest would wait in vain too
}

# tui_wait_gone PATTERN: until no row matches.
tui_wait_gone() {
    local i
    for i in $(seq 400); do
        tui_screen | grep -qE -- "$1" || return 0
        sleep 0.05
    done
    tui_fail "'$1' did not go away"
    tui_end
}

tui_has() { tui_screen | grep -qE -- "$1" || tui_fail "'$1' is not on the screen"; }
tui_has_not() { ! tui_screen | grep -qE -- "$1" || tui_fail "'$1' is on the screen"; }

# tui_check_restored: the terminal is as it was before.
tui_check_restored() {
    local i
    for i in $(seq 100); do
        [ -s "$tui_dir/stty.after" ] && break
        sleep 0.05
    done
    cmp -s "$tui_dir/stty.before" "$tui_dir/stty.after" || tui_fail "stty differs after the end"
    [ "$(tui_tmux display -p -t t '#{alternate_on}#{cursor_flag}')" = 01 ] ||
        tui_fail "alternate screen or hidden cursor left behind"
}

# Masks what changes from run to run: times of day.
tui_masked() { tui_screen | sed -E 's/[0-9]{2}:[0-9]{2}/HH:MM/; s/[[:space:]]+$//'; }

# tui_golden NAME: the screen is that of tests/tui/screens/NAME.screen. With
# UPDATE_SCREENS=1 the file is written instead.
tui_golden() {
    local file=${top_srcdir:-.}/tests/tui/screens/$1.screen
    if [ -n "${UPDATE_SCREENS:-}" ]; then
        mkdir -p "$(dirname "$file")"
        tui_masked >"$file"
        return
    fi
    tui_masked >"$tui_dir/screen"
    diff -u "$file" "$tui_dir/screen" || tui_fail "screen $1 differs"
}

tui_end() {
    [ "$tui_fails" = 0 ] || exit 1
    echo "PASS $tui_name"
    exit 0
}
