#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds a fuzz target with clang's libFuzzer, ASan and UBSan and runs it: what `make fuzz
# FUZZ=gguf SECONDS=60` calls, in the build folder. Keeps its own build in ./fuzz and the
# corpus in ./fuzz/corpus-NAME; a crash ends it with an error and leaves the input there.
set -eu
src=$1 name=$2 seconds=$3

command -v clang >/dev/null || { echo "fuzz: clang is not installed"; exit 1; }
mkdir -p "fuzz/corpus-$name"
cd fuzz
test -f Makefile || "$src/configure" -q --without-cuda CC=clang \
    --enable-sanitizers=address,undefined CFLAGS='-O1 -g -fsanitize=fuzzer-no-link'
make "${name}_fuzz"
case $name in
gguf)
    make gguf_replay
    ./gguf_replay --seeds "corpus-$name"
    cp -n "$src"/tests/data/hostile/*.gguf "corpus-$name" ;;
tokenizer | json)
    cp -n "$src"/tests/data/tokenizer/mini/*.tokenizer.json "corpus-$name" ;;
esac
test "$name" != tokenizer || cp -n "$src"/tests/data/tokenizer/mini/*.gguf "corpus-$name"
export top_srcdir="$src"
exec "./${name}_fuzz" -max_total_time="$seconds" -timeout=2 -rss_limit_mb=512 \
    -print_final_stats=1 "corpus-$name"
