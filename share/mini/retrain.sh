#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains hadal-mini again: retrain.sh [WORK] makes share/hadal-mini.gguf.
# WORK (default ./mini-work) holds the virtual environment and the checkpoint;
# run it again after an interruption and it goes on.  Options of train.py follow.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-mini-work}
[ $# -gt 0 ] && shift
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r "$here/requirements.txt"
fi
py=$work/venv/bin/python
"$py" "$here/check.py"
"$py" "$here/train.py" --work "$work" "$@"
"$py" "$here/export.py" --work "$work" --out "$here/../hadal-mini.gguf"
"$py" "$here/measure.py" -m "$here/../hadal-mini.gguf" --work "$work"
