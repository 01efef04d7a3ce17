/* SPDX-License-Identifier: MIT
 *
 * A tokenizer from a folder in Hugging Face layout (spec/tokenizer.md 8): vocabulary,
 * merges and pre-tokenizer from tokenizer.json; special tokens from
 * tokenizer_config.json; the set of end tokens also from config.json and
 * generation_config.json; the chat template from chat_template.jinja or
 * tokenizer_config.json. Only tokenizer.json must be there.
 *
 * The pre-tokenizer is known by its regular expressions; one that is not known is
 * refused, since any other would give plausible, wrong ids.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/tokenizer_priv.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/path.h"

#define MAX_TOKENIZER_BYTES ((size_t)64 << 20)
#define MAX_CONFIG_BYTES ((size_t)4 << 20)
#define MAX_IDS (1 << 24)

/* What is being read. */
struct load {
    struct tokenizer *t;
    const char *folder;
    char *file; /* path of the file at hand; begins every message about it */
    cJSON *json;
    int64_t n_rows; /* vocab_size of config.json; 0 = unknown */
};

/* ---- files ---- */

/* Makes `name` in the folder the file at hand. */
static void load_enter(struct load *l, const char *name)
{
    cJSON_Delete(l->json);
    l->json = NULL;
    free(l->file);
    l->file = path_join(l->folder, name);
}

static bool load_text(struct load *l, const char *name, size_t max, struct buf *out,
                      struct err *err)
{
    load_enter(l, name);
    buf_init(out, max);
    if (access(l->file, R_OK) != 0)
        return err_set_errno(err, ERR_MODEL, errno, "%s: cannot be opened", l->file);
    return file_read_regular(l->file, ERR_MODEL, out, err);
}

static bool load_json(struct load *l, const char *name, size_t max, struct err *err)
{
    struct buf text;

    if (load_text(l, name, max, &text, err))
        l->json = json_parse(buf_text(&text), text.len, l->file, ERR_MODEL, err);
    buf_release(&text);
    if (l->json == NULL)
        return false;
    if (!cJSON_IsObject(l->json))
        return err_set(err, ERR_MODEL, "%s: not a JSON object", l->file);
    return true;
}

/* As load_json, for a file that may be absent: then the json at hand is NULL. */
static bool load_optional(struct load *l, const char *name, struct err *err)
{
    load_enter(l, name);
    if (access(l->file, F_OK) != 0)
        return true;
    return load_json(l, name, MAX_CONFIG_BYTES, err);
}

static bool load_fail(const struct load *l, struct err *err, const char *why)
{
    return err_set(err, ERR_MODEL, "%s: %s", l->file, why);
}

/* ---- pre-tokenizer and normalizer ---- */

static bool is_type(const cJSON *item, const char *type)
{
    const cJSON *t = json_get(item, "type");

    return cJSON_IsString(t) && strcmp(t->valuestring, type) == 0;
}

static bool is_true(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(json_get(object, key));
}

/* A regular expression with line breaks spelled \r and \n, as some files have them and
 * others hold the characters. Owned. */
static char *spell_regex(const char *regex)
{
    struct buf out;

    buf_init(&out, MAX_CONFIG_BYTES);
    for (; *regex != '\0'; regex++) {
        if (*regex == '\r' || *regex == '\n')
            buf_add_text(&out, *regex == '\r' ? "\\r" : "\\n");
        else
            buf_add_char(&out, *regex);
    }
    return buf_take(&out, NULL);
}

/* The regular expression of a step, "digits", or "" for one that cuts nothing. Owned;
 * NULL when the step is of a kind that no known pre-tokenizer has. */
