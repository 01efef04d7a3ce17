/* SPDX-License-Identifier: MIT
 *
 * hadal show: what a model is.
 *
 * One table of facts feeds both forms. The texts are the file's words: they are shown
 * through termtext, line by line.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "src/base/json.h"
#include "src/base/termtext.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/human.h"
#include "src/interrupt.h"
#include "src/model_open.h"
#include "src/output.h"

struct fact {
    const char *key;  /* in JSON */
    const char *text; /* or NULL: a number */
    int64_t number;   /* negative: not known */
};

enum { MAX_FACTS = 24 };

/* Where 0 only says that there is none. */
static int64_t or_unknown(int64_t n)
{
    return n > 0 ? n : -1;
}

static size_t collect(const struct catalog_model *model, const struct engine *engine,
                      struct fact facts[MAX_FACTS])
{
    const struct engine_info *i = engine_info(engine);
    const struct tokenizer *t = engine_tokenizer(engine);
    const struct fact all[] = {
        {"name", model->name, 0},
        {"title", i->name, 0},
        {"path", model->path, 0},
        {"architecture", i->architecture, 0},
        {"type", i->type, 0},
        {"size_bytes", NULL, or_unknown((int64_t)i->file_bytes)},
        {"parameters", NULL, or_unknown(i->n_params)},
        {"context", NULL, or_unknown(i->ctx_train)},
        {"layers", NULL, or_unknown(i->n_layer)},
        {"hidden", NULL, or_unknown(i->hidden)},
        {"heads", NULL, or_unknown(i->n_head)},
        {"experts", NULL, or_unknown(i->n_expert)},
        {"experts_used", NULL, or_unknown(i->n_expert_used)},
        {"vocabulary", NULL, i->vocab},
        {"pre_tokenizer", tokenizer_pre(t), 0},
        {"bos", NULL, tokenizer_bos(t)},
        {"eos", NULL, tokenizer_eos(t)},
        {"chat_format", i->chat_format, 0},
    };

    _Static_assert(sizeof(all) / sizeof(all[0]) <= MAX_FACTS, "room for all facts");
    memcpy(facts, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

static void add_json(struct buf *out, const struct fact *fact, size_t n,
                     const struct engine_info *info)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    for (size_t i = 0; i < n; i++) {
        json_key(&w, fact[i].key);
        if (fact[i].text != NULL)
            json_text(&w, fact[i].text);
        else if (fact[i].number >= 0)
            json_integer(&w, fact[i].number);
        else
            json_null(&w);
    }
    json_key(&w, "chat_format_guessed");
    json_bool(&w, info->chat_format_guessed);
    json_key(&w, "chat_note");
    json_text(&w, info->chat_note);
    json_end_object(&w);
    buf_add_char(out, '\n');
}

static void add_line(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "%-14s", key);
    termtext_add_line(out, value, strlen(value));
    buf_add_char(out, '\n');
}

static void add_text(struct buf *out, const struct fact *fact, size_t n,
                     const struct engine_info *info)
{
    for (size_t i = 0; i < n; i++) {
        char number[32];

        snprintf(number, sizeof(number), "%lld", (long long)fact[i].number);
        if (strcmp(fact[i].key, "size_bytes") == 0)
            human_bytes((size_t)fact[i].number, number);
        else if (strcmp(fact[i].key, "parameters") == 0)
            human_count(fact[i].number, number);
        if (fact[i].text != NULL || fact[i].number >= 0)
            add_line(out, fact[i].key, fact[i].text != NULL ? fact[i].text : number);
    }
    if (info->chat_format_guessed)
        add_line(out, "", "(the chat format is a guess; --chat-format overrides it)");
    if (info->chat_note != NULL)
        add_line(out, "note", info->chat_note);
}

/* The model of the word, else of the options. */
static bool resolve(const struct options *opt, struct catalog_model *model,
                    struct err *err)
{
    if (opt->words.n > 0)
        return catalog_find(opt->words.item[0], model, err);
    return catalog_resolve(opt, model, err);
}

bool cmd_show(const struct options *opt, struct err *err)
{
    struct catalog_model model = {0};
    struct engine_options how;
    struct engine *engine = NULL;
    struct fact facts[MAX_FACTS];
    struct buf out;
    bool ok = false;

    buf_init(&out, BUF_UNLIMITED);
    if (!resolve(opt, &model, err))
        goto done;
    interrupt_guard_model(model.path, NULL);
    how = model_engine_options(opt, model.path);
    how.vocabulary_only = true;
    engine = engine_open(&how, err);
    if (engine == NULL)
        goto done;
    if (opt->json)
        add_json(&out, facts, collect(&model, engine, facts), engine_info(engine));
    else
        add_text(&out, facts, collect(&model, engine, facts), engine_info(engine));
    ok = output_write_text(buf_text(&out), out.len, err);
done:
    engine_close(engine);
    catalog_model_release(&model);
    buf_release(&out);
    return ok;
}
