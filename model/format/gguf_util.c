/* SPDX-License-Identifier: MIT
 *
 * What the readers of a GGUF file share: the cursor, which never passes the end of the
 * file; an index of names; sizes in words.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"

size_t gguf_bytes_left(const struct gguf_cursor *c)
{
    return c->size - c->at;
}

bool gguf_take(struct gguf_cursor *c, uint64_t n, const unsigned char **out)
{
    if (n > gguf_bytes_left(c))
        return false;
    *out = c->data + c->at;
    c->at += (size_t)n;
    return true;
}

uint32_t gguf_load_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

uint64_t gguf_load_u64(const unsigned char *p)
{
    return gguf_load_u32(p) | (uint64_t)gguf_load_u32(p + 4) << 32;
}

bool gguf_take_u32(struct gguf_cursor *c, uint32_t *out)
{
    const unsigned char *p;

    if (!gguf_take(c, 4, &p))
        return false;
    *out = gguf_load_u32(p);
    return true;
}

bool gguf_take_u64(struct gguf_cursor *c, uint64_t *out)
{
    const unsigned char *p;

    if (!gguf_take(c, 8, &p))
        return false;
    *out = gguf_load_u64(p);
    return true;
}

bool gguf_fail_cut(const struct gguf_cursor *c, const char *what, struct err *err)
{
    return err_set(
        err, ERR_MODEL,
        "truncated: the file of %zu bytes ends inside %s; resume with `hadal "
        "pull`",
        c->size, what);
}

const char *gguf_size_text(char out[32], uint64_t bytes)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(out, 32, "%" PRIu64 " bytes", bytes);
        return out;
    }
    for (v /= 1000; v >= 1000; v /= 1000)
        unit++;
    snprintf(out, 32, "%.1f %s", v, units[unit]);
    return out;
}

static int compare_names(const void *a, const void *b)
{
    const struct gguf_name *x = a;
    const struct gguf_name *y = b;

    return strcmp(x->text, y->text);
}

const char *gguf_index_sort(struct gguf_index *index)
{
    if (index->n < 2)
        return NULL;
    qsort(index->name, index->n, sizeof(*index->name), compare_names);
    for (size_t i = 1; i < index->n; i++) {
        if (strcmp(index->name[i - 1].text, index->name[i].text) == 0)
            return index->name[i].text;
    }
    return NULL;
}

size_t gguf_index_find(const struct gguf_index *index, const char *text)
{
    size_t low = 0;
    size_t high = index->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(text, index->name[mid].text);

        if (order == 0)
            return index->name[mid].at;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return SIZE_MAX;
}