static char *step_regex(const cJSON *step)
{
    const cJSON *regex = json_get(json_get(step, "pattern"), "Regex");
    const cJSON *behavior = json_get(step, "behavior");

    if (is_type(step, "Split") && cJSON_IsString(regex) && cJSON_IsString(behavior) &&
        strcmp(behavior->valuestring, "Isolated") == 0 && !is_true(step, "invert"))
        return spell_regex(regex->valuestring);
    if (is_type(step, "Digits") && is_true(step, "individual_digits"))
        return mem_dup("digits");
    if (is_type(step, "ByteLevel") && !is_true(step, "add_prefix_space"))
        return mem_dup(is_true(step, "use_regex") ? pretok_gpt2_regex() : "");
    return NULL;
}

static const struct pretok *find_pretok(const cJSON *pre)
{
    const cJSON *step =
        is_type(pre, "Sequence") ? json_get(pre, "pretokenizers") : NULL;
    char *regex[PRETOK_MAX_STEPS + 1];
    size_t n = 0;
    bool ok = true;
    const struct pretok *found = NULL;

    /* A lone step stands for a list of one. */
    step = step == NULL ? pre : step->child;
    while (ok && step != NULL) {
        char *text = n <= PRETOK_MAX_STEPS ? step_regex(step) : NULL;

        ok = text != NULL;
        if (ok && text[0] == '\0')
            free(text);
        else if (ok)
            regex[n++] = text;
        step = is_type(pre, "Sequence") ? step->next : NULL;
    }
    if (ok)
        found = pretok_find_steps((const char *const *)regex, n);
    while (n > 0)
        free(regex[--n]);
    return found;
}

/* No normalizer, an empty list of them, or NFC. */
static bool read_normalizer(struct load *l, struct err *err)
{
    const cJSON *normalizer = json_get(l->json, "normalizer");
    const cJSON *list = json_get(normalizer, "normalizers");

    if (is_type(normalizer, "Sequence") && cJSON_IsArray(list)) {
        if (list->child != NULL && list->child->next != NULL)
            return load_fail(l, err, "a sequence of normalizers is not supported");
        normalizer = list->child;
    }
    if (normalizer == NULL || cJSON_IsNull(normalizer))
        return true;
    if (!is_type(normalizer, "NFC"))
        return load_fail(l, err, "its normalizer is not supported (only NFC is)");
    l->t->nfc = true;
    return true;
}

static bool read_pretok(struct load *l, struct err *err)
{
    const cJSON *pre = json_get(l->json, "pre_tokenizer");

    l->t->pretok = find_pretok(pre);
    if (l->t->pretok == NULL)
        return load_fail(
            l, err,
            "pre_tokenizer is not supported; hadal knows those of DeepSeek, "
            "Qwen2, Llama 3, GPT-2 and SmolLM");
    l->t->wants_bos = pretok_wants_bos(l->t->pretok);
    return read_normalizer(l, err);
}

/* ---- vocabulary ---- */

/* The text and kind of an id, before they are put in order. */
struct entry {
    const char *text; /* borrowed from the JSON; NULL = nothing has this id */
    enum token_kind kind;
};

struct entries {
    struct entry *at;
    size_t cap; /* ids below this are allowed */
    size_t n;   /* ids below this exist */
};

/* Without config.json there is no number of rows; then gaps up to the number of entries
 * are allowed. */
static bool entries_open(struct entries *e, const struct load *l, const cJSON *vocab,
                         const cJSON *added, struct err *err)
{
    size_t n = 0;

    for (const cJSON *item = vocab->child; item != NULL; item = item->next)
        n++;
    for (const cJSON *item = added == NULL ? NULL : added->child; item != NULL;
         item = item->next)
        n++;
    memset(e, 0, sizeof(*e));
    e->cap = l->n_rows > 0 ? (size_t)l->n_rows : 2 * n + 1024;
    e->at = mem_try(e->cap, sizeof(*e->at), "the vocabulary", err);
    return e->at != NULL;
}

static bool entries_id(const struct entries *e, const struct load *l, const cJSON *item,
                       const char *where, size_t *id, struct err *err)
{
    int64_t value;

    if (!json_int(item, 0, INT32_MAX, &value))
        return err_set(err, ERR_MODEL, "%s: %s: an id is not a whole number", l->file,
                       where);
    if ((size_t)value >= e->cap)
        return err_set(err, ERR_MODEL, "%s: %s: token id %lld is outside 0..%zu",
                       l->file, where, (long long)value, e->cap - 1);
    *id = (size_t)value;
    return true;
}

