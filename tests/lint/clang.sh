#!/bin/bash
# Every C file compiles without a warning under clang too.
cd "${top_srcdir:-.}" || exit 1
command -v clang >/dev/null || { echo "SKIP: no clang"; exit 77; }
[ -z "${HADAL_SANITIZED:-}" ] || { echo "SKIP: done in the plain build"; exit 77; }
files=$(git ls-files 'src/*.c' 'ui/*.c' 'model/*.c' 'history/*.c' 'tests/*.c' 'bench/*.c' 2>/dev/null)
[ -n "$files" ] || { echo "SKIP: no git checkout"; exit 77; }
cppflags=$(pkg-config --cflags ncursesw sqlite3 libcurl libcjson libutf8proc openblas 2>/dev/null)
check() {
    # shellcheck disable=SC2086 # lists of flags
    clang -std=gnu11 -fsyntax-only $WARN_CFLAGS -Werror -D_FORTIFY_SOURCE=0 -DHAVE_CONFIG_H \
        -I. -I"${top_builddir:-.}" -DPKGDATADIR='""' -DBUILD_SHARE='""' $cppflags "$@"
}
status=0
for f in $files; do
    case $f in
    model/cpu/*avx512*) check -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c "$f" ;;
    model/cpu/*avx2*) check -mavx2 -mfma -mf16c "$f" ;;
    *) check "$f" ;;
    esac || status=1
done
exit $status
