/* SPDX-License-Identifier: MIT
 *
 * Added tokens: see added.h. They are kept in the order of their bytes, so that those
 * which begin like the text are one range, narrowed byte by byte.
 */
#include "config.h"

#include "model/added.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

void added_put(struct added *a, const char *text, size_t len, int32_t id)
{
    a->token = mem_grow(a->token, &a->cap, a->n + 1, sizeof(*a->token));
    a->token[a->n++] = (struct added_token){text, len, id};
    a->begins[(unsigned char)text[0]] = true;
}

static int compare_text(const struct added_token *a, const struct added_token *b)
{
    size_t common = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->text, b->text, common);

    if (order != 0)
        return order;
    return (a->len > b->len) - (a->len < b->len);
}

static int compare(const void *left, const void *right)
{
    const struct added_token *a = left;
    const struct added_token *b = right;
    int order = compare_text(a, b);

    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

void added_sort(struct added *a)
{
    size_t kept = 0;

    if (a->n == 0)
        return;
    qsort(a->token, a->n, sizeof(*a->token), compare);
    for (size_t i = 1; i < a->n; i++)
        if (compare_text(&a->token[kept], &a->token[i]) != 0)
            a->token[++kept] = a->token[i];
    a->n = kept + 1;
}

void added_release(struct added *a)
{
    free(a->token);
    memset(a, 0, sizeof(*a));
}

/* Among tokens [low, high), all alike up to `depth` bytes and the shortest first, the
 * first whose byte at depth is at least `byte`. */
static size_t lower_bound(const struct added *a, size_t low, size_t high, size_t depth,
                          int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct added_token *t = &a->token[middle];

        if (t->len <= depth || (unsigned char)t->text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that text begins with, or NULL. */
static const struct added_token *longest_at(const struct added *a, const char *text,
                                            size_t len)
{
    const struct added_token *best = NULL;
    size_t low = 0;
    size_t high = a->n;

    for (size_t depth = 0; depth < len && low < high; depth++) {
        int byte = (unsigned char)text[depth];

        low = lower_bound(a, low, high, depth, byte);
        high = lower_bound(a, low, high, depth, byte + 1);
        if (low < high && a->token[low].len == depth + 1)
            best = &a->token[low];
    }
    return best;
}

const struct added_token *added_find(const struct added *a, const char *text,
                                     size_t len, size_t from, size_t *at)
{
    if (a->n == 0)
        return NULL;
    for (size_t i = from; i < len; i++) {
        const struct added_token *found;

        if (!a->begins[(unsigned char)text[i]])
            continue;
        found = longest_at(a, text + i, len - i);
        if (found != NULL) {
            *at = i;
            return found;
        }
    }
    return NULL;
}

const struct added_token *added_get(const struct added *a, const char *text, size_t len)
{
    const struct added_token *found = longest_at(a, text, len);

    return found != NULL && found->len == len ? found : NULL;
}
