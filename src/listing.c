/* SPDX-License-Identifier: MIT
 *
 * Listing: see listing.h.
 */
#include "config.h"

#include "src/listing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/path.h"
#include "src/base/termtext.h"
#include "src/output.h"

struct history *listing_open_history(struct err *err)
{
    char *path = path_history_db(err);
    struct history *h;

    if (path == NULL) {
        err->kind = ERR_DB;
        return NULL;
    }
    h = history_open(path, HISTORY_READ, err);
    free(path);
    return h;
}

void listing_begin(struct listing *l, const struct options *opt)
{
    buf_init(&l->out, BUF_UNLIMITED);
    l->is_terminal = isatty(STDOUT_FILENO) == 1;
    l->color = output_wants_color(opt, STDOUT_FILENO);
}

void listing_color(struct listing *l, const char *sgr)
{
    if (l->color)
        buf_addf(&l->out, "\033[%sm", sgr);
}

void listing_line(struct listing *l, const char *text)
{
    if (text == NULL)
        return;
    if (l->is_terminal)
        termtext_add_line(&l->out, text, strlen(text));
    else
        buf_add_text(&l->out, text);
}

void listing_block(struct listing *l, const char *text, size_t len)
{
    if (l->is_terminal)
        termtext_add(&l->out, text, len);
    else
        buf_add(&l->out, text, len);
    if (len > 0 && text[len - 1] != '\n')
        buf_add_char(&l->out, '\n');
}

void listing_time(struct listing *l, int64_t utc_ms)
{
    char text[32];

    clock_format_utc(utc_ms, text);
    buf_add_text(&l->out, text);
}

bool listing_end(struct listing *l, struct err *err)
{
    bool ok = output_write(buf_text(&l->out), l->out.len, err);

    buf_release(&l->out);
    return ok;
}
