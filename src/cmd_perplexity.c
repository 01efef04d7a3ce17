/* SPDX-License-Identifier: MIT
 *
 * hadal perplexity: how well the model predicts a text. Each token but the first is
 * predicted from all before it; nll is the mean of the negative logarithms.
 */
#include "config.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "model/tokens.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/command.h"
#include "src/model_open.h"
#include "src/output.h"
#include "src/prompt.h"

enum { INPUT_MAX_BYTES = 64 << 20 };

/* ---- the ids ---- */

static bool check_options(const struct options *opt, struct err *err)
{
    if (opt->words.n == 0 && opt->tokens_file == NULL)
        return err_set(err, ERR_USAGE, "perplexity: FILE is missing");
    if (opt->words.n > 0 && opt->tokens_file != NULL)
        return err_set(err, ERR_USAGE, "--tokens-file: takes the place of FILE");
    return true;
}

static bool read_ids(const struct options *opt, const struct engine *engine,
                     struct tokens *ids, struct err *err)
{
    const struct tokenizer *t = engine_tokenizer(engine);
    const char *path = opt->tokens_file != NULL ? opt->tokens_file : opt->words.item[0];
    int vocab = engine_info(engine)->vocab;
    struct buf text;
    bool ok;

    buf_init(&text, INPUT_MAX_BYTES);
    if (strcmp(path, "-") == 0)
        ok = file_read_fd(STDIN_FILENO, "standard input", &text, err);
    else
        ok = file_read(path, ERR_IO, &text, err);
    if (ok && opt->tokens_file != NULL) {
        ok = prompt_parse_ids(buf_text(&text), text.len, path, ids, err);
    } else if (ok) {
        if (tokenizer_bos(t) >= 0)
            tokens_add(ids, tokenizer_bos(t));
        ok = tokenizer_encode(t, buf_text(&text), text.len, TOKENIZER_PLAIN, ids, err);
    }
    for (size_t i = 0; ok && i < ids->len; i++)
        if (ids->id[i] >= vocab)
            ok = err_set(err, ERR_USAGE, "%s: token id %d is not in 0..%d", path,
                         ids->id[i], vocab - 1);
    if (ok && ids->len < 2)
        ok = err_set(err, ERR_USAGE, "%s: fewer than two tokens: nothing to predict",
                     path);
    buf_release(&text);
    return ok;
}

/* ---- the sum ---- */

struct sum {
    const struct tokens *ids;
    int vocab;
    double nll;
    size_t n;
};

/* log(sum(exp(x))), in double. */
static double log_sum_exp(const float *x, int n)
{
    double max = -INFINITY;
    double sum = 0;

    for (int i = 0; i < n; i++)
        if ((double)x[i] > max)
            max = (double)x[i];
    for (int i = 0; i < n; i++)
        sum += exp((double)x[i] - max);
    return max + log(sum);
}

static bool add_position(void *ctx, int position, const float *logits)
{
    struct sum *s = ctx;
    size_t next = (size_t)position + 1;

    if (next >= s->ids->len)
        return true;
    s->nll += log_sum_exp(logits, s->vocab) - (double)logits[s->ids->id[next]];
    s->n++;
    return true;
}

static bool write_result(const struct options *opt, const struct sum *s,
                         struct err *err)
{
    double mean = s->nll / (double)s->n;
    struct json_writer w;
    struct buf out;
    bool ok;

    buf_init(&out, BUF_UNLIMITED);
    if (opt->json) {
        json_begin(&w, &out);
        json_object(&w);
        json_key(&w, "tokens");
        json_integer(&w, (int64_t)s->n);
        json_key(&w, "nll");
        json_number(&w, mean);
        json_key(&w, "perplexity");
        json_number(&w, exp(mean));
        json_end_object(&w);
        buf_add_char(&out, '\n');
    } else {
        buf_addf(&out, "perplexity %.4f (nll %.5f, %zu tokens)\n", exp(mean), mean,
                 s->n);
    }
    ok = output_write(out.data, out.len, err);
    buf_release(&out);
    return ok;
}

bool cmd_perplexity(const struct options *opt, struct err *err)
{
    struct tokens ids = {0};
    struct sum sum = {.ids = &ids};
    struct engine *engine = NULL;
    struct session *session = NULL;
    bool ok = false;

    if (!check_options(opt, err))
        return false;
    engine = model_open(opt, MODEL_WHOLE, err);
    if (engine == NULL || !read_ids(opt, engine, &ids, err))
        goto done;
    session = model_open_session(engine, opt, SESSION_CACHE_F16, ids.len, err);
    if (session == NULL)
        goto done;
    sum.vocab = session_n_vocab(session);
    ok = session_each_logits(session, ids.id, ids.len, add_position, &sum, err) &&
         write_result(opt, &sum, err);
done:
    session_close(session);
    engine_close(engine);
    tokens_release(&ids);
    return ok;
}