static void entries_put(struct entries *e, size_t id, const char *text,
                        enum token_kind kind)
{
    e->at[id] = (struct entry){text, kind};
    if (id >= e->n)
        e->n = id + 1;
}

static bool read_vocab(struct entries *e, const struct load *l, const cJSON *vocab,
                       struct err *err)
{
    for (const cJSON *item = vocab->child; item != NULL; item = item->next) {
        size_t id;

        if (!entries_id(e, l, item, "model.vocab", &id, err))
            return false;
        if (e->at[id].text != NULL)
            return err_set(err, ERR_MODEL,
                           "%s: model.vocab: two tokens have the id %zu", l->file, id);
        entries_put(e, id, item->string, TOKEN_NORMAL);
    }
    return true;
}

static bool read_added_token(struct entries *e, const struct load *l, const cJSON *item,
                             size_t i, struct err *err)
{
    const cJSON *content = json_get(item, "content");
    size_t id;
    enum token_kind kind;

    if (!cJSON_IsString(content) || content->valuestring[0] == '\0')
        return err_set(err, ERR_MODEL, "%s: added_tokens[%zu] has no content", l->file,
                       i);
    if (!entries_id(e, l, json_get(item, "id"), "added_tokens", &id, err))
        return false;
    /* An added token may be in the vocabulary too, under the same id and text. */
    if (e->at[id].text != NULL && strcmp(e->at[id].text, content->valuestring) != 0)
        return err_set(err, ERR_MODEL, "%s: added_tokens: two tokens have the id %zu",
                       l->file, id);
    kind = vocab_added_kind(content->valuestring, strlen(content->valuestring));
    if (is_true(item, "special"))
        kind = TOKEN_CONTROL;
    entries_put(e, id, content->valuestring, kind);
    return true;
}

static bool read_added(struct entries *e, const struct load *l, const cJSON *added,
                       struct err *err)
{
    size_t i = 0;

    if (added == NULL || cJSON_IsNull(added))
        return true;
    if (!cJSON_IsArray(added))
        return load_fail(l, err, "added_tokens is not a list");
    for (const cJSON *item = added->child; item != NULL; item = item->next)
        if (!read_added_token(e, l, item, i++, err))
            return false;
    return true;
}

static bool add_entries(const struct entries *e, struct load *l, struct err *err)
{
    vocab_init(&l->t->vocab, e->n);
    for (size_t id = 0; id < e->n; id++) {
        const char *text = e->at[id].text == NULL ? "" : e->at[id].text;
        int32_t twin;

        if (!vocab_add(&l->t->vocab, e->at[id].kind, text, strlen(text), &twin))
            return err_set(err, ERR_MODEL, "%s: tokens %d and %zu are the same",
                           l->file, (int)twin, id);
    }
    return true;
}

static bool read_vocabulary(struct load *l, const cJSON *model, struct err *err)
{
    const cJSON *vocab = json_get(model, "vocab");
    const cJSON *added = json_get(l->json, "added_tokens");
    struct entries e = {.n = 0};
    bool ok;

    if (!cJSON_IsObject(vocab))
        return load_fail(l, err, "model.vocab is not an object");
    ok = entries_open(&e, l, vocab, added, err) && read_vocab(&e, l, vocab, err) &&
         read_added(&e, l, added, err) && add_entries(&e, l, err);
    free(e.at);
    return ok;
}

/* ---- merges ---- */

