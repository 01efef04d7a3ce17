/* SPDX-License-Identifier: MIT
 *
 * Showing an answer: see answer.h.
 */
#include "config.h"

#include "src/answer.h"

#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/termtext.h"
#include "src/output.h"

static const char dim_on[] = "\x1b[2m";
static const char dim_off[] = "\x1b[0m";

void answer_init(struct answer *a, const struct options *opt)
{
    memset(a, 0, sizeof(*a));
    a->opt = opt;
    a->on_terminal = isatty(STDOUT_FILENO);
    a->dim = output_wants_color(opt, a->on_terminal ? STDOUT_FILENO : STDERR_FILENO);
    a->part = CHAT_PART_NOTHING;
    buf_init(&a->text, BUF_UNLIMITED);
    buf_init(&a->thinking, BUF_UNLIMITED);
    buf_init(&a->held, BUF_UNLIMITED);
}

void answer_release(struct answer *a)
{
    buf_release(&a->text);
    buf_release(&a->thinking);
    buf_release(&a->held);
}

static bool is_plain(const struct answer *a)
{
    return !a->opt->json && !a->opt->stream_json;
}

/* ---- JSON ---- */

static void add_text_or_null(struct json_writer *w, const struct buf *text)
{
    if (text->len > 0)
        json_text_n(w, text->data, text->len);
    else
        json_null(w);
}

static double rate(int n, double seconds)
{
    return n > 0 && seconds > 0 ? n / seconds : 0;
}

static void add_timings(struct json_writer *w, const struct answer_facts *facts)
{
    const struct report *done = facts->done;

    json_key(w, "timings");
    json_object(w);
    json_key(w, "load_s");
    json_number(w, facts->load_s);
    json_key(w, "prefill_s");
    json_number(w, done->prefill_s);
    json_key(w, "decode_s");
    json_number(w, done->decode_s);
    json_key(w, "prefill_tokens_per_s");
    json_number(w, rate(done->prompt_tokens - done->cached_tokens, done->prefill_s));
    json_key(w, "decode_tokens_per_s");
    json_number(w, (double)done->tokens_per_s);
    json_end_object(w);
}

static void add_usage(struct json_writer *w, const struct report *done)
{
    json_key(w, "usage");
    json_object(w);
    json_key(w, "prompt_tokens");
    json_integer(w, done->prompt_tokens);
    json_key(w, "cached_tokens");
    json_integer(w, done->cached_tokens);
    json_key(w, "completion_tokens");
    json_integer(w, done->completion_tokens);
    json_end_object(w);
}

/* The members of the object of --json, which the last event has too. */
static void add_members(struct json_writer *w, const struct answer *a,
                        const struct answer_facts *facts)
{
    json_key(w, "text");
    json_text_n(w, buf_text(&a->text), a->text.len);
    json_key(w, "thinking");
    add_text_or_null(w, &a->thinking);
    json_key(w, "model");
    json_text(w, facts->model);
    json_key(w, "session");
    json_text(w, facts->session);
    json_key(w, "stop_reason");
    json_text(w, stop_reason_name(facts->done->stop_reason));
    json_key(w, "token_ids");
    json_array(w);
    for (size_t i = 0; i < facts->done->ids.len; i++)
        json_integer(w, facts->done->ids.id[i]);
    json_end_array(w);
    add_usage(w, facts->done);
    add_timings(w, facts);
    json_key(w, "seed");
    json_unsigned(w, facts->seed);
}

/* An event is written by begin_event, members, end_event. */
static void begin_event(struct json_writer *w, struct buf *line, const char *type)
{
    buf_init(line, BUF_UNLIMITED);
    json_begin(w, line);
    json_object(w);
    if (type != NULL) {
        json_key(w, "type");
        json_text(w, type);
    }
}

static bool end_event(struct json_writer *w, struct err *err)
{
    bool ok;

    json_end_object(w);
    buf_add_char(w->out, '\n');
    ok = output_write(w->out->data, w->out->len, err);
    buf_release(w->out);
    return ok;
}

bool answer_start(struct answer *a, const struct answer_facts *facts, int prompt_tokens,
                  struct err *err)
{
    struct json_writer w;
    struct buf line;

    if (!a->opt->stream_json)
        return true;
    begin_event(&w, &line, "start");
    json_key(&w, "model");
    json_text(&w, facts->model);
    json_key(&w, "session");
    json_text(&w, facts->session);
    json_key(&w, "seed");
    json_unsigned(&w, facts->seed);
    json_key(&w, "prompt_tokens");
    json_integer(&w, prompt_tokens);
    return end_event(&w, err);
}

