/* SPDX-License-Identifier: MIT
 *
 * hadal quantize: weights to another type. What is done is in model/quantize.c; here
 * are the names, the progress and the end by signal.
 */
#include "config.h"

#include <errno.h>

#include "model/quantize.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/human.h"
#include "src/interrupt.h"
#include "src/output.h"
#include "src/progress.h"

struct watch {
    const struct options *opt;
    struct progress progress;
};

/* quantize_fn */
static bool on_state(void *ctx, const struct quantize_state *s)
{
    struct watch *w = ctx;

    if (s->begins && w->opt->verbose) {
        progress_clear(&w->progress);
        output_note("%s: %s to %s", s->tensor, s->from, s->to);
    }
    progress_draw(&w->progress, s->tensor, s->done_bytes, s->total_bytes, s->done_bytes,
                  s->total_bytes, s->done_bytes, NULL);
    return interrupt_signal() == 0;
}

static void say_result(const struct options *opt, const struct quantize_result *r)
{
    char in[32];
    char out[32];

    if (opt->quiet)
        return;
    human_bytes((size_t)r->in_bytes, in);
    human_bytes((size_t)r->out_bytes, out);
    if (r->was_quantised)
        output_note("%s: the weights were quantised already; what they had lost stays "
                    "lost",
                    opt->words.item[0]);
    output_note("%s: %s as %s, from %s", opt->words.item[1], out, r->type, in);
}

/* A signal that came in the middle is what ended it, whatever failed thereby. */
static void set_end(struct err *err)
{
    if (interrupt_signal() != 0) {
        err_set(err, ERR_CANCELLED, "stopped");
        err->code = 128 + interrupt_signal();
    } else if (err->kind == ERR_IO && err->code == EPIPE) {
        output_set_reader_gone(err);
    }
}

static bool check_type(const struct options *opt, struct err *err)
{
    if (opt->quantize_type == NULL)
        return err_set(err, ERR_USAGE, "--type is missing: one of %s",
                       quantize_type_names());
    if (!quantize_type_is_known(opt->quantize_type))
        return err_set(err, ERR_USAGE, "--type: '%s' is none of %s", opt->quantize_type,
                       quantize_type_names());
    return true;
}

bool cmd_quantize(const struct options *opt, struct err *err)
{
    struct watch watch = {.opt = opt};
    struct quantize_result result;
    struct quantize_options how = {.out = opt->words.item[1],
                                   .type = opt->quantize_type,
                                   .n_threads = opt->threads,
                                   .report = on_state,
                                   .ctx = &watch};
    struct catalog_model model = {0};
    bool ok;

    if (!check_type(opt, err) || !catalog_find(opt->words.item[0], &model, err))
        return false;
    how.in = model.path;
    progress_init(&watch.progress, opt->quiet);
    interrupt_guard_model(model.path, NULL);
    ok = interrupt_watch(err) && quantize_file(&how, &result, err);
    progress_clear(&watch.progress);
    if (ok)
        say_result(opt, &result);
    else
        set_end(err);
    catalog_model_release(&model);
    return ok;
}
