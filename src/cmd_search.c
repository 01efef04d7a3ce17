/* SPDX-License-Identifier: MIT
 *
 * hadal search QUERY: messages that hold every word of the query.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "history/history.h"
#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/command.h"
#include "src/listing.h"
#include "src/output.h"

#define DEFAULT_LIMIT 50

static bool parse_role(const char *name, enum role *role, struct err *err)
{
    return role_find(name, role) ||
           err_set(err, ERR_USAGE,
                   "--role: '%s' is no role; it is system, user or assistant", name);
}

static bool read_query(const struct options *opt, const char *text,
                       struct history_query *query, struct err *err)
{
    memset(query, 0, sizeof(*query));
    query->text = text;
    query->limit = opt->limit > 0 ? (size_t)opt->limit : DEFAULT_LIMIT;
    query->model = opt->search_model;
    query->best = opt->best != 0;
    query->has_role = opt->role != NULL;
    if (opt->role != NULL && !parse_role(opt->role, &query->role, err))
        return false;
    if (opt->since != NULL &&
        !history_parse_since(opt->since, clock_utc_ms(), &query->since_ms, err))
        return err_wrap(err, "--since");
    return true;
}

static bool print_json(const struct history_hits *hits, struct err *err)
{
    struct json_writer w;
    struct buf out;
    char time[32];
    bool ok;

    buf_init(&out, BUF_UNLIMITED);
    json_begin(&w, &out);
    json_array(&w);
    for (size_t i = 0; i < hits->n; i++) {
        const struct history_hit *hit = &hits->row[i];

        json_object(&w);
        json_key(&w, "session");
        json_text(&w, hit->session_id);
        json_key(&w, "message");
        json_integer(&w, hit->message_id);
        json_key(&w, "role");
        json_text(&w, role_name(hit->role));
        json_key(&w, "title");
        json_text(&w, hit->title);
        json_key(&w, "time");
        clock_format_utc(hit->time_ms, time);
        json_text(&w, time);
        json_key(&w, "snippet");
        json_text(&w, hit->snippet);
        json_key(&w, "rank");
        json_number(&w, hit->rank);
        json_end_object(&w);
    }
    json_end_array(&w);
    buf_add_char(&out, '\n');
    ok = output_write_text(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}

static void add_snippet(struct listing *l, const struct history_hit *hit)
{
    const char *mark = hit->snippet + hit->mark;
    const char *rest = mark + hit->mark_len;

    buf_add_text(&l->out, "    ");
    buf_add(&l->out, hit->snippet, hit->mark); /* an excerpt is safe already */
    listing_color(l, "1;31");
    buf_add(&l->out, mark, hit->mark_len);
    listing_color(l, "0");
    buf_add_text(&l->out, rest);
    buf_add_char(&l->out, '\n');
}

static bool print_lines(const struct history_hits *hits, const struct options *opt,
                        struct err *err)
{
    struct listing l;

    listing_begin(&l, opt);
    for (size_t i = 0; i < hits->n; i++) {
        const struct history_hit *hit = &hits->row[i];

        listing_color(&l, "33");
        listing_line(&l, hit->session_id);
        listing_color(&l, "0");
        buf_add_text(&l.out, "  ");
        listing_time(&l, hit->time_ms);
        buf_addf(&l.out, "  %-9s  ", role_name(hit->role));
        listing_line(&l, hit->title);
        buf_add_char(&l.out, '\n');
        add_snippet(&l, hit);
    }
    return listing_end(&l, err);
}

static bool search(const char *text, const struct options *opt, struct err *err)
{
    struct history_query query;
    struct history_hits hits;
    struct history *h;
    bool ok;

    if (!read_query(opt, text, &query, err))
        return false;
    h = listing_open_history(err);
    if (h == NULL)
        return false;
    ok = history_search(h, &query, &hits, err);
    history_close(h);
    if (!ok)
        return false;
    ok = opt->json ? print_json(&hits, err) : print_lines(&hits, opt, err);
    if (ok && !opt->json && !opt->quiet && hits.n == query.limit &&
        isatty(STDERR_FILENO) == 1)
        output_note("%zu hits shown; there may be more (--limit)", hits.n);
    history_hits_release(&hits);
    return ok;
}

bool cmd_search(const struct options *opt, struct err *err)
{
    struct buf text;
    bool ok;

    buf_init(&text, BUF_UNLIMITED);
    for (size_t i = 0; i < opt->words.n; i++) {
        if (i > 0)
            buf_add_char(&text, ' ');
        buf_add_text(&text, opt->words.item[i]);
    }
    ok = search(buf_text(&text), opt, err);
    buf_release(&text);
    return ok;
}
