/* SPDX-License-Identifier: MIT
 *
 * The machine: see machine.h. Linux tells in /proc/cpuinfo.
 */
#include "config.h"

#include "src/machine.h"

#include <string.h>

#include "src/base/file.h"

enum { CPUINFO_MAX_BYTES = 8 << 20 };

static const char *const interesting[] = {
    "sse4_2",   "avx",      "f16c",     "fma",         "avx2",        "avx_vnni",
    "avx512f",  "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "asimd",       "asimddp",     "asimdhp",
    "i8mm",     "bf16",     "sve",      "sve2",
};

/* The value of the first "key : value" line; *len 0 where there is none. */
static const char *find_value(const char *text, const char *key, size_t *len)
{
    size_t key_len = strlen(key);

    *len = 0;
    for (; *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n') {
        const char *at = text + key_len;

        if (strncmp(text, key, key_len) != 0 || strspn(at, " \t") == 0)
            continue;
        at += strspn(at, " \t");
        if (*at != ':')
            continue;
        at += 1 + strspn(at + 1, " \t");
        *len = strcspn(at, "\n");
        return at;
    }
    return text;
}

static bool has_word(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t at = 0; at + n <= len; at++)
        if ((at == 0 || text[at - 1] == ' ') && memcmp(text + at, word, n) == 0 &&
            (at + n == len || text[at + n] == ' '))
            return true;
    return false;
}

void machine_cpu(struct buf *name, struct buf *features)
{
    struct buf info;
    const char *value;
    size_t len;

    buf_init(&info, CPUINFO_MAX_BYTES);
    if (file_read("/proc/cpuinfo", ERR_IO, &info, NULL)) {
        value = find_value(buf_text(&info), "model name", &len);
        buf_add(name, value, len);
        value = find_value(buf_text(&info), "flags", &len);
        if (len == 0)
            value = find_value(buf_text(&info), "Features", &len);
        for (size_t i = 0; i < sizeof(interesting) / sizeof(interesting[0]); i++)
            if (has_word(value, len, interesting[i]))
                buf_addf(features, "%s%s", features->len > 0 ? " " : "",
                         interesting[i]);
    }
    buf_release(&info);
}
