/* SPDX-License-Identifier: MIT
 *
 * How libFuzzer changes a GGUF file: mostly a window in the keys and the table, without
 * moving what follows. Its own mutations alone would spend their time in the weights
 * and break every offset.
 */
#include "config.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { HEAD_BYTES = 8000, WINDOW_BYTES = 32 };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned int seed)
{
    uint8_t window[WINDOW_BYTES];
    size_t head = size < HEAD_BYTES ? size : HEAD_BYTES;
    size_t at = (size_t)(seed / 8) % (head + 1);
    size_t len = size - at < WINDOW_BYTES ? size - at : WINDOW_BYTES;

    if (seed % 8 == 0 || len < 8)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(window, data + at, len);
    LLVMFuzzerMutate(window, len, len);
    memcpy(data + at, window, len);
    return size;
}
