#!/bin/bash
# Every header compiles alone.
cd "${top_srcdir:-.}" || exit 1
status=0
cppflags=$(pkg-config --cflags ncursesw sqlite3 libcurl libcjson libutf8proc 2>/dev/null)
for h in $(git ls-files 'src/*.h' 'ui/*.h' 'model/*.h' 'history/*.h' tests/test.h 2>/dev/null); do
    case $h in
    *kernels_*) continue ;; # need the flags of their instruction set
    esac
    # shellcheck disable=SC2086 # a list of flags
    "${CC:-cc}" -std=gnu11 -fsyntax-only -Wall -I. -I"${top_builddir:-.}" $cppflags \
        -include "${top_builddir:-.}/config.h" -x c "$h" ||
        { echo "headers: $h does not compile alone"; status=1; }
done
exit $status
