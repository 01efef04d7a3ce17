/* SPDX-License-Identifier: MIT
 *
 * NFC: see nfc.h. utf8proc knows the data; the order of combining marks is made here,
 * since utf8proc sorts them by swapping neighbours: quadratic in a run of marks.
 */
#include "config.h"

#include "model/nfc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"

#define MAX_DECOMPOSED                                                                 \
    18                /* characters that one may decompose to, with room to spare      \
                       */
#define N_CLASSES 256 /* combining classes */

/* Decomposed text. */
struct points {
    int32_t *at; /* [cap] */
    size_t len;
};

bool nfc_is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0xCC)
            return false;
    return true;
}

static unsigned combining_class(int32_t c)
{
    return (unsigned)utf8proc_get_property(c)->combining_class;
}

/* NULL with err when memory is out. Canonical decomposition at most triples the number
 * of bytes (U+0390: 2 bytes, 3 characters), so that 2 points a byte are enough. */
static bool decompose(struct points *p, const char *text, size_t len, struct err *err)
{
    size_t cap = 2 * len + MAX_DECOMPOSED;
    size_t at = 0;

    p->len = 0;
    p->at = mem_try(cap, sizeof(*p->at), "the normalized text", err);
    if (p->at == NULL)
        return false;
    while (at < len) {
        uint32_t c;
        int boundary = 0;
        utf8proc_ssize_t n;

        at += utf8_decode(text + at, len - at, &c, NULL);
        n = utf8proc_decompose_char((int32_t)c, p->at + p->len,
                                    (utf8proc_ssize_t)(cap - p->len),
                                    UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        if (n < 0 || (size_t)n > cap - p->len) {
            free(p->at);
            p->at = NULL;
            return err_set(err, ERR_FAILED, "cannot normalize the text");
        }
        p->len += (size_t)n;
    }
    return true;
}

/* Sorts run[0..n), all of them combining, by class; equal ones keep their order.
 * scratch holds n. */
static void sort_run(int32_t *run, size_t n, int32_t *scratch)
{
    size_t start[N_CLASSES + 1] = {0};

    for (size_t i = 0; i < n; i++)
        start[combining_class(run[i]) + 1]++;
    for (size_t k = 0; k < N_CLASSES; k++)
        start[k + 1] += start[k];
    for (size_t i = 0; i < n; i++)
        scratch[start[combining_class(run[i])]++] = run[i];
    memcpy(run, scratch, n * sizeof(*run));
}

/* The short runs of real text: by insertion. */
static void sort_short_run(int32_t *run, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int32_t c = run[i];
        size_t j = i;

        while (j > 0 && combining_class(run[j - 1]) > combining_class(c)) {
            run[j] = run[j - 1];
            j--;
        }
        run[j] = c;
    }
}

static bool order_marks(struct points *p, struct err *err)
{
    int32_t *scratch = NULL;
    size_t i = 0;

    while (i < p->len) {
        size_t from = i;

        while (i < p->len && combining_class(p->at[i]) != 0)
            i++;
        if (i - from <= 32) {
            sort_short_run(p->at + from, i - from);
        } else {
            if (scratch == NULL)
                scratch = mem_try(p->len, sizeof(*scratch), "the normalized text", err);
            if (scratch == NULL)
                return false;
            sort_run(p->at + from, i - from, scratch);
        }
        i += i == from;
    }
    free(scratch);
    return true;
}

bool nfc_add(struct buf *out, const char *text, size_t len, struct err *err)
{
    struct points p;
    utf8proc_ssize_t n;
    bool ok = false;

    if (!decompose(&p, text, len, err))
        return false;
    if (!order_marks(&p, err))
        goto done;
    n = utf8proc_normalize_utf32(p.at, (utf8proc_ssize_t)p.len,
                                 UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    ok = true;
    for (utf8proc_ssize_t i = 0; ok && i < n; i++) {
        char utf8[4];

        ok = buf_add(out, utf8, utf8_encode((uint32_t)p.at[i], utf8));
    }
    if (!ok)
        err_set(err, ERR_MEMORY, "the text is too long to be normalized");
done:
    free(p.at);
    return ok;
}