/* "left right" (older files) or ["left", "right"]. What is wrong, or NULL. */
static const char *add_merge(struct tokenizer *t, const cJSON *merge)
{
    const cJSON *left = merge->child;
    const char *space;

    if (cJSON_IsString(merge) && merge->valuestring[0] != '\0') {
        space = strchr(merge->valuestring + 1, ' ');
        if (space != NULL && space[1] != '\0')
            return tokenizer_add_merge(t, merge->valuestring,
                                       (size_t)(space - merge->valuestring), space + 1,
                                       strlen(space + 1));
    } else if (cJSON_IsArray(merge) && left != NULL && left->next != NULL &&
               left->next->next == NULL && cJSON_IsString(left) &&
               cJSON_IsString(left->next)) {
        return tokenizer_add_merge(t, left->valuestring, strlen(left->valuestring),
                                   left->next->valuestring,
                                   strlen(left->next->valuestring));
    }
    return "is not two parts";
}

static bool read_merges(struct load *l, const cJSON *model, struct err *err)
{
    const cJSON *merges = json_get(model, "merges");
    size_t n = 0;

    if (!cJSON_IsArray(merges))
        return load_fail(l, err, "model.merges is not a list");
    for (const cJSON *item = merges->child; item != NULL; item = item->next)
        n++;
    bpe_init(&l->t->bpe, n);
    n = 0;
    for (const cJSON *item = merges->child; item != NULL; item = item->next) {
        const char *why = add_merge(l->t, item);

        if (why != NULL)
            return err_set(err, ERR_MODEL, "%s: model.merges: merge %zu %s", l->file, n,
                           why);
        n++;
    }
    return true;
}

/* Options of BPE that change ids and that nobody in these families uses. */
static bool check_model(const struct load *l, const cJSON *model, struct err *err)
{
    static const char *const unused[] = {"dropout", "continuing_subword_prefix",
                                         "end_of_word_suffix"};

    if (!is_type(model, "BPE"))
        return load_fail(l, err, "model.type is not \"BPE\"");
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        const cJSON *item = json_get(model, unused[i]);

        if (item != NULL && !cJSON_IsNull(item) &&
            !(cJSON_IsString(item) && item->valuestring[0] == '\0'))
            return err_set(err, ERR_MODEL, "%s: model.%s is not supported", l->file,
                           unused[i]);
    }
    if (is_true(model, "byte_fallback"))
        return load_fail(l, err, "model.byte_fallback is not supported");
    return true;
}

static bool read_tokenizer(struct load *l, struct err *err)
{
    const cJSON *model;

    if (!load_json(l, "tokenizer.json", MAX_TOKENIZER_BYTES, err))
        return false;
    model = json_get(l->json, "model");
    l->t->ignore_merges = is_true(model, "ignore_merges");
    return check_model(l, model, err) && read_pretok(l, err) &&
           read_vocabulary(l, model, err) && read_merges(l, model, err) &&
           tokenizer_finish(l->t, l->file, err);
}

/* ---- config.json, generation_config.json ---- */

static bool read_rows(struct load *l, struct err *err)
{
    const cJSON *size;

    if (!load_optional(l, "config.json", err))
        return false;
    size = json_get(l->json, "vocab_size");
    if (size != NULL && !json_int(size, 1, MAX_IDS, &l->n_rows))
        return load_fail(l, err, "vocab_size is not a number of tokens");
    return true;
}

/* An id in a configuration: *out, or unchanged when it is null. */
static bool config_id(const struct load *l, const cJSON *item, const char *key,
                      int32_t *out, struct err *err)
{
    size_t n = l->t->vocab.n;
    int64_t id;

    if (item == NULL || cJSON_IsNull(item))
        return true;
    if (!json_int(item, INT32_MIN, INT64_MAX, &id))
        return err_set(err, ERR_MODEL, "%s: %s is not a token id", l->file, key);
    if (id < 0 || (size_t)id >= n)
        return err_set(err, ERR_MODEL, "%s: %s %lld is outside 0..%zu", l->file, key,
                       (long long)id, n - 1);
    *out = (int32_t)id;
    return true;
}

