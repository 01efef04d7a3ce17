#!/bin/bash
# Calls that this project does not make, and why: unbounded copies, hidden state, or a
# shell between us and the system.
cd "${top_srcdir:-.}" || exit 1
files=$(git ls-files 'src/*' 'ui/*' 'model/*' 'history/*' 2>/dev/null | grep -E '\.[ch]$')
[ -n "$files" ] || files=$(find src ui model history -name '*.[ch]')
hits=$(grep -vnE '^[[:space:]]*(\*|/\*)' $files | grep -E '(^|[^a-zA-Z0-9_>.])(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atof|system|popen|rand|srand|alloca)[ ]*\(')
[ -z "$hits" ] || { printf 'banned calls:\n%s\n' "$hits"; exit 1; }
hits=$(grep -nE '\b(TODO|FIXME|XXX)\b' $files)
[ -z "$hits" ] || { printf 'notes without an issue:\n%s\n' "$hits"; exit 1; }
