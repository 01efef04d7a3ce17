#!/bin/bash
# Completion of bash: commands, options of a command, choices.
set -u
mkdir -p "${TMPDIR:-/tmp}/hadal-completion.$$" && cd "${TMPDIR:-/tmp}/hadal-completion.$$" || exit 1
trap 'rm -rf "$PWD"' EXIT
export HOME=$PWD
hadal() { "$HADAL" "$@"; }
# shellcheck source=/dev/null
. "$top_srcdir/share/completions/hadal"
status=0

# expect WANTED WORDS...: completing the last word offers WANTED.
expect() {
    local wanted=$1
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _hadal
    if [[ " ${COMPREPLY[*]} " != *" $wanted "* ]]; then
        echo "$*: offers '${COMPREPLY[*]}', not '$wanted'"
        status=1
    fi
}
expect run hadal r
expect tokenize hadal tok
expect --stream-json hadal run --str
expect --temp hadal --te
expect --best hadal search --b
expect cuda hadal run --device cu
expect Q4_K_M hadal quantize a b --type q4_
expect never hadal --color ne
expect bench hadal help be
exit $status
