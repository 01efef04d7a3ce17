#!/bin/bash
# model/cuda compiled for the CPU (emulate.h) against the reference: the kernels'
# arithmetic and indexing, on machines without a GPU.
set -e
command -v "${CXX:-c++}" >/dev/null || { echo "SKIP: no C++ compiler"; exit 77; }
[ -z "${HADAL_SANITIZED:-}" ] || { echo "SKIP: fibers confuse the sanitizers"; exit 77; }
out=$top_builddir/tests/cuda/emulated
mkdir -p "$out"
cd "$top_srcdir"
objects=
for file in model/cuda/cuda.cu model/cuda/matvec.cu model/cuda/attn.cu tests/cuda/emulate.cc; do
    object=$out/$(basename "$file").o
    "${CXX:-c++}" -std=c++17 -O2 -x c++ -DHADAL_CUDA_EMULATED -I. -I"$top_builddir" \
        -c "$file" -o "$object"
    objects="$objects $object"
done
# shellcheck disable=SC2046,SC2086 # lists
"${CC:-cc}" -std=gnu11 -I. -I"$top_builddir" $(pkg-config --cflags libcjson) \
    -c tests/cuda/test_cuda.c -o "$out/test_cuda.o"
cd "$top_builddir"
# The emulated table comes first, so that the archive's own is not taken.
# shellcheck disable=SC2046,SC2086 # lists
"${CXX:-c++}" "$out/test_cuda.o" $objects -Wl,--start-group ./*.a -Wl,--end-group \
    $(pkg-config --libs libcjson libutf8proc) $(pkg-config --libs openblas 2>/dev/null) \
    -lpthread -lm -o "$out/test_cuda"
exec "$out/test_cuda"
