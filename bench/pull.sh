#!/bin/bash
# Throughput of `hadal pull` (hashing included) from nginx on loopback with TLS, for
# HTTP/1.1 and 2, as a ratio to three ways to do it with curl:
#
#   pipeline   curl | tee FILE | sha256sum
#   in turn    curl -o FILE, then sha256sum FILE
#   unhashed   curl -o FILE alone
#
# All write to the same file system (TMPDIR); each is the best of N runs in turn.
#
#   HADAL=build/hadal bench/pull.sh [MIB [RUNS]]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
hadal=${HADAL:-$here/build/hadal}
mib=${1:-1024} runs=${2:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/hadal-bench-pull.XXXXXX")
server=
finish() {
    [ -z "$server" ] || { kill "$server"; wait "$server"; } 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# The best of two times, the first perhaps empty.
best() { echo "$1 $2" | awk '{ print NF == 1 || $2 < $1 ? $NF : $1 }'; }
# seconds CMD...: how long it took; its output is dropped.
seconds() {
    local start=$EPOCHREALTIME
    "$@" >/dev/null
    echo "$start $EPOCHREALTIME" | awk '{ print $2 - $1 }'
}
fetch() { curl -sS --cacert "$CURL_CA_BUNDLE" "$http" "$cdn/org/big/big.gguf" "$@"; }
pipeline() { fetch | tee "$work/curl.out" | sha256sum; }
unhashed() { fetch -o "$work/curl.out"; }
in_turn() { unhashed && sha256sum "$work/curl.out"; }
by_hadal() {
    HF_HUB_CACHE=$work/cache "$hadal" pull -q org/big
}

head -c "$((mib << 20))" /dev/urandom >"$work/big.gguf"
for http in --http1.1 --http2; do
    python3 "$here/tests/hub/nginx.py" "$work/big.gguf" \
        $([ $http = --http2 ] || echo --http1) >"$work/hub" &
    server=$!
    until [ -s "$work/hub" ] && grep -q CDN "$work/hub"; do sleep 0.1; done
    eval "$(grep export "$work/hub")"
    cdn=$(awk '/CDN/ { print $3 }' "$work/hub")
    declare -A took=()
    for ((i = 0; i < runs; i++)); do
        for way in pipeline in_turn unhashed by_hadal; do
            took[$way]=$(best "${took[$way]:-}" "$(seconds $way)")
            rm -rf "$work/curl.out" "$work/cache"
        done
    done
    echo "$http $mib ${took[by_hadal]} ${took[pipeline]} ${took[in_turn]} ${took[unhashed]}" |
        awk '{ printf "%s: hadal %.0f MiB/s; ratio to pipeline %.2f, in turn %.2f, unhashed %.2f\n",
            substr($1, 3), $2 / $3, $4 / $3, $5 / $3, $6 / $3 }'
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
done
