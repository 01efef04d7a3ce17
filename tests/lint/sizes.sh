#!/bin/bash
# Files past 800 lines, but kernels and tables, which say why on top ("Longer than").
cd "${top_srcdir:-.}" || exit 1
files=$(git ls-files 'src/*' 'ui/*' 'model/*' 'history/*' 2>/dev/null | grep -E '\.(c|h|cu)$')
[ -n "$files" ] || files=$(find src ui model history -name '*.[ch]')
status=0
for f in $files; do
    n=$(wc -l <"$f")
    if [ "$n" -gt 800 ] && ! head -n 16 "$f" | grep -qiE 'longer than|generated|table'; then
        echo "sizes: $f has $n lines (800 at most, or say why on top: \"Longer than ...\")"
        status=1
    fi
    head -n 1 "$f" | grep -q 'SPDX-License-Identifier: MIT' ||
        { echo "sizes: $f does not begin with the SPDX line"; status=1; }
done
exit $status
