#!/bin/bash
# A download beside the chat: asked, watched while one chats on, stopped, gone on with
# after a stop, an end of the program and a kill, failed, and used. The hub of tests/hub
# holds bodies back while a file says so, so that nothing here depends on speed.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
command -v openssl >/dev/null || { echo "SKIP: openssl is not installed"; exit 77; }
chat="$(realpath "${top_builddir:-.}")/fake_chat --builtin"
hub=$tui_dir/hub
mkdir -p "$hub"
unset HF_HOME HF_HUB_CACHE HF_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE XDG_CACHE_HOME
export HADAL_MINI=$tui_dir/mini.gguf
echo mini >"$HADAL_MINI"
python3 "${top_srcdir:-.}/tests/tui/pull_hub.py" "$hub" &
hub_pid=$!
trap 'kill $hub_pid; tui_done' EXIT
for i in $(seq 400); do [ -f "$hub/env" ] && break; sleep 0.05; done
. "$hub/env" || exit 1
cache=$HOME/.cache/huggingface/hub

enter() { tui_type "$1"; tui_keys Enter; }
# start SIZE: the chat, with a new cache unless KEEP is set.
start() {
    [ -n "${keep:-}" ] || rm -rf "$cache"
    tui_forget
    tui_start "$1" "$chat"
    tui_wait '0/4096'
}
# pull_held NAME: asked for, agreed to, and a part has come.
pull_held() {
    touch "$hub/hold"
    enter "/pull $1"
    tui_wait 'Enter fetches it'
    tui_keys Enter
    tui_wait '▰? [1-9][0-9]?% '
}
quit() {
    tui_keys C-u C-d
    tui_wait 'exit status 0'
}
has_part() { ls "$cache"/models--org--big/blobs/*.part >/dev/null 2>&1; }

# A newcomer finds it; the plan is asked about; what is typed meanwhile is a message, Esc
# is no, and then nothing has been fetched.
start 80x24
tui_has '/pull ORG/REPO'
tui_keys F1
tui_wait '\^X +stop the download'
tui_keys PPage NPage NPage NPage NPage
tui_wait '/pull NAME'
tui_keys Escape
tui_keys F4
tui_wait '1 model · /pull ORG/REPO'
tui_has '▌ hadal-mini'
tui_keys Escape
tui_wait_gone '1 model'
enter '/pull org/big '
tui_wait 'Enter fetches it · Esc does not'
tui_has '模型-日本語🙂-big.Q4_K_M.gguf'
tui_has '8.39 MB to come, .* of disk free'
tui_has 'memory: about .* needed'
tui_has 'speed: about [0-9.]+ tokens/s at most|memory: .* does not fit'
enter 'still here'
tui_wait '1 messages: .user still here.'
tui_has 'Enter fetches it'
tui_keys Escape
tui_wait_gone 'download: org/big'
has_part && tui_fail 'something was fetched'

# While it comes one chats on, at every size; one at a time; ^X stops, Enter goes on.
pull_held org/big
tui_has '\^X stops; what has come is kept'
enter 'and while it comes'
tui_wait '3 messages: '
tui_has 'download: org/big'
for size in 40x12 200x60 20x6 10x3 80x24; do
    tui_resize ${size%x*} ${size#*x}
    [ ${size#*x} -lt 6 ] || tui_wait ' [1-9][0-9]?%'
done
tui_wait 'download: org/big'
tui_has '模型-日本語🙂-big.Q4_K_M.gguf'
enter '/pull org/broken'
tui_wait 'one download at a time'
tui_keys C-x
tui_wait '^ stopped'
has_part || tui_fail 'the part is not kept'
tui_keys Enter
tui_wait ' [1-9][0-9]?% '
enter '/pull cancel'
tui_wait '^ stopped'

# The program ends, and is killed: the part stays, and the rest alone is fetched.
enter '/pull'
tui_wait ' [1-9][0-9]?% '
quit
tui_has "the download of 'org/big' is not complete"
tui_check_restored
has_part || tui_fail 'the part is not kept at the end'
keep=1
start 80x24
pull_held org/big
kill -9 "$(tui_tmux list-panes -t t -F '#{pane_pid}' | xargs ps -o pid= --ppid)"
tui_wait 'status 137'
has_part || tui_fail 'the part is not kept by a kill'
start 80x24
enter '/pull org/big'
tui_wait 'Enter fetches it'
tui_has_not '8.39 MB to come'
rm "$hub/hold"
tui_keys Enter

# It is here: the chat goes on with it, and the history says who answered.
tui_wait 'Enter goes on with it'
cmp -s "$cache"/models--org--big/snapshots/*/*.gguf "$cache"/models--org--big/blobs/* ||
    tui_fail 'the file is not there'
has_part && tui_fail 'a part is left'
for size in 80x24 40x12 200x60; do
    tui_resize ${size%x*} ${size#*x}
    tui_wait 'Enter goes on with it'
    sleep 0.2
    tui_golden pull-$size
done
tui_resize 80 24
enter 'one more'
tui_wait '1 messages: .user one more.'
tui_keys Enter
tui_wait 'hadal +模型-日本語🙂-big.Q4_K_M'
tui_wait 'from the next message on'
enter 'hello you'
tui_wait '3 messages: '
tui_keys F4
tui_wait '2 models'
tui_has '▌ 模型-日本語🙂-big.Q4_K_M +8.39 MB'
tui_keys Escape
tui_wait_gone '2 models'
enter '/pull org/big'
tui_wait 'Enter goes on with it' # nothing to fetch: nothing is asked
tui_keys Escape
tui_wait_gone 'download: '

# A model that cannot be loaded: the one before answers on. A name, a path, a message.
enter '/pull org/broken'
tui_wait 'Enter fetches it'
tui_keys Enter
tui_wait 'Enter goes on with it'
tui_keys Enter
tui_wait 'answers on: .*'
tui_wait 'hadal +模型-日本語🙂-big.Q4_K_M .*ctx'
enter 'still you'
tui_wait '5 messages: '
enter '/model hadal-mini'
tui_wait 'hadal +hadal-mini '
enter '/model org/none:Q8_0'
tui_wait "'org/none:Q8_0' is not on this machine; /pull org/none:Q8_0 fetches it"
enter '// no command'
tui_wait '7 messages: '
enter ' /pull is a word here'
tui_wait '9 messages: '
enter '/pulled'
tui_wait 'did you mean /pull. .a space before it sends it.'
tui_keys C-u

# An answer that comes is not cut off by a change of the model.
enter 'many lines'
tui_wait 'answering'
enter '/model 模型-日本語🙂-big.Q4_K_M'
tui_wait 'hadal +模型-日本語🙂-big.Q4_K_M .*ctx'
tui_wait 'line 200 of'
tui_has_not '^ +stopped'

# What goes wrong is one clear line, with the way out.
enter '/pull'
tui_wait '/pull takes a name'
enter '/pull nonsense'
tui_wait 'no name of a model; it is org/repo'
tui_wait '^> /pull nonsense'
tui_keys C-u
enter '/pull org/none'
tui_wait 'org/none: not at'
tui_keys Escape
enter '/pull org/gated'
tui_wait 'accept the licence at'
tui_keys Escape
tui_wait_gone 'download: '
enter '/pull org/safe'
tui_wait 'no GGUF file is there'
tui_keys Escape
tui_wait_gone 'download: '
quit
tui_check_restored

# The options of hadal pull, read by the same parser; what is no such line comes back.
start 80x24
enter '/pull org/quants:q2_k --revision v1'
tui_wait 'Enter fetches it'
tui_has 'download: org/quants:q2_k --revision v1'
tui_has '^ q.Q2_K.gguf'
tui_has 'chosen: q2_k: asked for'
tui_resize 40 12
tui_wait 'Enter fetches it'
tui_has '^ q.Q2_K.gguf'
tui_has 'memory: about'
tui_resize 80 24
tui_keys Enter
tui_wait 'Enter goes on with it'
[ -f "$cache"/models--org--quants/refs/v1 ] || tui_fail 'no ref of the revision'
tui_keys Escape
tui_wait_gone 'download: '
enter "/pull --include '*Q4 0*' org/quants"
tui_wait 'Enter fetches it'
tui_has 'q Q4 0.gguf'
tui_keys Escape
tui_wait_gone 'download: '
enter '/pull org/quants --revision none'
tui_wait 'org/quants@none: not at'
tui_keys Escape
tui_wait_gone 'download: '
enter '/pull org/quants --limit-rate much'
tui_wait 'much. is no rate'
tui_wait '^> /pull org/quants --limit-rate much'
tui_keys C-u
enter '/pull org/quants --threads 3'
tui_wait 'unknown option; see .hadal pull --help'
tui_keys C-u
enter '/pull org/quants more'
tui_wait '/pull: takes one name, not 2'
tui_keys C-u
quit

# The server stops answering, and comes back; connections are cut; the disk is full.
keep=
start 80x24
pull_held org/big
echo 503 >"$hub/fault"
rm "$hub/hold"
tui_keys C-x
tui_wait '^ stopped'
tui_keys Enter
tui_wait 'the server answers 503; trying again'
echo cut=100000 >"$hub/fault"
tui_wait 'Enter goes on with it'
rm "$hub/fault"
quit
rm -rf "$cache"
tui_forget
tui_start 80x24 "ulimit -f 4000; $chat"
tui_wait '0/4096'
enter '/pull org/big'
tui_wait 'Enter fetches it'
tui_keys Enter
tui_wait 'what is *$|kept: make room'
tui_has 'Enter goes on; what has come is kept'
quit
tui_end
