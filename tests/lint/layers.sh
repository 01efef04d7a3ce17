#!/bin/bash
# Who may include whom (spec of the rooms: HACKING.md). Each rule is a grep that must find
# nothing.
cd "${top_srcdir:-.}" || exit 1
status=0

# forbid WHAT PATTERN FILES...: no file may have a line that matches.
forbid() {
    local what=$1 pattern=$2
    shift 2
    local hits
    hits=$(grep -nE "$pattern" "$@" /dev/null 2>/dev/null)
    if [ -n "$hits" ]; then
        printf 'layers: %s:\n%s\n' "$what" "$hits"
        status=1
    fi
}
# All C sources below the given folders, but those named after --.
sources() {
    git ls-files "$@" 2>/dev/null | grep -E '\.(c|h|cu|cuh)$' || find "$@" -name '*.[ch]'
}

forbid "base knows no other room" '#include "(ui|model|history)/' $(sources src/base)
forbid "ui knows no other room" '#include "(model|history|src/[a-z_]+\.h)' $(sources ui)
forbid "model knows no other room" '#include "(ui|history|src/[a-z_]+\.h)' $(sources model)
forbid "history knows no other room" '#include "(ui|model|src/[a-z_]+\.h)' $(sources history)
forbid "curses only in ui/term.c" '#include <(curses|ncurses|term)' \
    $(sources src ui model history | grep -v '^ui/term\.c$')
forbid "SQLite only in history" '#include <sqlite3' $(sources src ui model)
forbid "curl only in src/fetch/http.c and url.c" '#include <curl' \
    $(sources src ui model history | grep -vE '^src/fetch/(http|url)\.c$')
forbid "libcrypto only in src/base/digest.c" '#include <openssl' \
    $(sources src ui model history | grep -v '^src/base/digest\.c$')
forbid "cJSON is reached through src/base/json.h" '#include <cjson' \
    $(sources src ui model history | grep -v '^src/base/json\.h$')
forbid "OpenBLAS only in model/cpu/blas.c" '#include <(openblas/)?cblas|openblas_config' \
    $(sources src ui model history | grep -v '^model/cpu/blas\.c$')
forbid "CUDA only in model/cuda" '#include <cuda' $(sources src ui history model/cpu model/ref model/format)
forbid "outside model/, only its public headers" \
    '#include "model/(backend|forward|weights|shape|quant\.h|quant/|kv|cpu/|ref/|cuda/|format/)' \
    $(sources src | grep -vE '^src/(cmd_show|cmd_doctor|catalog)\.c$') $(sources ui history)
forbid "no relative includes" '#include "\.\.?/' $(sources src ui model history tests)
exit $status