/* bos_token_id, and eos_token_id: one, or a list of which the first is the main one. */
static bool read_config_ids(struct load *l, const char *name, struct err *err)
{
    const cJSON *eos;
    const cJSON *item;
    int32_t bos = -1;

    if (!load_optional(l, name, err) ||
        !config_id(l, json_get(l->json, "bos_token_id"), "bos_token_id", &bos, err))
        return false;
    if (l->t->bos < 0)
        l->t->bos = bos;
    eos = json_get(l->json, "eos_token_id");
    item = cJSON_IsArray(eos) ? eos->child : eos;
    while (item != NULL) {
        int32_t id = -1;

        if (!config_id(l, item, "eos_token_id", &id, err))
            return false;
        if (id >= 0)
            tokenizer_add_end(l->t, id);
        if (l->t->eos < 0)
            l->t->eos = id;
        item = cJSON_IsArray(eos) ? item->next : NULL;
    }
    return true;
}

/* ---- tokenizer_config.json ---- */

/* The text of a special token: a string, or an object with content. NULL: none. */
static const char *token_text(const cJSON *item)
{
    if (cJSON_IsObject(item))
        item = json_get(item, "content");
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* A special token that is named by its text. One that the vocabulary lacks would get an
 * id beyond the embedding. */
static bool read_named(const struct load *l, const char *key, int32_t *out,
                       struct err *err)
{
    const char *text = token_text(json_get(l->json, key));

    if (text == NULL)
        return true;
    *out = tokenizer_find(l->t, text);
    if (*out < 0)
        *out = vocab_find_spelled(&l->t->vocab, text, strlen(text));
    if (*out < 0)
        return err_set(err, ERR_MODEL, "%s: %s '%.60s' is not in the vocabulary",
                       l->file, key, text);
    return true;
}

/* chat_template is a text, or a list of {name, template}: then the default one. */
static const char *template_of(const cJSON *item)
{
    if (!cJSON_IsArray(item))
        return cJSON_IsString(item) ? item->valuestring : NULL;
    for (item = item->child; item != NULL; item = item->next) {
        const cJSON *name = json_get(item, "name");
        const cJSON *text = json_get(item, "template");

        if (cJSON_IsString(name) && cJSON_IsString(text) &&
            strcmp(name->valuestring, "default") == 0)
            return text->valuestring;
    }
    return NULL;
}

static bool read_tokenizer_config(struct load *l, struct err *err)
{
    const cJSON *add_bos;
    const char *text;

    if (!load_optional(l, "tokenizer_config.json", err))
        return false;
    if (!read_named(l, "bos_token", &l->t->bos, err) ||
        !read_named(l, "eos_token", &l->t->eos, err))
        return false;
    if (l->t->eos >= 0)
        tokenizer_add_end(l->t, l->t->eos);
    add_bos = json_get(l->json, "add_bos_token");
    if (cJSON_IsBool(add_bos))
        l->t->wants_bos = cJSON_IsTrue(add_bos);
    text = template_of(json_get(l->json, "chat_template"));
    if (text != NULL)
        l->t->template_text = mem_dup(text);
    return true;
}

/* chat_template.jinja goes before the text in tokenizer_config.json. */
static bool read_template_file(struct load *l, struct err *err)
{
    struct buf text;
    bool ok;

    load_enter(l, "chat_template.jinja");
    if (access(l->file, F_OK) != 0)
        return true;
    ok = load_text(l, "chat_template.jinja", MAX_CONFIG_BYTES, &text, err);
    if (ok) {
        free(l->t->template_text);
        l->t->template_text = buf_take(&text, NULL);
    }
    buf_release(&text);
    return ok;
}

struct tokenizer *tokenizer_open_folder(const char *path, struct err *err)
{
    struct load l = {.t = tokenizer_new(), .folder = path};

    if (!read_rows(&l, err) || !read_tokenizer(&l, err) ||
        !read_tokenizer_config(&l, err) || !read_config_ids(&l, "config.json", err) ||
        !read_config_ids(&l, "generation_config.json", err) ||
        !read_template_file(&l, err)) {
        tokenizer_close(l.t);
        l.t = NULL;
    }
    cJSON_Delete(l.json);
    free(l.file);
    return l.t;
}