bool answer_prefill(struct answer *a, int done, int total, struct err *err)
{
    struct json_writer w;
    struct buf line;

    if (!a->opt->stream_json)
        return true;
    begin_event(&w, &line, "prefill");
    json_key(&w, "done");
    json_integer(&w, done);
    json_key(&w, "total");
    json_integer(&w, total);
    return end_event(&w, err);
}

static bool write_text_event(enum chat_part part, const char *text, size_t len,
                             struct err *err)
{
    struct json_writer w;
    struct buf line;

    begin_event(&w, &line, part == CHAT_PART_THINKING ? "thinking" : "text");
    json_key(&w, "text");
    json_text_n(&w, text, len);
    return end_event(&w, err);
}

/* ---- text ---- */

/* Where thinking goes: standard output on a terminal, else standard error, whose
 * failures are nobody's concern. */
static bool write_thinking(const struct answer *a, const char *text, size_t len,
                           struct err *err)
{
    int fd = a->on_terminal ? STDOUT_FILENO : STDERR_FILENO;
    struct buf out;
    bool ok = true;

    buf_init(&out, BUF_UNLIMITED);
    if (a->dim)
        buf_add_text(&out, dim_on);
    if (isatty(fd))
        termtext_add(&out, text, len);
    else
        buf_add(&out, text, len);
    if (a->dim)
        buf_add_text(&out, dim_off);
    if (a->on_terminal)
        ok = output_write(out.data, out.len, err);
    else
        (void)!file_write_fd(fd, "standard error", out.data, out.len, NULL);
    buf_release(&out);
    return ok;
}

static bool show_thinking(struct answer *a, const char *text, size_t len,
                          struct err *err)
{
    if (a->opt->hide_thinking)
        return true;
    a->any_thinking = true;
    a->part = CHAT_PART_THINKING;
    return write_thinking(a, text, len, err);
}

/* The end of the thinking: its line ends, and on the terminal a blank one follows. */
static bool leave_thinking(struct answer *a, struct err *err)
{
    const struct buf *t = &a->thinking;
    bool at_left = t->len == 0 || t->data[t->len - 1] == '\n';
    bool ok = true;

    if (a->part != CHAT_PART_THINKING)
        return true;
    a->part = CHAT_PART_TEXT;
    if (!at_left)
        ok = write_thinking(a, "\n", 1, err);
    return ok && (!a->on_terminal || output_write("\n", 1, err));
}

/* Everything but newlines at the end, which wait for what comes behind them. */
static bool show_text(struct answer *a, const char *text, size_t len, struct err *err)
{
    size_t shown;
    bool ok;

    if (!leave_thinking(a, err))
        return false;
    a->part = CHAT_PART_TEXT;
    buf_add(&a->held, text, len);
    shown = a->held.len;
    while (shown > 0 &&
           (a->held.data[shown - 1] == '\n' || a->held.data[shown - 1] == '\r'))
        shown--;
    if (shown == 0)
        return true;
    ok = output_write_text(a->held.data, shown, err);
    buf_drop(&a->held, shown);
    a->any_text = true;
    return ok;
}

bool answer_add(struct answer *a, enum chat_part part, const char *text, size_t len,
                struct err *err)
{
    buf_add(part == CHAT_PART_THINKING ? &a->thinking : &a->text, text, len);
    if (a->opt->stream_json)
        return write_text_event(part, text, len, err);
    if (a->opt->json)
        return true;
    if (part == CHAT_PART_THINKING)
        return show_thinking(a, text, len, err);
    return show_text(a, text, len, err);
}

/* One newline, whatever the answer ends with. */
static bool end_text(struct answer *a, const struct report *done, struct err *err)
{
    bool was_cut =
        done->stop_reason == STOP_INTERRUPT || done->stop_reason == STOP_TIMEOUT;

    if (!leave_thinking(a, err))
        return false;
    if (was_cut && !a->any_text)
        return true;
    while (a->held.len > 0 && a->held.data[a->held.len - 1] == '\n')
        a->held.len--;
    buf_add_char(&a->held, '\n');
    return output_write_text(a->held.data, a->held.len, err);
}

bool answer_end(struct answer *a, const struct answer_facts *facts, struct err *err)
{
    struct json_writer w;
    struct buf line;

    if (is_plain(a))
        return end_text(a, facts->done, err);
    begin_event(&w, &line, a->opt->stream_json ? "end" : NULL);
    add_members(&w, a, facts);
    return end_event(&w, err);
}

void answer_break_off(struct answer *a)
{
    if (!is_plain(a))
        return;
    (void)!leave_thinking(a, NULL);
    if (a->any_text)
        (void)!output_write("\n", 1, NULL);
}
