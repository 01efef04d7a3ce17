/* SPDX-License-Identifier: MIT
 *
 * Line breaking: see wrap.h. A small part of UAX #14: spaces, wide characters, and the
 * signs that Japanese and Chinese typesetting keeps off a row's beginning or end.
 */
#include "config.h"

#include "ui/wrap.h"

#include <stdbool.h>
#include <string.h>

#include "src/base/termtext.h"

static const char not_first[] = "、。，．・：；？！）」』】〉》〕］｝ゝ々ー…‥"
                                "ぁぃぅぇぉっゃゅょァィゥェォッャュョ%,.:;!?)]}";
static const char not_last[] = "（「『【〈《〔［｛([{";

static bool is_in(const char *set, const char *cluster, size_t len)
{
    size_t set_len = strlen(set);

    for (size_t at = 0; at < set_len;) {
        int width;
        size_t n = termtext_cluster(set + at, set_len - at, &width);

        if (n == len && memcmp(set + at, cluster, len) == 0)
            return true;
        at += n;
    }
    return false;
}

struct scan {
    size_t break_at;    /* the last place where the row may end; 0: none */
    size_t break_shown; /* bytes before the blanks there */
    const char *before; /* the cluster before */
    size_t before_len;
    int before_width;
};

/* May a row end between the cluster before and this one (neither is a blank)? */
static bool breaks_between(const struct scan *s, const char *cluster, size_t len,
                           int width)
{
    if (s->before == NULL || (s->before_width < 2 && width < 2))
        return false;
    return !is_in(not_first, cluster, len) &&
           !is_in(not_last, s->before, s->before_len);
}

static bool is_blank(const char *cluster)
{
    return *cluster == ' ' || *cluster == '\t';
}

static void note_break(struct scan *s, const char *text, size_t at, size_t n, int width)
{
    if (is_blank(text + at)) {
        if (s->before == NULL || !is_blank(s->before))
            s->break_shown = at;
        s->break_at = at + n;
    } else if (s->before != NULL && !is_blank(s->before) &&
               breaks_between(s, text + at, n, width)) {
        s->break_at = at;
        s->break_shown = at;
    }
    s->before = text + at;
    s->before_len = n;
    s->before_width = width;
}

size_t wrap_row(const char *text, size_t len, int width, enum wrap_mode mode,
                size_t *shown)
{
    struct scan scan = {0};
    int cells = 0;
    size_t at = 0;

    while (at < len) {
        int w;
        size_t n = termtext_cluster(text + at, len - at, &w);
        bool blank = is_blank(text + at);

        if (mode == WRAP_WORDS)
            note_break(&scan, text, at, n, w);
        if (cells + w > width && !(blank && mode == WRAP_WORDS)) {
            if (scan.break_at > 0) {
                *shown = scan.break_shown;
                return scan.break_at;
            }
            *shown = at > 0 ? at : n;
            return *shown;
        }
        cells += w;
        at += n;
    }
    *shown = len;
    if (cells > width) /* only blanks hang over */
        *shown = scan.break_shown;
    return len;
}
