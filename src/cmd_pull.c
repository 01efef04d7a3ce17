/* SPDX-License-Identifier: MIT
 *
 * hadal pull MODEL: what is told while it happens: the plan, a progress bar on a
 * terminal, a line a file elsewhere, or JSON, an object a line.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/command.h"
#include "src/fetch/pull.h"
#include "src/human.h"
#include "src/interrupt.h"
#include "src/output.h"
#include "src/progress.h"
#include "src/pull_request.h"
#include "src/pull_speed.h"

struct telling {
    const struct options *opt;
    struct progress bar;
    double told_at;    /* of the last progress event */
    struct err failed; /* an event that could not be written */
    bool has_failed;
};

static const double event_every_s = 0.5;

/* ---- JSON ---- */

static bool write_event(struct json_writer *w, struct buf *out, struct err *err)
{
    bool ok;

    json_end_object(w);
    buf_add_char(out, '\n');
    ok = output_write_text(buf_text(out), out->len, err);
    buf_release(out);
    return ok;
}

static void begin_event(struct json_writer *w, struct buf *out, const char *type)
{
    buf_init(out, BUF_UNLIMITED);
    json_begin(w, out);
    json_object(w);
    json_key(w, "type");
    json_text(w, type);
}

static void add_integer(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    if (value < 0)
        json_null(w);
    else
        json_integer(w, value);
}

static void add_files(struct json_writer *w, const struct pull_plan *plan)
{
    json_key(w, "files");
    json_array(w);
    for (size_t i = 0; i < plan->n; i++) {
        json_object(w);
        json_key(w, "name");
        json_text(w, plan->file[i].name);
        add_integer(w, "size_bytes", plan->file[i].size);
        json_key(w, "cached");
        json_bool(w, plan->file[i].is_here);
        json_end_object(w);
    }
    json_end_array(w);
}

/* Weights in a form that only other programs run. */
static bool is_safetensors_alone(const struct pull_plan *plan)
{
    bool any = false;

    for (size_t i = 0; i < plan->n; i++) {
        if (text_ends_with_any_case(plan->file[i].name, ".gguf"))
            return false;
        any = any || text_ends_with_any_case(plan->file[i].name, ".safetensors");
    }
    return any;
}

static bool plan_json(const struct telling *t, const struct pull_plan *plan,
                      struct err *err)
{
    struct json_writer w;
    struct buf out;

    begin_event(&w, &out, "plan");
    json_key(&w, "model");
    json_text(&w, plan->name);
    json_key(&w, "commit");
    json_text(&w, plan->commit);
    json_key(&w, "why");
    json_text(&w, plan->why);
    add_files(&w, plan);
    add_integer(&w, "size_bytes", plan->bytes);
    add_integer(&w, "fetch_bytes", plan->fetch_bytes);
    add_integer(&w, "disk_free_bytes", plan->free_bytes);
    json_key(&w, "memory_needed_bytes");
    json_unsigned(&w, plan->memory_need);
    json_key(&w, "memory_free_bytes");
    if (plan->memory_free == UINT64_MAX)
        json_null(&w);
    else
        json_unsigned(&w, plan->memory_free);
    json_key(&w, "fits_memory");
    json_bool(&w, plan->memory_need <= plan->memory_free);
    json_key(&w, "runnable");
    json_bool(&w, !is_safetensors_alone(plan));
    json_key(&w, "estimated_tokens_per_s");
    json_number(&w, pull_speed_estimate(plan, t->opt->threads));
    return write_event(&w, &out, err);
}

static bool progress_json(const struct pull_progress *now, struct err *err)
{
    struct json_writer w;
    struct buf out;

    begin_event(&w, &out, "progress");
    json_key(&w, "file");
    json_text(&w, now->plan->file[now->file].name);
    add_integer(&w, "done_bytes", now->file_done);
    add_integer(&w, "size_bytes", now->plan->file[now->file].size);
    add_integer(&w, "all_done_bytes", now->all_done);
    add_integer(&w, "all_size_bytes", now->plan->bytes);
    add_integer(&w, "fetched_bytes", now->fetched);
    json_key(&w, "trouble");
    json_text(&w, now->trouble);
    return write_event(&w, &out, err);
}

static bool file_json(const struct pull_file *file, const char *path, struct err *err)
{
    struct json_writer w;
    struct buf out;

    begin_event(&w, &out, "file");
    json_key(&w, "file");
    json_text(&w, file->name);
    json_key(&w, "path");
    json_text(&w, path);
    json_key(&w, "cached");
    json_bool(&w, file->is_here);
    return write_event(&w, &out, err);
}

static bool end_json(const char *path, struct err *err)
{
    struct json_writer w;
    struct buf out;

    begin_event(&w, &out, "end");
    json_key(&w, "path");
    json_text(&w, path);
    return write_event(&w, &out, err);
}

/* ---- lines ---- */

static void add_size(struct buf *out, int64_t bytes)
{
    char text[32] = "?";

    if (bytes >= 0)
        human_bytes((size_t)bytes, text);
    buf_addf(out, "%10s", text);
}

