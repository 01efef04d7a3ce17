/* SPDX-License-Identifier: MIT
 *
 * hadal import FILE: sessions of another file into the history.
 */
#include "config.h"

#include <stdlib.h>

#include "history/history.h"
#include "src/base/json.h"
#include "src/base/path.h"
#include "src/command.h"
#include "src/output.h"

static bool print_counts(const struct history_imported *count, bool json,
                         struct err *err)
{
    struct json_writer w;
    struct buf out;
    bool ok;

    buf_init(&out, 4096);
    json_begin(&w, &out);
    if (json) {
        json_object(&w);
        json_key(&w, "sessions");
        json_integer(&w, count->n_sessions);
        json_key(&w, "messages");
        json_integer(&w, count->n_messages);
        json_key(&w, "already_here");
        json_integer(&w, count->n_known);
        json_end_object(&w);
    } else {
        buf_addf(&out, "%lld sessions, %lld messages", (long long)count->n_sessions,
                 (long long)count->n_messages);
        if (count->n_known > 0)
            buf_addf(&out, "; %lld sessions were already here",
                     (long long)count->n_known);
    }
    buf_add_char(&out, '\n');
    ok = output_write(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}

bool cmd_import(const struct options *opt, struct err *err)
{
    struct history_imported count;
    char *path = path_history_db(err);
    struct history *h;
    bool ok;

    if (path == NULL)
        return false;
    h = history_open(path, HISTORY_WRITE, err);
    free(path);
    if (h == NULL)
        return false;
    ok = history_import(h, opt->words.item[0], &count, err);
    history_close(h);
    return ok &&
           ((opt->quiet && !opt->json) || print_counts(&count, opt->json != 0, err));
}
