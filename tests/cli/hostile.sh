#!/bin/bash
# Every hostile GGUF of tests/data/hostile through hadal run, show and --json: refused
# with one line, or answered; never a crash, never a byte that a terminal obeys.
set -u
set=${top_srcdir:-.}/tests/data/hostile
[ -f "$set/manifest.json" ] || { echo "SKIP: $set is not here"; exit 77; }
exec python3 "$set/check_hostile.py" --manifest "$set/manifest.json" --kind gguf \
    --run "$HADAL run -m {model} -n 4 --temp 0 --no-history {prompt}" \
    --show "$HADAL show {model}" \
    --json "$HADAL run --json -m {model} -n 4 --temp 0 --no-history {prompt}"