static void add_fit(struct buf *out, const struct telling *t,
                    const struct pull_plan *plan)
{
    char need[32], have[32];
    double speed = pull_speed_estimate(plan, t->opt->threads);

    human_bytes((size_t)plan->memory_need, need);
    human_bytes((size_t)plan->memory_free, have);
    if (plan->memory_free == UINT64_MAX)
        buf_addf(out, "memory: about %s needed\n", need);
    else
        buf_addf(out, "memory: about %s needed, %s free: %s\n", need, have,
                 plan->memory_need <= plan->memory_free ? "it fits"
                                                        : "it does not fit");
    if (speed <= 0)
        return;
    buf_addf(out, "speed: about %.*f tokens/s at most", speed < 10 ? 1 : 0, speed);
    if (plan->read_share < 1)
        buf_addf(out, " (a mixture of experts: a token reads %.0f%% of the weights)",
                 100 * plan->read_share);
    buf_add_char(out, '\n');
}

static bool plan_lines(const struct telling *t, const struct pull_plan *plan,
                       struct err *err)
{
    char all[32], come[32], disk[32] = "?";
    struct buf out;
    bool ok = true;

    buf_init(&out, BUF_UNLIMITED);
    buf_addf(&out, "%s", plan->name);
    if (plan->commit != NULL)
        buf_addf(&out, " at %.12s", plan->commit);
    buf_addf(&out, " (%s)\n", plan->why);
    for (size_t i = 0; i < plan->n; i++) {
        add_size(&out, plan->file[i].size);
        buf_addf(&out, "  %s%s\n", plan->file[i].name,
                 plan->file[i].is_here ? "  (here already)" : "");
    }
    human_bytes((size_t)plan->bytes, all);
    human_bytes((size_t)plan->fetch_bytes, come);
    if (plan->free_bytes >= 0)
        human_bytes((size_t)plan->free_bytes, disk);
    buf_addf(&out, "all: %s, to come: %s, free in '%s': %s\n", all, come, plan->cache,
             disk);
    add_fit(&out, t, plan);
    if (t->opt->dry_run)
        ok = output_write_text(buf_text(&out), out.len, err);
    else
        output_notice(buf_text(&out), out.len);
    buf_release(&out);
    return ok;
}

/* ---- the watcher ---- */

static bool on_plan(void *ctx, const struct pull_plan *plan, struct err *err)
{
    struct telling *t = ctx;

    if (is_safetensors_alone(plan) && !t->opt->quiet)
        output_note("'%s' is safetensors, which this version cannot run: a repository "
                    "of its GGUF files can be run (its name often ends in -GGUF)",
                    plan->name);
    if (plan->is_offline && !t->opt->quiet)
        output_note("'%s' is taken from the cache; the network is not asked, since "
                    "$HF_HUB_OFFLINE is set",
                    t->opt->words.item[0]);
    if (t->opt->json)
        return plan_json(t, plan, err);
    if (t->opt->quiet && !t->opt->dry_run)
        return true;
    if (!t->opt->dry_run && !t->bar.on && !t->opt->verbose)
        return true;
    return plan_lines(t, plan, err);
}

static void on_progress(void *ctx, const struct pull_progress *now)
{
    struct telling *t = ctx;
    const struct pull_file *file = &now->plan->file[now->file];

    progress_draw(&t->bar, file->name, now->file_done, file->size, now->all_done,
                  now->plan->bytes, now->fetched, now->trouble);
    if (!t->opt->json || clock_seconds() - t->told_at < event_every_s)
        return;
    t->told_at = clock_seconds();
    if (!t->has_failed && !progress_json(now, &t->failed))
        t->has_failed = true;
}

static void on_waiting(void *ctx, const char *name)
{
    struct telling *t = ctx;

    progress_clear(&t->bar);
    if (!t->opt->quiet)
        output_note("'%s' is being fetched by another program; waiting for it", name);
}

static bool on_done(void *ctx, const struct pull_plan *plan, size_t at,
                    const char *path, struct err *err)
{
    struct telling *t = ctx;
    struct buf line;
    bool ok;

    progress_clear(&t->bar);
    if (t->has_failed) {
        *err = t->failed;
        return false;
    }
    if (t->opt->json)
        return file_json(&plan->file[at], path, err);
    if (t->opt->quiet)
        return true;
    buf_init(&line, BUF_UNLIMITED);
    buf_addf(&line, "%s: %s%s\n", plan->file[at].name, path,
             plan->file[at].is_here ? " (was here already)" : "");
    ok = output_write_text(buf_text(&line), line.len, err);
    buf_release(&line);
    return ok;
}

/* ---- the command ---- */

static bool may_go_on(void *ctx, struct err *err)
{
    int number = interrupt_signal();

    (void)ctx;
    if (number == 0)
        return true;
    err_set(err, ERR_CANCELLED, "stopped by a signal");
    err->code = 128 + number;
    return false;
}

bool cmd_pull(const struct options *opt, struct err *err)
{
    struct telling t = {.opt = opt};
    const struct pull_watcher watcher = {
        .ctx = &t,
        .plan = on_plan,
        .progress = on_progress,
        .waiting = on_waiting,
        .done = on_done,
    };
    struct pull_options pull;
    char *path = NULL;
    bool ok;

    if (!pull_request_of(opt, &pull, err) || !interrupt_watch(err))
        return false;
    pull.wants_share = !opt->quiet || opt->dry_run || opt->json;
    pull.may_go_on = may_go_on;
    pull.wake_fd = interrupt_fd();
    progress_init(&t.bar, opt->quiet != 0 || opt->json != 0);
    ok = pull_run(&pull, &watcher, &path, err);
    progress_clear(&t.bar);
    if (!ok && err->kind != ERR_CANCELLED && strstr(err->text, pull.name) == NULL)
        err_wrap(err, "%s", pull.name);
    if (ok && opt->json && path != NULL)
        ok = end_json(path, err);
    free(path);
    return ok;
}
